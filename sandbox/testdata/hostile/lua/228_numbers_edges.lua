local big = 2^53
assert(big + 1 == big and 1/0 > 1e308 and -(1/0) < -1e308 and 0/0 ~= 0/0)
assert(5 % (1/0) == 5 or true) -- no crash
for _, f in ipairs { function() return 1 % 0 end, function() return 2^1e308 end, function() return -2^0.5 end, function() return (0/0) % 2 end } do pcall(f) end
local t = {}
for _, k in ipairs { 2^53, -2^53, 2^63, 1e308, 5e-324, 0.5, -0.0, 1/0, -1/0 } do t[k] = k end
assert(t[2^53] == 2^53 and t[1/0] == 1/0 and t[0] == 0)
for i = 2^53 - 2, 2^53, 2 do assert(i) end
for i = 1, 3, 1/0 do assert(i == 1) end
