local t = json.decode('{"a":1,"a":2,"":3,"\\u0000":4,"A":5,"__index":6,"__metatable":7}')
assert(t.a == 2 and t[""] == 3 and t["\0"] == 4 and t.A == 5 and getmetatable(t) == nil and t.nope == nil)
local many = json.decode("{" .. ('"k":1,'):rep(20000) .. '"k":2}')
assert(many.k == 2)
