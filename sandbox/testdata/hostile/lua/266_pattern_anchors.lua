assert(("a^b$"):find("a^b$", 1, true) == 1 and ("$^"):find("$^") and ("a"):gsub("^", "x") == "xa" and ("a"):gsub("$", "x") == "ax")
local n = 0
for _ in ("aaa"):gmatch("^a") do n = n + 1 if n > 10 then error("for ever") end end
assert(("^^"):match("^^") and ("a\0b"):find("%z") == 2 and ("a\0b"):find("\0") == 2)
