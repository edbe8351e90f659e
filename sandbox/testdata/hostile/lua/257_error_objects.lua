for _, v in ipairs { {}, print, coroutine.create(print), json.null, 0/0, true, ("x"):rep(4e6), setmetatable({}, { __tostring = error, __index = error, __eq = error }) } do
  local ok, err = pcall(error, v)
  assert(not ok and (err == v or v ~= v or type(v) == "string"))
  ok, err = xpcall(function() error(v) end, function(e) return e end)
  assert(not ok and (rawequal(err, v) or v ~= v or type(v) == "string"))
end
for _, l in ipairs { -1, 0, 1, 2, 100, 2^31, -2^53 } do pcall(error, "x", l) end
