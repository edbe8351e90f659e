for _, p in ipairs { "/proc/self/environ", "/proc/thread-self/environ", "/proc/self/task/1/environ", "/proc/1/environ", "/proc/1/../1/environ", "/proc/1/task/1/environ", "/proc/1/root/etc/shadow", "/proc/1/cwd/etc/shadow", "/proc/self/fd/0", "/proc/self/fd/3", "/dev/fd/3", "/dev/stdin", "/proc/1/mem", "/proc/kcore", "/proc/kmsg", "/sys/kernel/debug/x", "/sys/kernel/tracing/trace", "/proc/meminfo/", "/proc//meminfo", "/proc/./meminfo", "/proc/meminfo\0x", "/proc/self/../meminfo" } do
  local ok, err = pcall(fs.read, p)
  assert(not ok and not tostring(err):find("TOPSECRET"), p)
end
assert(#fs.read("/proc/meminfo") > 0)
