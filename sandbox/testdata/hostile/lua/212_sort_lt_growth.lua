local t, mt = {}, {}
mt.__lt = function(a, b) for i = 1, 10 do t[#t + 1] = a end return a.n < b.n end
for i = 1, 200 do t[i] = setmetatable({ n = (i * 7919) % 199 }, mt) end
table.sort(t)
