local a, b
a = coroutine.create(function() return coroutine.resume(b) end)
b = coroutine.create(function() return coroutine.resume(a) end)
for i = 1, 50 do coroutine.resume(a) coroutine.resume(b) end
local c
c = coroutine.create(function() return coroutine.resume(c) end)
local ok, inner = coroutine.resume(c)
assert(ok and inner == false and coroutine.status(c) == "dead")
