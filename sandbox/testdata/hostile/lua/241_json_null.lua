local n = json.null
assert(tostring(n) == "null" and json.encode(n) == "null" and json.encode({ n }) == "[null]")
assert(not pcall(function() return n.x end) and not pcall(setmetatable, n, {}) and not pcall(report.set, "JSON", n))
assert(not pcall(report.set, "JSON", { n }) and not pcall(report.set, "Text", n) and getmetatable(n) == nil)
json.null, json.encode = 1, nil
