-- Were the file systems that the crashed program works on full, read-only or slow?
local OPEN = {["/home"] = true, ["/opt"] = true, ["/srv"] = true, ["/tmp"] = true, ["/usr"] = true, ["/var"] = true}
local MOST = 8 -- paths that are looked at

local function read(path)
  local ok, text = pcall(fs.read, path)
  return ok and text or ""
end

local function open(path)
  return OPEN[path:match("^/[^/]+")]
end

-- The report names paths: what the program could not write, where it was, what
-- it was told to work on. Its text is not to be trusted, so that only clean
-- paths are taken which the manifest opens.
local paths, seen = {}, {}
for _, field in ipairs({"StderrTail", "ProcCwd", "ProcCmdline", "ExecutablePath"}) do
  for word in (report.get(field) or ""):gmatch("/[%w._/-]+") do
    local path = word:gsub("[/.]+$", "")
    local clean = #path <= 200 and not path:find("/%.*/")
    if #paths < MOST and clean and open(path) and not seen[path] then
      seen[path] = true
      paths[#paths + 1] = path
    end
  end
end

-- What df says of a path, or of the nearest folder above that it can reach.
local function df(path)
  while path and open(path) do
    local ok, out, _, code = pcall(cmd.run, "df", {"--block-size=1024", "--output=fstype,size,avail,pcent,ipcent,target", path})
    if not ok then return "" end
    if code == 0 then return out end
    path = path:match("^(.+)/")
  end
  return ""
end

-- "37%", or "-" where there is no such figure.
local function percent(text)
  return tonumber(text:match("%d+"))
end

local options = {}
for mount, list in read("/proc/mounts"):gmatch("%S+ (%S+) %S+ (%S+)[^\n]*") do
  options[mount] = "," .. list .. ","
end

local systems, by_mount, fullest, read_only = {}, {}, 0, false
for _, path in ipairs(paths) do
  local kind, size, available, used, inodes, mount = df(path):match("\n(%S+)%s+(%d+)%s+(%d+)%s+(%S+)%s+(%S+)%s+(/[^\n]*)")
  local system = by_mount[mount or ""]
  if system then
    table.insert(system.paths, path)
  elseif mount then
    system = {
      mount = mount, type = kind, paths = {path}, size_kib = tonumber(size), available_kib = tonumber(available),
      used_percent = percent(used), inodes_percent = percent(inodes),
      read_only = (options[mount] or ""):find(",ro,", 1, true) ~= nil,
    }
    by_mount[mount] = system
    systems[#systems + 1] = system
    fullest = math.max(fullest, percent(used) or 0, percent(inodes) or 0)
    read_only = read_only or system.read_only
  end
end
if #systems > 0 then
  report.set("FileSystems", systems)
  report.set("FullestPercent", fullest)
  report.set("ReadOnly", read_only)
end

-- Pressure stall information is missing on kernels built without it.
local stall = {}
for kind, a10, a60, a300 in read("/proc/pressure/io"):gmatch("(%a+) avg10=([%d.]+) avg60=([%d.]+) avg300=([%d.]+)") do
  stall[kind] = {avg10 = tonumber(a10), avg60 = tonumber(a60), avg300 = tonumber(a300)}
end
if next(stall) then report.set("IOStallPercent", stall) end
