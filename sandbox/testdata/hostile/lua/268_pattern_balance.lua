local s = ("("):rep(1e6)
while true do s:gsub("%b()", "") end
