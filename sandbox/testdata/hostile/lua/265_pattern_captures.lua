for _, p in ipairs { ("()"):rep(33), ("(a)"):rep(33), "(", ")", "(()", "())", "%1", "(%1)", "(a)%2", "(a)%0", "%", "[", "[]", "[^", "[^]", "[a", "[a-", "[%", "[%a", "%b", "%bx", "%f", "%fa", "%f[", "(a*(.)%2)", "a%" } do
  local ok, err = pcall(string.find, "aaaa", p)
  pcall(string.gsub, "aaaa", p, "%1")
  pcall(function() for a in ("aaaa"):gmatch(p) do end end)
end
assert(not pcall(string.find, "a", ("()"):rep(33)) and not pcall(string.rep("x", 5).gsub, "a", "(", "%1"))
