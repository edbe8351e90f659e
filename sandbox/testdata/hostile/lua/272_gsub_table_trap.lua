local t = setmetatable({}, { __index = function(t, k) if k == "b" then error("x") end string.gsub = nil return k .. k end })
assert(not pcall(string.gsub, "abc", ".", t))
