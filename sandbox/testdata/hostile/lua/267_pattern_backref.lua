local s = ("ab"):rep(100000)
while true do s:find("(.-)(.-)%1%2x") end
