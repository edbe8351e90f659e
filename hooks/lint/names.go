package lint

import "strings"

// The names that a script finds in the sandbox; a test holds them against the
// worker's own.

// members are what is in a library; nil for what is none.
func members(library string) []string {
	switch library {
	case "report":
		return []string{"get", "names", "set"}
	case "fs":
		return []string{"list", "read", "stat"}
	case "cmd":
		return []string{"run"}
	case "sys":
		return []string{"facts"}
	case "json":
		return []string{"decode", "encode", "null"}
	case "time":
		return []string{"now"}
	case "string":
		return []string{"byte", "char", "find", "format", "gmatch", "gsub", "len", "lower", "match", "rep", "reverse", "sub", "upper"}
	case "table":
		return []string{"concat", "getn", "insert", "maxn", "remove", "sort"}
	case "math":
		return []string{
			"abs", "acos", "asin", "atan", "atan2", "ceil", "cos", "cosh", "deg", "exp", "floor", "fmod", "frexp", "huge",
			"ldexp", "log", "log10", "max", "min", "mod", "modf", "pi", "pow", "rad", "random", "randomseed", "sin", "sinh",
			"sqrt", "tan", "tanh",
		}
	case "coroutine":
		return []string{"create", "resume", "running", "status", "wrap", "yield"}
	}
	return nil
}

// plainGlobals are the functions and values of the sandbox itself.
func plainGlobals() []string {
	return []string{
		"_G", "_VERSION", "assert", "error", "getmetatable", "ipairs", "log", "next", "pairs", "pcall", "print", "rawequal",
		"rawget", "rawset", "select", "setmetatable", "tonumber", "tostring", "type", "unpack", "xpcall",
	}
}

// removedGlobal says what to do instead of a global that Lua, this or a later
// version of it, has and the sandbox has not; "" for any other name.
func removedGlobal(name string) string {
	switch name {
	case "os":
		return "time.now() tells the time, sys.facts() about the machine, cmd.run runs what the manifest declares"
	case "io":
		return "fs.read reads what the manifest declares; log(text) writes to the peer's record"
	case "load", "loadfile", "loadstring", "dofile", "require", "module", "package":
		return "a hook is one file; define functions in it"
	case "debug":
		return "use log(text), or hookline hook test"
	case "collectgarbage":
		return "leave it out: the sandbox bounds memory"
	case "getfenv", "setfenv":
		return "use locals and parameters"
	case "newproxy":
		return "use setmetatable({}, …)"
	case "channel", "_printregs":
		return "leave it out"
	case "bit32", "bit":
		return "use math.floor and %"
	case "utf8":
		return "texts are bytes; use string.byte and patterns"
	}
	return ""
}

// removedMember says what to do instead of a function that Lua has and the
// sandbox has not, "" where there is nothing to say.
func removedMember(name string) string {
	switch name {
	case "os.time", "os.clock", "os.date", "os.difftime":
		return "use time.now(), Unix seconds"
	case "os.getenv":
		return "the environment is never open; sys.facts() tells about the machine"
	case "os.execute", "io.popen":
		return "declare the program under capabilities: cmd.run and call cmd.run(name, {…})"
	case "os.exit":
		return "use return, or error(text)"
	case "os.remove", "os.rename", "os.tmpname", "os.setlocale", "os.setenv", "io.tmpfile", "io.output":
		return "a hook changes nothing on the machine"
	case "io.open", "io.lines", "io.read", "io.input":
		return "declare the path under capabilities: fs.read and call fs.read(path)"
	case "io.write", "io.stderr", "io.stdout":
		return "use log(text)"
	case "string.dump":
		return "compiled Lua runs nowhere; leave it out"
	case "string.gfind":
		return "use string.gmatch"
	case "string.pack", "string.unpack", "string.packsize":
		return "use string.byte and string.char"
	case "table.unpack":
		return "use unpack"
	case "table.pack":
		return "use {…} and select(\"#\", …)"
	case "table.foreach", "table.foreachi":
		return "use for with pairs or ipairs"
	case "math.tointeger":
		return "use math.floor"
	case "coroutine.isyieldable", "coroutine.close":
		return "it is of a later Lua; a hook is Lua 5.1"
	}
	library, _, _ := strings.Cut(name, ".")
	return removedGlobal(library)
}
