for _, f in ipairs { "%", "%5", "%.", "%-", "%--------d", "%999d", "%.999f", "%v", "%+v", "%#v", "%T", "%p", "%t", "%U", "%b", "%w", "%[1]d", "%*d", "%\0", "%\255", "%%%", "% " } do
  local ok, text = pcall(string.format, f, 1, 2)
  assert(not ok and not tostring(text):find("!", 1, true), f .. " " .. tostring(text))
end
