package lint

import (
	"path"

	"hookline/hooks"
)

// The two kinds of text that end where the manifest has a say.
const (
	sinkPath  = "path"  // the argument of fs.read
	sinkField = "field" // the name for report.set
)

// sinkOf is a parameter that its function uses as a path or field name.
type sinkOf struct {
	kind  string
	index int
}

type resolution struct {
	fn    *function
	kind  string
	index int
}

// sink checks a value that is used as a path or field name on line.
func (c *checker) sink(kind string, v value, line int) {
	switch {
	case v.texts != nil:
		for _, text := range v.texts {
			c.checkText(kind, text, line)
		}
	case v.param != nil && !v.param.fn.escapes:
		r := resolution{v.param.fn, kind, v.param.index}
		if !c.resolved[r] {
			c.resolved[r] = true
			c.sinks[r.fn] = append(c.sinks[r.fn], sinkOf{kind, r.index})
		}
	default:
		c.dynamic(kind, line)
	}
}

// followParameters carries the constants of each call of a function of the
// script to where the function uses them. A function may call another, so it
// goes on until nothing new comes up; c.resolved keeps each parameter single.
func (c *checker) followParameters() {
	done := map[resolution]bool{}
	for again := true; again; {
		again = false
		for fn, sinks := range c.sinks {
			for _, s := range sinks {
				r := resolution{fn, s.kind, s.index}
				if done[r] {
					continue
				}
				done[r], again = true, true
				c.followCalls(fn, s)
			}
		}
	}
}

func (c *checker) followCalls(fn *function, s sinkOf) {
	if fn.escapes {
		// Somebody may call it with anything; the finding has no single line.
		c.dynamic(s.kind, 0)
	}
	for _, call := range fn.calls {
		c.sink(s.kind, arg(call.args, s.index), call.line)
	}
}

func (c *checker) dynamic(kind string, line int) {
	c.hidden[kind] = true
	if kind == sinkPath {
		c.add(SeverityWarning, CodePathDynamic, line, "fs.read", "this path is computed; it is checked only when the hook runs")
		return
	}
	c.add(SeverityWarning, CodeFieldDynamic, line, "report.set", "this field name is computed; it is checked only when the hook runs")
}

func (c *checker) checkText(kind, text string, line int) {
	if kind == sinkField {
		c.checkField(text, line)
		return
	}
	if !path.IsAbs(text) || path.Clean(text) != text || len(text) > hooks.MaxPathLength {
		c.add(SeverityError, CodePathInvalid, line, text, "%q must be an absolute, clean path", clip(text))
		return
	}
	covered := false
	for _, pattern := range c.p.Capabilities.FSRead {
		if hooks.Cover([]string{pattern}, text) != hooks.NotCovered {
			c.used[pattern], covered = true, true
		}
	}
	if !covered {
		c.add(SeverityError, CodePath, line, text, "the manifest does not ask to read %q; add it to capabilities", clip(text))
	}
}

func (c *checker) checkField(name string, line int) {
	c.set[name] = true
	if !c.declared[name] {
		c.add(SeverityError, CodeField, line, name, "the manifest does not declare the field %q", clip(name))
	}
}
