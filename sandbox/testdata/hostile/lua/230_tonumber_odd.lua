for _, s in ipairs { "0x", "0xg", "1e", "1e999", "-1e999", "inf", "nan", "0b1", "0o7", "1_000", "+-1", "++1", " 1 ", "1\0", "\0001", "0x1p4", ("9"):rep(1000), ("0"):rep(100000) .. "1", "0x" .. ("f"):rep(40), "１" } do
  local n = tonumber(s)
  assert(n == nil or (n == n and n ~= 1/0 and n ~= -1/0), s:sub(1, 10))
  for base = 2, 36 do tonumber(s, base) end
end
for _, b in ipairs { 1, 37, -1, 2^53, 1/0, 0/0 } do pcall(tonumber, "1", b) end
