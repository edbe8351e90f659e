for _, r in ipairs { { 1, 1e8 }, { -1e8, 1 }, { 2^53 - 1, 2^53 }, { -2^53, 2^53 }, { 1, 1/0 }, { 0/0, 1 }, { 2^63, 2^63 + 1 } } do
  local ok, text = pcall(unpack, {}, r[1], r[2])
  assert(not ok or select("#", text) <= 2)
end
assert(select("#", unpack({}, 1, 200)) == 200)
local ok = pcall(function() return (function(...) return select("#", ...) end)(unpack({}, 1, 16000)) end)
