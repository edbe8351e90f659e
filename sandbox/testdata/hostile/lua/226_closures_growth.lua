local f = function() return 0 end
local kept = {}
for i = 1, 1e9 do
  local g, a, b, c = f, i, {}, { i }
  f = function() return g, a, b, c end
  kept[i] = function() return f, kept end
end
