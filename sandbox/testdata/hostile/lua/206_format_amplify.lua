local s = ("%-99s"):rep(50000)
local t = {}
for i = 1, 15000 do t[i] = "x" end
return s:format(unpack(t))
