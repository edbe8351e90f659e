for _, s in ipairs { "1e999", "-1e999", ("9"):rep(400), "1e-999", "-0", "1E+2", ("0." .. ("1"):rep(100000)) } do
  local ok, n = pcall(json.decode, s)
  assert(not ok or (n == n and n ~= 1/0 and n ~= -1/0), s:sub(1, 20))
end
