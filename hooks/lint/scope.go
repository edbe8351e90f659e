package lint

// value is what is known of an expression without running it. The zero value
// is nothing at all.
type value struct {
	texts []string  // every text it may be; nil is unknown
	api   string    // "fs", "fs.read", "pcall": a name of the sandbox
	fn    *function // a function of the script
	param *param    // a parameter of an enclosing function
	table *table    // a table made here
	over  *table    // what pairs or ipairs goes through
}

// function is a function of the script, with the calls that were seen.
type function struct {
	calls   []call
	escapes bool // used other than by calling it by its name
}

type call struct {
	line int
	args []value
}

// param is one parameter of a function.
type param struct {
	fn    *function
	index int
}

// table is a table constructor and what is assigned to it later.
type table struct {
	keys    map[string]int // constant keys with the line that sets them
	items   []string       // its values, where all are constant texts
	varied  bool           // it has a value that is no constant text
	dynamic bool           // it has a computed key
}

// binding is one local variable.
type binding struct{ value value }

// scope is a block's local variables.
type scope struct {
	parent *scope
	vars   map[string]*binding
}

func (s *scope) find(name string) *binding {
	for ; s != nil; s = s.parent {
		if b, ok := s.vars[name]; ok {
			return b
		}
	}
	return nil
}

func (c *checker) enter() { c.scope = &scope{parent: c.scope, vars: map[string]*binding{}} }
func (c *checker) leave() { c.scope = c.scope.parent }

func (c *checker) declare(name string, v value) {
	c.scope.vars[name] = &binding{value: v}
}

// maxTexts bounds the combinations of a concatenation.
const maxTexts = 64

func concat(a, b []string) []string {
	if a == nil || b == nil || len(a)*len(b) > maxTexts {
		return nil
	}
	out := make([]string, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			if len(x)+len(y) > 4096 {
				return nil
			}
			out = append(out, x+y)
		}
	}
	return out
}

// The names that a script finds in the sandbox.

// members are the libraries and what is in them.
func members(library string) []string {
	switch library {
	case "report":
		return []string{"get", "names", "set"}
	case "fs":
		return []string{"read"}
	case "cmd":
		return []string{} // its functions come with a later version
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

// plainGlobal reports whether name is a function of the sandbox.
func plainGlobal(name string) bool {
	switch name {
	case "assert", "error", "getmetatable", "ipairs", "log", "next", "pairs", "pcall", "print", "rawequal", "rawget", "rawset",
		"select", "setmetatable", "tonumber", "tostring", "type", "unpack", "xpcall", "_G", "_VERSION":
		return true
	}
	return false
}

// removedGlobal reports whether name is Lua's, but not the sandbox's.
func removedGlobal(name string) bool {
	switch name {
	case "channel", "collectgarbage", "debug", "dofile", "getfenv", "io", "load", "loadfile", "loadstring", "module",
		"newproxy", "os", "package", "require", "setfenv", "_printregs":
		return true
	}
	return false
}
