local e = json.decode("[]")
assert(getmetatable(e) == false and not pcall(setmetatable, e, {}))
e.x = 1
assert(json.encode(e) == '{"x":1}')
e.x, e[1] = nil, 1
assert(json.encode(e) == "[1]")
