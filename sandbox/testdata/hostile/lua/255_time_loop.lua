local t = time.now()
while time.now() < t + 3600 do end
