local t = {}
for i = 1, 100 do t[i] = ("x"):rep(100) end
local u = {}
for i = 1, 1000 do u[i] = t end
local v = {}
for i = 1, 1000 do v[i] = u end
return json.encode(v)
