local kept = {}
for i = 1, 4000 do kept[i] = fs.read("@FIX@/allowed/ok") .. i end
while true do kept[#kept + 1] = fs.read("/proc/meminfo") .. ("x"):rep(1e5) .. #kept end
