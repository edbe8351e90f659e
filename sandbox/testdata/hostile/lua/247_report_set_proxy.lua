local calls = 0
local p = setmetatable({}, { __index = function() calls = calls + 1 return "x" end, __len = function() calls = calls + 1 return 1e9 end })
report.set("JSON", p)
assert(calls == 0)
