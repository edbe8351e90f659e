-- How does this machine resolve names? Counts and order travel as they are;
-- addresses and host names in the texts are redacted before they leave.
local function read(path)
  local ok, text = pcall(fs.read, path)
  if ok then return text end
  return nil
end

local function lines(text)
  return text:gmatch("[^\n]+")
end

local resolv = read("/etc/resolv.conf")
if resolv then
  local servers, options, stub = 0, {}, false
  for line in lines(resolv) do
    local address = line:match("^%s*nameserver%s+(%S+)")
    if address then
      servers = servers + 1
      stub = stub or address == "127.0.0.53"
    end
    local option = line:match("^%s*options%s+(.*)")
    if option then options[#options + 1] = option end
  end
  report.set("ResolverServers", servers)
  report.set("ResolverStub", stub)
  report.set("ResolverOptions", table.concat(options, " "))
  report.set("ResolvConf", resolv)
else
  report.set("ResolverServers", 0)
end

local hosts = read("/etc/hosts")
if hosts then
  local entries, localhost = 0, false
  for line in lines(hosts) do
    if line:match("^%s*[%x:.]+%s+%S") then
      entries = entries + 1
      localhost = localhost or line:match("^%s*127%.0%.0%.1%s.*localhost") ~= nil
    end
  end
  report.set("HostsEntries", entries)
  report.set("HostsHasLocalhost", localhost)
end

local switch = read("/etc/nsswitch.conf")
if switch then
  local order = switch:match("\nhosts:%s*([^\n]*)") or switch:match("^hosts:%s*([^\n]*)")
  report.set("NameServiceOrder", order or "")
end
