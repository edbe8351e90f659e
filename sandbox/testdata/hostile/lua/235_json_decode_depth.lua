local function nested(n, a, b) return a:rep(n) .. "1" .. b:rep(n) end
assert(pcall(json.decode, nested(32, "[", "]")) and not pcall(json.decode, nested(33, "[", "]")))
assert(not pcall(json.decode, nested(40, '{"a":', "}")) and not pcall(json.decode, nested(200000, "[", "]")))
