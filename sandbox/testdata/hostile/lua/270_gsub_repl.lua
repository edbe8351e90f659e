assert(("abc"):gsub("b", "%%") == "a%c" and ("abc"):gsub("(b)", "%1%1") == "abbc" and ("abc"):gsub("b", "%0%0") == "abbc")
assert(not pcall(string.gsub, "abc", "b", "%9") and not pcall(string.gsub, "abc", "b", {}, 0/0))
for _, r in ipairs { "%", "%a", "%\0", "%10", "\0", ("%0"):rep(1000) } do pcall(string.gsub, "abc", ".", r) end
for _, n in ipairs { -1, 0, 2^53, -2^53, 1/0 } do pcall(string.gsub, "abc", ".", "x", n) end
assert(("abc"):gsub(".", { a = false, b = 1, c = "z" }) == "a1z" and not pcall(string.gsub, "a", ".", { a = {} }))
