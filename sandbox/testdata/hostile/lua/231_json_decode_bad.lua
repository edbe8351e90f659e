for _, s in ipairs { "", " ", "[", "]", "{", "}", "[1", "[1,", "[1,]", "[,1]", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{1:1}", "{a:1}", "1 2", "[] []", "nul", "tru", "NaN", "Infinity", "-", "01", "1.", ".5", "+1", "1e", "\"", "\"\\x\"", "\"\\u12\"", "\"\n\"", "'a'", "/**/1", "\239\187\1911", "{\"a\":1:2}", "[1:2]", "\0", "1\0" } do
  local ok, err = pcall(json.decode, s)
  assert(not ok, "taken: " .. s .. " " .. tostring(err))
  assert(not tostring(err):find("Go ", 1, true))
end
