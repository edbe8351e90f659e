package lint

import (
	"path"
	"strings"

	"hookline/hooks"
)

// The uses of which the manifest has a say, by the function that makes them.
const (
	sinkRead  = "fs.read"
	sinkList  = "fs.list"
	sinkStat  = "fs.stat"
	sinkRun   = "cmd.run"
	sinkField = "report.set"
)

func pathKinds() []string { return []string{sinkRead, sinkList, sinkStat} }

// allowed are the paths that the manifest declares for one kind of use.
func (c *checker) allowed(kind string) []string {
	switch kind {
	case sinkRead:
		return c.p.Capabilities.FSRead
	case sinkList:
		return c.p.Capabilities.FSList
	case sinkStat:
		return c.p.Capabilities.FSStat
	}
	return nil
}

// verb is a kind of use in words.
func verb(kind string) string {
	switch kind {
	case sinkRead:
		return "read"
	case sinkList:
		return "list"
	}
	return "look at"
}

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
	if !c.step() {
		return
	}
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
		// Somebody may call it with anything.
		c.dynamic(s.kind, fn.line)
	}
	for _, call := range fn.calls {
		c.sink(s.kind, arg(call.args, s.index), call.line)
	}
}

func (c *checker) dynamic(kind string, line int) {
	c.hidden[kind] = true
	if kind == sinkField {
		c.add(SeverityWarning, CodeFieldDynamic, line, kind, "this field name is computed; it is checked only when the hook runs")
		return
	}
	c.add(SeverityWarning, CodePathDynamic, line, kind, "this path is computed; it is checked only when the hook runs")
}

func (c *checker) checkText(kind, text string, line int) {
	partial := strings.Contains(text, hole)
	switch {
	case kind == sinkField && partial:
		c.dynamic(kind, line)
	case kind == sinkField:
		c.checkField(text, line)
	case partial:
		c.checkPartial(kind, text, line)
	default:
		c.checkPath(kind, text, line)
	}
}

func (c *checker) checkPath(kind, text string, line int) {
	if !path.IsAbs(text) || path.Clean(text) != text || len(text) > hooks.MaxPathLength {
		c.add(SeverityError, CodePathInvalid, line, text, "%q must be an absolute, clean path", clip(text))
		return
	}
	for _, pattern := range c.allowed(kind) {
		if hooks.Cover([]string{pattern}, text) != hooks.NotCovered {
			c.used[use{kind, pattern}] = true
		}
	}
	covered := hooks.Cover(c.allowed(kind), text)
	if reason := never(kind, text, covered == hooks.ByProcess); reason != "" {
		c.add(SeverityError, CodePathNever, line, text, "%q is never open, whatever the manifest says: %s", clip(text), reason)
		return
	}
	if covered == hooks.NotCovered {
		c.add(SeverityError, CodePath, line, text, "the manifest does not ask to %s %q; add it to capabilities: %s", verb(kind), clip(text), kind)
	}
}

// never is why a path is refused whatever was signed, "" where it is not. The
// open files of a process of the filer's may be counted.
func never(kind, text string, process bool) string {
	if _, file, ok := hooks.ProcessPath(text); ok && process && kind == sinkList && file == "fd" {
		return ""
	}
	return hooks.NeverRead(text)
}

// checkPartial checks a path of which only parts are known: the declared ones
// that it may become count as used, and where there is none it is refused
// whatever the unknown parts are.
func (c *checker) checkPartial(kind, text string, line int) {
	before, _, _ := strings.Cut(text, hole)
	after := text[strings.LastIndex(text, hole)+1:]
	fits := false
	for _, pattern := range c.allowed(kind) {
		if mayBecome(before, after, pattern) {
			c.used[use{kind, pattern}], fits = true, true
		}
	}
	shown := clip(strings.ReplaceAll(text, hole, "…"))
	if !fits {
		c.add(SeverityError, CodePath, line, kind, "the manifest asks to %s nothing like %q; add it to capabilities: %s", verb(kind), shown, kind)
		return
	}
	c.add(SeverityWarning, CodePathDynamic, line, kind, "part of the path %q is chosen at run time", shown)
}

// mayBecome reports whether a text that begins and ends like that may be a
// path that the pattern covers.
func mayBecome(before, after, pattern string) bool {
	head, tail, open := pattern, pattern, false
	if dir, ok := strings.CutSuffix(strings.TrimSuffix(pattern, "*"), "/*"); ok {
		head, tail, open = dir+"/", "", true
	} else if dir, ok := strings.CutSuffix(pattern, "/*"); ok {
		head, tail, open = dir+"/", "", true
	} else if a, b, ok := strings.Cut(pattern, hooks.PlacePID); ok {
		head, tail, open = a, b, true
	}
	if !open && len(before)+len(after) > len(pattern) {
		return false
	}
	return (strings.HasPrefix(head, before) || open && strings.HasPrefix(before, head)) &&
		(strings.HasSuffix(tail, after) || open && strings.HasSuffix(after, tail))
}

func (c *checker) checkField(name string, line int) {
	c.set[name] = true
	if !c.declared[name] {
		c.add(SeverityError, CodeField, line, name, "the manifest does not declare the field %q", clip(name))
	}
}
