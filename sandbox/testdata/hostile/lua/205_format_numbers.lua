local huge, nan = 1/0, 0/0
for _, c in ipairs { "d", "i", "u", "c", "x", "X", "o", "e", "E", "f", "g", "G", "s", "q" } do
  for _, n in ipairs { huge, -huge, nan, 2^53, -2^53, 2^63, -2^63, 2^64, 1e308, -1e308, 5e-324, -0, 0.1 } do
    local ok, text = pcall(string.format, "%" .. c, n)
    assert(type(text) == "string" and #text < 500 and not text:find("!", 1, true), c .. text)
  end
end
