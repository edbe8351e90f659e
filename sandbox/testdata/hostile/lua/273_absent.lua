for _, n in ipairs { "os", "io", "debug", "package", "require", "module", "load", "loadstring", "loadfile", "dofile", "getfenv", "setfenv", "newproxy", "collectgarbage", "_printregs", "channel", "goto", "ffi", "jit", "arg", "rawlen" } do
  assert(rawget(_G, n) == nil, n)
end
for _, lib in ipairs { string, table, math, coroutine, json, report, time } do
  assert(lib.dump == nil and lib.foreach == nil and lib.execute == nil and lib.open == nil)
end
