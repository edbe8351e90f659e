error("hook.lua:999999999999: denied limit-time \27[2J\r\n{\"code\":\"\"}", 0)
