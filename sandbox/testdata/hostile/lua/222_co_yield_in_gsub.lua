for _, f in ipairs {
  function() ("abc"):gsub(".", coroutine.yield) end,
  function() ("abc"):gsub(".", setmetatable({}, { __index = coroutine.yield })) end,
  function() table.sort({ 3, 2, 1 }, coroutine.yield) end,
  function() xpcall(coroutine.yield, coroutine.yield) end,
  function() return tostring(setmetatable({}, { __tostring = coroutine.yield })) end,
  function() return setmetatable({}, { __lt = coroutine.yield }) < setmetatable({}, {}) end,
  function() return setmetatable({}, { __add = coroutine.yield }) + 1 end,
  function() return -setmetatable({}, { __unm = coroutine.yield }) end,
  function() setmetatable({}, { __newindex = coroutine.yield }).x = 1 end,
  function() for k in coroutine.yield do end end,
} do
  local c = coroutine.create(f)
  for i = 1, 5 do coroutine.resume(c, i) end
end
