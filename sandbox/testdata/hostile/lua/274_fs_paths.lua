for _, p in ipairs { "", ".", "..", "/", "//", "allowed/ok", "./ok", "@FIX@/allowed/", "@FIX@/allowed/ok/", "@FIX@//allowed/ok", "@FIX@/./allowed/ok", "@FIX@/allowed/../allowed/ok", "@FIX@/allowed/ok\0", "@FIX@/allowed/\0/../ok", "\0", "@FIX@/allowed/ok\n", "@FIX@/allowed/\195\182", "@FIX@/allowed/\239\188\143ok", "file://@FIX@/allowed/ok", "~/x", "@FIX@/allowed/ok/.", "@FIX@/ALLOWED/ok", "@FIX@/allowed" } do
  local ok, err = pcall(fs.read, p)
  assert(not ok, p)
end
