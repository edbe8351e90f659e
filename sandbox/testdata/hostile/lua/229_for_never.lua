for i = 2^53, 2^53 + 10 do end
for i = 1, 2, 0 do end
for i = 2^53, 2^54 do end
