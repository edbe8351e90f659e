local t = { "a", "b" }
for _, r in ipairs { { -2^53, 2^53 }, { 2^53, -2^53 }, { 1, 2^53 }, { 1/0, 1 }, { 1, -1/0 }, { 0/0, 1 }, { 2, 1 }, { 0.5, 1 }, { 2^63, 2^63 } } do
  local ok, text = pcall(table.concat, t, ",", r[1], r[2])
  assert(type(text) == "string" and #text < 200)
end
assert(table.concat(t, ",", 2, 1) == "" and not pcall(table.concat, { 1, {}, 3 }))
