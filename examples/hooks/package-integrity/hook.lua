-- Do the installed files of the crashed package still have the content that
-- was shipped, and is it still the version that crashed?
local MOST = 100 -- paths to bring back of each kind
local name = report.get("Package") or ""

-- What a program prints, or nil and why there is nothing.
local function output(alias, argument)
  local ok, out, err, code = pcall(cmd.run, alias, {argument, name})
  if not ok then return nil, out end
  if code ~= 0 and out == "" then return nil, err end
  return out
end

-- "libc6:amd64<tab>2.36-9": the first line, where there are several architectures.
local shown = output("version", "--show")
local installed = shown and shown:match("^[^\t\n]*\t([^\n]+)")
if installed then
  report.set("InstalledVersion", installed)
  report.set("VersionDiffers", installed ~= report.get("PackageVersion"))
end

-- "??5?????? c /etc/x": nine checks, ? for one that was not made, then c for a
-- configuration file. A file that cannot be read has no check at all.
local function finding(line)
  local checks, kind, path = line:match("^(.........) (.) (/.*)$")
  if not path then return nil end
  local what = "other"
  if checks:sub(3, 3) == "5" then what = "content" end
  if checks:find("^missing") then what = "missing" end
  if checks == "?????????" or path:find(" %(.*%)$") then what = "unknown" end
  return {path = path:sub(1, 200), what = what, config = kind == "c"}
end

local listed, problem = output("verify", "--verify")
if not listed then
  report.set("PackageProblem", problem:sub(1, 400))
  return
end

local changed, unknown = {}, {}
for line in listed:gmatch("[^\n]+") do
  local f = finding(line)
  if f and f.what == "unknown" then
    unknown[#unknown + 1] = f.path
  elseif f then
    changed[#changed + 1] = f
  end
end

local function first(list)
  local out = {}
  for i = 1, math.min(#list, MOST) do out[i] = list[i] end
  return out
end

report.set("PackageUnchanged", #changed == 0)
report.set("ChangedFileCount", #changed)
if #changed > 0 then report.set("ChangedFiles", first(changed)) end
if #unknown > 0 then report.set("UncheckedFiles", first(unknown)) end
