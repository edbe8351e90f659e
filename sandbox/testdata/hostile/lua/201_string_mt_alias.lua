local mt = getmetatable("")
mt.__index = function() return function() while true do end end end
mt.__len, mt.__concat, mt.__call = error, error, error
assert(("x"):upper() == "X" and #"abc" == 3 and "a" .. "b" == "ab")
assert(not pcall(function() return ("x")() end))
assert(not pcall(function() ("x").y = 1 end))
