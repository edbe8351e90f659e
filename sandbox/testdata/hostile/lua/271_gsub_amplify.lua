local s = ("x"):rep(3000)
for i = 1, 5 do s = s:gsub(".", "%0%0%0%0%0%0%0%0%0%0%0%0%0%0%0%0") end
return s
