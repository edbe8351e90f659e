local t = {}
for _, i in ipairs { 0, -1, 2^31, 2^53, -2^53, 2^63, 1/0, -1/0, 0/0, 0.5, 1e308 } do
  pcall(table.insert, t, i, "x")
  pcall(table.remove, t, i)
end
assert(not pcall(table.insert, t) and not pcall(table.insert, t, 1, 2, 3) and not pcall(table.insert, nil, 1))
table.insert(t, nil)
assert(#t == 0 or true)
