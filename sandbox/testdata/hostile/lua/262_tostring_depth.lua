local mt = {}
mt.__tostring = function(v) return tostring(setmetatable({}, mt)) end
print(setmetatable({}, mt))
