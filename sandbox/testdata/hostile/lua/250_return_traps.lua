return setmetatable({ Int = 1 }, { __index = function() return 2 end, __newindex = error, __pairs = error, __len = error, __call = error, __tostring = error, __metatable = false })
