-- How near is the service to its limits? It filed the report about itself and
-- still runs: the report says which process it is.
local pid = report.get("ProcPid") or ""
if not pid:match("^[1-9]%d*$") then
  error("the report has no process number in ProcPid")
end

-- It may end at any time.
local read_status, status = pcall(fs.read, "/proc/" .. pid .. "/status")
local read_limits, text = pcall(fs.read, "/proc/" .. pid .. "/limits")
report.set("ServiceFound", read_status and read_limits)
if not (read_status and read_limits) then return end

local function number(name)
  return tonumber(status:match("\n" .. name .. ":%s+(%d+)"))
end

-- "Max open files            1024                 524288               files"
local limits = {}
for name, soft, hard, unit in text:gmatch("Max ([%l ]-)  +(%w+) +(%w+) +(%l*)") do
  limits[name] = {soft = tonumber(soft) or soft, hard = tonumber(hard) or hard, unit = unit}
end

-- The name tells whether another program has got the number meanwhile.
report.set("ServiceProcess", status:match("Name:%s+([^\n]*)") or "")
report.set("Threads", number("Threads") or 0)
report.set("ResidentKiB", number("VmRSS") or 0)
report.set("Limits", limits)

-- The kernel makes room for open files as they come and never takes it back:
-- so many the service had at most.
report.set("OpenFilesRoom", number("FDSize") or 0)

-- Only the service's own user may count them, and only up to 4,096.
local counted, names = pcall(fs.list, "/proc/" .. pid .. "/fd")
if counted then
  report.set("OpenFiles", #names)
  local most = limits["open files"] and tonumber(limits["open files"].soft)
  if most and most > 0 then
    report.set("OpenFilesPercent", math.floor(#names * 1000 / most + 0.5) / 10)
  end
end
