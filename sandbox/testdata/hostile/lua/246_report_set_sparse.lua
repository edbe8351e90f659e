local t = { 1, 2, 3 }
t[2^30] = 4
assert(not pcall(report.set, "JSON", t))
report.set("JSON", { 1, 2, x = 3 })
