for _, n in ipairs { "", "\0", "\255", ("x"):rep(1e6), "Package\0", "package", "../Package", "Package " } do assert(report.get(n) == nil) end
assert(not pcall(report.get) and not pcall(report.get, nil) and not pcall(report.get, {}) and not pcall(report.get, 1) and not pcall(report.get, "a", "b"))
local names = report.names()
names[1] = "changed"
assert(report.names()[1] ~= "changed")
