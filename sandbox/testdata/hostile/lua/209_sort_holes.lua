local nan = 0/0
for i = 1, 50 do
  local t = { nan, 1, nan, -1, 1/0, -1/0, nan }
  pcall(table.sort, t)
  assert(#t == 7)
  pcall(table.sort, t, function(a, b) return nan < nan end)
  pcall(table.sort, { 3, nil, 1, nil, 2 }, function(a, b) return (a or 0) < (b or 0) end)
end
