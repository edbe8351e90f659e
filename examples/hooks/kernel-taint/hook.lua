-- Says whether the kernel was tainted when the report was looked at, and by what.
-- Bits and letters: the kernel's Documentation/admin-guide/tainted-kernels.rst.
local bits = {
  {"P", "proprietary module loaded"},
  {"F", "module force-loaded"},
  {"S", "kernel running out of its specification"},
  {"R", "module force-unloaded"},
  {"M", "machine check exception reported"},
  {"B", "bad page or unexpected page flags"},
  {"U", "taint requested by user space"},
  {"D", "kernel died recently: oops or bug"},
  {"A", "ACPI table overridden"},
  {"W", "kernel warning issued"},
  {"C", "staging driver loaded"},
  {"I", "workaround for a firmware bug applied"},
  {"O", "externally built module loaded"},
  {"E", "unsigned module loaded"},
  {"L", "soft lockup occurred"},
  {"K", "kernel live-patched"},
  {"X", "auxiliary taint, defined by the distribution"},
  {"T", "built with randomised structure layout"},
  {"N", "in-kernel test run"},
  {"J", "user space mutated debug state of firmware"},
}

local text = fs.read("/proc/sys/kernel/tainted")
local value = tonumber(text:match("%d+"))
if not value then
  error("not a number in /proc/sys/kernel/tainted")
end

local letters, reasons = {}, {}
local rest = value
for bit, taint in ipairs(bits) do
  if rest % 2 == 1 then
    letters[#letters + 1] = taint[1]
    reasons[#reasons + 1] = string.format("bit %d (%s): %s", bit - 1, taint[1], taint[2])
  end
  rest = math.floor(rest / 2)
end
if rest > 0 then
  reasons[#reasons + 1] = string.format("unknown higher bits: %d", rest)
end

report.set("KernelTaintValue", value)
report.set("KernelTainted", value ~= 0)
report.set("KernelTaintFlags", table.concat(letters))
report.set("KernelTaintReasons", #reasons > 0 and table.concat(reasons, "\n") or "not tainted")
