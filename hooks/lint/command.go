package lint

import (
	"strings"

	"hookline/hooks"
)

// run is one call of cmd.run.
type run struct {
	name, args value
	given      int // arguments of the call
	line       int
	depth      int // of functions of the script that it went through
}

// maxThrough is how many functions of the script a command is followed through.
const maxThrough = 8

// settle finds the tables whose lists may have been changed by a function of
// the script that got them, once every function was seen.
func (c *checker) settle() {
	for _, fn := range c.functions {
		for _, call := range fn.calls {
			for i, a := range call.args {
				if a.table != nil && (fn.escapes || fn.leaks[i] || i >= fn.params) {
					a.table.loose()
				}
			}
		}
	}
}

// followRuns checks every call of cmd.run; where name or arguments are
// parameters, for each call of their function.
func (c *checker) followRuns() {
	for len(c.runs) > 0 && c.step() {
		last := len(c.runs) - 1
		r := c.runs[last]
		c.runs = c.runs[:last]
		p := r.param()
		switch {
		case p == nil:
			c.checkRun(r)
		case p.fn.escapes || r.depth >= maxThrough:
			c.runs = append(c.runs, r.with(p.fn, nil, r.line))
		default:
			for _, call := range p.fn.calls {
				if !c.step() {
					return
				}
				if again := arg(call.args, p.index).param; again != nil && *again == *p {
					continue // it calls itself with what it got
				}
				c.runs = append(c.runs, r.with(p.fn, call.args, call.line))
			}
		}
	}
}

// param is a parameter that the call depends on, nil for none.
func (r run) param() *param {
	for _, v := range append([]value{r.name, r.args}, r.items()...) {
		if v.param != nil {
			return v.param
		}
	}
	return nil
}

func (r run) items() []value {
	if r.args.table == nil || r.args.table.open {
		return nil
	}
	return r.args.table.list
}

// with is r as it is in a call of fn with these arguments.
func (r run) with(fn *function, args []value, line int) run {
	put := func(v value) value {
		if v.param == nil || v.param.fn != fn {
			return v
		}
		return arg(args, v.param.index)
	}
	if items := r.items(); len(items) > 0 {
		list := make([]value, len(items))
		for i, v := range items {
			list[i] = put(v)
		}
		r.args = value{table: &table{list: list}}
	}
	r.name, r.args = put(r.name), put(r.args)
	r.line = line
	r.depth++
	return r
}

func (c *checker) checkRun(r run) {
	if !known(r.name.texts) {
		c.hidden[sinkRun] = true
		c.add(SeverityWarning, CodeCommandDynamic, r.line, sinkRun, "which command runs is computed; it is checked only when the hook runs")
		return
	}
	for _, name := range r.name.texts {
		cmd, ok := c.p.Capabilities.Command(name)
		if !ok {
			c.add(SeverityError, CodeCommand, r.line, name, "the manifest declares no command %q; add it to capabilities: cmd.run", clip(name))
			continue
		}
		c.used[use{sinkRun, name}] = true
		c.checkList(r, cmd)
	}
}

// checkList holds the arguments of a call against the declared ones, as far as
// they are known.
func (c *checker) checkList(r run, cmd hooks.Command) {
	switch {
	case r.given == 1, r.args.texts != nil:
		c.add(SeverityError, CodeArguments, r.line, sinkRun, "cmd.run needs a list of arguments after %q; {} where there is none", cmd.Name)
		return
	case r.args.table == nil, r.args.table.open:
		c.add(SeverityWarning, CodeArgumentDynamic, r.line, sinkRun, "the arguments of %s are computed; they are checked only when the hook runs", cmd.Name)
		return
	}
	if len(r.args.table.keys) > 0 {
		c.add(SeverityError, CodeArguments, r.line, sinkRun, "the arguments of %s must be a list", cmd.Name)
		return
	}
	items := r.items()
	if len(items) != len(cmd.Args) {
		c.add(SeverityError, CodeArguments, r.line, cmd.Name, "%v", cmd.Check(make([]string, len(items))))
		return
	}
	for i, item := range items {
		if !c.step() {
			return
		}
		if known(item.texts) {
			for _, text := range item.texts {
				c.checkArgument(r, cmd, i, text)
			}
			continue
		}
		c.chosenArgument(r, cmd, i)
	}
}

// checkArgument asks the very check that the broker makes, with all other
// arguments as they should be.
func (c *checker) checkArgument(r run, cmd hooks.Command, i int, text string) {
	args := make([]string, len(cmd.Args))
	for j, pattern := range cmd.Args {
		args[j] = sample(cmd, pattern)
	}
	args[i] = text
	if err := cmd.Check(args); err != nil {
		c.add(SeverityError, CodeArguments, r.line, text, "%v", err)
		return
	}
	if cmd.Args[i] == hooks.PlacePath {
		if reason := hooks.NeverRead(text); reason != "" {
			c.add(SeverityError, CodePathNever, r.line, text, "%q is never open, whatever the manifest says: %s", clip(text), reason)
		}
	}
	if pkg := c.p.Match.Package; cmd.Args[i] == hooks.PlacePackage && c.p.As == hooks.AsRoot && pkg != "" && text != pkg {
		c.add(SeverityWarning, CodeSteered, r.line, text, "as root over a report that somebody else filed, %s of %s may only be %q", hooks.PlacePackage, cmd.Name, pkg)
	}
}

// sample is a value that an argument may have.
func sample(cmd hooks.Command, pattern string) string {
	switch pattern {
	case hooks.PlacePackage:
		return "libc6"
	case hooks.PlacePID:
		return "1"
	case hooks.PlacePath:
		for _, p := range cmd.Paths {
			return strings.TrimRight(p, "*") + strings.Repeat("x", min(1, strings.Count(p, "*")))
		}
	}
	return pattern
}

func (c *checker) chosenArgument(r run, cmd hooks.Command, i int) {
	pattern := cmd.Args[i]
	switch pattern {
	case hooks.PlacePackage, hooks.PlacePID, hooks.PlacePath:
		c.add(SeverityWarning, CodeArgumentDynamic, r.line, cmd.Name, "argument %d of %s is chosen at run time: %s", i+1, cmd.Name, pattern)
	default:
		c.add(SeverityWarning, CodeArgumentDynamic, r.line, cmd.Name, "argument %d of %s is computed; anything but %q is refused", i+1, cmd.Name, pattern)
	}
}
