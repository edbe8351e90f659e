local mt = { __index = function(t, k)
  local ok, err = pcall(coroutine.wrap(function() error({ k }) end))
  assert(not ok)
  return k
end }
for i = 1, 100 do
  local c = coroutine.wrap(function() return setmetatable({}, mt)[i] end)
  assert(c() == i and not pcall(c))
end
