local t = {}
for i = 1, 1000 do t["k" .. i] = i end
for round = 1, 20 do
  pcall(function() for k in pairs(t) do t[k] = nil t[k .. "x"] = 1 if #k > 30 then break end end end)
end
