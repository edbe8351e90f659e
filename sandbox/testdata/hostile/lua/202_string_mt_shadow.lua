string = setmetatable({}, { __index = function(t, k) error("trap " .. k) end })
local ok = pcall(function() return ("x"):rep(2) end)
assert(ok, "methods are the library's own")
return string.rep("x", 2)
