local kept = {}
local s = "[" .. ("{},"):rep(300000) .. "{}]"
for i = 1, 1e9 do kept[i] = json.decode(s) end
