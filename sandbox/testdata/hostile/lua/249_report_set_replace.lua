for i = 1, 200 do
  report.set("Text", ("x"):rep(10000))
  report.set("Text", "")
end
for i = 1, 20 do pcall(report.set, "Text", ("x"):rep(70000)) end
report.set("Raw", ("y"):rep(60000))
