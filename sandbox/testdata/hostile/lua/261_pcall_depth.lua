local function f(n)
  pcall(xpcall, function()
    table.sort({ 2, 1 }, function() ("x"):gsub("x", function() f(n + 1) end) return false end)
  end, function(e) return e end)
end
f(1)
