for _, n in ipairs { 0, -5, 2^53, -2^53, 1/0, -1/0, 0/0, 2^63, "#x", "" } do pcall(select, n, 1, 2) end
assert(select("#") == 0 and select(-1, 1, 2) == 2 and select(5, 1) == nil and select("2", 1, 2) == 2)
