local t = {} t.t = t
local u = {} u[1] = u
assert(not pcall(json.encode, t) and not pcall(json.encode, u))
assert(json.encode(setmetatable({}, { __index = error, __pairs = error, __len = error, __tostring = error })) == "{}")
assert(not pcall(report.set, "JSON", t))
