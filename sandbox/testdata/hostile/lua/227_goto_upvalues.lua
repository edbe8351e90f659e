local kept, n = {}, 0
::again::
do
  local x = { n }
  kept[#kept + 1] = function() x = { x } return x end
  n = n + 1
  if n < 100000 then goto again end
end
for i = 1, #kept do kept[i]() end
