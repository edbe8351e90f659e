-- Was the machine short of memory? Figures of now, from the kernel's own counters.
local function read(path)
  local ok, text = pcall(fs.read, path)
  if ok then return text end
  return nil
end

local function kib(meminfo, name)
  local n = meminfo:match("\n?" .. name .. ":%s+(%d+) kB")
  return n and tonumber(n) or nil
end

local meminfo = read("/proc/meminfo")
if meminfo then
  local total, available = kib(meminfo, "MemTotal"), kib(meminfo, "MemAvailable")
  if total then report.set("MemTotalKiB", total) end
  if available then report.set("MemAvailableKiB", available) end
  if total and available and total > 0 then
    report.set("MemAvailablePercent", math.floor(available * 1000 / total + 0.5) / 10)
  end
  local swap_total, swap_free = kib(meminfo, "SwapTotal"), kib(meminfo, "SwapFree")
  if swap_total and swap_free then report.set("SwapUsedKiB", swap_total - swap_free) end
  local dirty = kib(meminfo, "Dirty")
  if dirty then report.set("DirtyKiB", dirty) end
end

-- Pressure stall information is missing on kernels built without it.
local psi = read("/proc/pressure/memory")
if psi then
  local stall = {}
  for kind, a10, a60, a300 in psi:gmatch("(%a+) avg10=([%d.]+) avg60=([%d.]+) avg300=([%d.]+)") do
    stall[kind] = {avg10 = tonumber(a10), avg60 = tonumber(a60), avg300 = tonumber(a300)}
  end
  report.set("MemoryStallPercent", stall)
end

local vmstat = read("/proc/vmstat")
if vmstat then
  local kills = vmstat:match("oom_kill (%d+)")
  if kills then report.set("OOMKills", tonumber(kills)) end
end
