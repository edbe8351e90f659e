local s = '["' .. ("\\u0041"):rep(170000) .. '"]'
while true do json.decode(s) end
