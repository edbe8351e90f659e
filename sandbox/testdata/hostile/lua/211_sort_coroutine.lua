local c
c = coroutine.wrap(function()
  table.sort({ 3, 2, 1 }, function(a, b)
    local inner = coroutine.create(function() error(a) end)
    assert(not coroutine.resume(inner))
    return a < b
  end)
  return "done"
end)
assert(c() == "done")
