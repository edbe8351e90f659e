for i = 1, 10000 do log(("\0\27[31m\255\n"):rep(1000)) end
print(nil, {}, print, 0/0, ("x"):rep(1e6))
log(setmetatable({}, { __tostring = function() return 1 end }))
