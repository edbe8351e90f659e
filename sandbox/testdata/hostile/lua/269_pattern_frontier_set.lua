local set = "[" .. ("a-z"):rep(20000) .. "]"
local s = ("1"):rep(100000)
while true do s:find("%f" .. set) s:find(set .. "-" .. set .. "$") end
