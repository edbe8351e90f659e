local mt = {}
mt.__tostring = function(v) return ("%s%s"):format(v, v) end
return ("%s"):format(setmetatable({}, mt))
