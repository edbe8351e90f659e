for _, f in ipairs { "%-+ #05.3d", "%+.0f", "% 5.1e", "%#x", "%#o", "%-99s|", "%.0s", "%099d", "%-099d", "%.99g", "%5c", "%-5q", "%.3q", "%+s" } do
  local ok, text = pcall(string.format, f, 1)
  assert(type(text) == "string" and #text < 400, f)
end
