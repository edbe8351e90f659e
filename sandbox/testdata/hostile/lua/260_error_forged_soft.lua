local ok, err = pcall(fs.read, "/etc/shadow")
assert(not ok)
error(err .. "!", 0)
