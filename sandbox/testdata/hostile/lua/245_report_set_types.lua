local values = { 1, 1.5, -1, 2^53, 2^60, -2^53, 1/0, 0/0, "x", "1", "", true, false, {}, { 1 }, { a = 1 }, json.null, print, ("x"):rep(70000) }
for _, f in ipairs { "Int", "Number", "Bool", "Text", "JSON", "Raw" } do
  for _, v in ipairs(values) do pcall(report.set, f, v) end
  assert(not pcall(report.set, f, nil) and not pcall(report.set, f) and not pcall(report.set, f, 0/0) and not pcall(report.set, f, print))
end
assert(not pcall(report.set, "Int", 2^53) and not pcall(report.set, "Int", 1.5) and not pcall(report.set, "Int", "1") and not pcall(report.set, "Bool", 1))
