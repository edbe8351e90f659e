local function f(...) return f(..., ...) end
local function g(...) local t = { ... } for i = 1, #t do t[#t + 1] = t[i] end return g(unpack(t)) end
pcall(f, 1, 2)
return g(1, 2)
