for _, k in ipairs { "write", "list", "stat", "\0", "", ("x"):rep(1e6), 1, true } do
  local ok, err = pcall(function() return fs[k]("x") end)
  assert(not ok)
end
assert(not pcall(function() return fs[{}]() end) and not pcall(function() return cmd.run("id", {}) end) and not pcall(function() return sys.env() end))
