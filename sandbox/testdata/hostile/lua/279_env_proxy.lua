setmetatable(_G, { __index = function(_, k) return k end, __newindex = function(t, k, v) rawset(t, k, v) end })
assert(nope == "nope")
x = 1
assert(x == 1 and rawget(_G, "x") == 1)
_G._G = nil
