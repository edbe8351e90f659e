local function by(a, b)
  table.sort({ 2, 1 }, by)
  return a < b
end
table.sort({ 2, 1 }, by)
