-- Whom has the kernel killed for want of memory, and was the crashed program one of them?
local MOST = 20 -- kills to bring back, the latest ones

-- The kernel's errors, or nil and why they cannot be had.
local function kernel_errors()
  local ok, out, err, code = pcall(cmd.run, "kernel-errors", {"--syslog", "--facility=kern", "--level=err", "--time-format=iso"})
  if not ok then return nil, out end
  if code ~= 0 then return nil, err end
  return out
end

-- The kernel knows programs by the first 15 bytes of their file's name.
local path = report.get("ExecutablePath") or ""
local crashed = path:match("([^/]+)$")
crashed = crashed and crashed:sub(1, 15)

-- Kernels differ in what stands between the name and the figures.
local function kill(line)
  local name, total, anon = line:match("Killed process %d+ %((.*)%).- total%-vm:(%d+)kB, anon%-rss:(%d+)kB")
  if not name then return nil end
  return {
    time = line:match("^(%S+)"),
    process = name,
    virtual_kib = tonumber(total),
    anonymous_kib = tonumber(anon),
    limit = line:find("Memory cgroup out of memory", 1, true) and "cgroup" or "machine",
    crashed_program = name == crashed,
  }
end

local text, problem = kernel_errors()
report.set("KernelLogReadable", text ~= nil)
if text then
  local kills, hit = {}, false
  for line in text:gmatch("[^\n]+") do
    local k = kill(line)
    if k then
      kills[#kills + 1] = k
      hit = hit or k.crashed_program
    end
  end
  local latest = {}
  for i = math.max(1, #kills - MOST + 1), #kills do latest[#latest + 1] = kills[i] end
  report.set("OOMKillCount", #kills)
  report.set("OOMKilledProgram", hit)
  if #latest > 0 then report.set("OOMKillList", latest) end
else
  report.set("KernelLogError", problem:sub(1, 400))
end

-- This count needs no permission, and the log forgets.
local ok, vmstat = pcall(fs.read, "/proc/vmstat")
local since_boot = ok and vmstat:match("oom_kill (%d+)")
if since_boot then report.set("OOMKillsSinceBoot", tonumber(since_boot)) end
