for _, v in ipairs { 0/0, 1/0, -1/0, print, coroutine.create(print), { [1.5] = 1 }, { [-1] = 1 }, { 1, nil, 3 }, { 1, a = 2 }, { [true] = 1 }, { [{}] = 1 }, { [2^53] = 1 }, { { { { { { { { { {} } } } } } } } } } } do
  local ok, err = pcall(json.encode, v)
  assert(not ok, tostring(err))
end
assert(json.encode(2^53) == "9007199254740992" and json.encode(-0) == "0" and json.encode("\255\0") == '"\239\191\189\\u0000"')
assert(not pcall(json.encode) and not pcall(json.encode, 1, 2))
