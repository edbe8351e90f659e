local kept = {}
local function deep(n) if n == 0 then coroutine.yield() end return deep(n - 1) + 1 end
for i = 1, 1000 do
  kept[i] = coroutine.create(deep)
  coroutine.resume(kept[i], 90)
  kept[-i] = ("x"):rep(1e5)
end
