for _, s in ipairs { '"\\ud800"', '"\\udc00\\ud800"', '"\255"', '"\192\128"', '"\\u0000"', '"\244\144\128\128"' } do
  local ok, v = pcall(json.decode, s)
  assert(not ok or type(v) == "string" and #v < 20)
end
