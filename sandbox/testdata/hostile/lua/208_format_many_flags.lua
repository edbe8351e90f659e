local f = "%" .. ("-"):rep(4e6 - 1)
while true do pcall(string.format, f, 1) end
