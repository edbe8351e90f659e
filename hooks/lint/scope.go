package lint

import (
	"slices"
	"strings"
)

// value is what is known of an expression without running it. The zero value
// is nothing at all.
type value struct {
	texts  []string  // every text it may be, hole for a part that is not known; nil is unknown
	number bool      // texts are those of numbers
	api    string    // "fs", "fs.read", "pcall": a name of the sandbox
	fn     *function // a function of the script
	param  *param    // a parameter of an enclosing function
	table  *table    // a table made here
	over   *table    // what pairs or ipairs goes through
}

// function is a function of the script, with the calls that were seen.
type function struct {
	calls   []call
	params  int
	line    int
	escapes bool         // used other than by calling it by its name
	leaks   map[int]bool // parameters that are changed, or handed on to what is not followed
}

func newFunction(escapes bool) *function { return &function{escapes: escapes, leaks: map[int]bool{}} }

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
	list    []value        // its items 1, 2, 3…, as it was made
	varied  bool           // it has a value that is no constant text
	dynamic bool           // it has a computed key, or somebody else has it too
	open    bool           // it may have become another list than that
}

// loose notes that somebody else may change it.
func (t *table) loose() { t.dynamic, t.open = true, true }

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

// declare binds a local on line; whoever gives it a library's name lets people
// read one thing for another.
func (c *checker) declare(name string, v value, line int) {
	if members(name) != nil && v.api != name {
		c.add(SeverityWarning, CodeShadowed, line, name, "from here on %q is not the library of that name; give it another one", name)
	}
	c.scope.vars[name] = &binding{value: v}
}

// maxTexts bounds the combinations of a concatenation, maxTextBytes each of
// them, and maxTextsBytes all that a script makes.
const (
	maxTexts      = 64
	maxTextBytes  = 4096
	maxTextsBytes = 4 << 20
)

// hole stands in a text for a part that is not known. Scripts cannot hold it;
// an escape that makes one becomes another character, as wrong as a NUL
// wherever a text is checked.
const hole = "\x00"

func constant(text string) []string { return []string{strings.ReplaceAll(text, hole, "\x01")} }

// known reports whether texts are there, and whole.
func known(texts []string) bool {
	return texts != nil && !slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(t, hole) })
}

// concat is what a..b may be.
func (c *checker) concat(a, b []string) []string {
	if a == nil && b == nil {
		return nil
	}
	if a == nil {
		a = []string{hole}
	}
	if b == nil {
		b = []string{hole}
	}
	if len(a)*len(b) > maxTexts {
		return nil
	}
	out := make([]string, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			c.madeBytes += len(x) + len(y)
			if len(x)+len(y) > maxTextBytes || c.madeBytes > maxTextsBytes {
				return nil
			}
			out = append(out, strings.ReplaceAll(x+y, hole+hole, hole))
		}
	}
	return out
}
