local t = {}
for i = 1, 10000 do t[i] = i end
local c = coroutine.wrap(function(...) while true do coroutine.yield(...) end end)
for i = 1, 100 do pcall(c, unpack(t)) end
