package lint

import (
	"slices"
	"strings"

	"github.com/yuin/gopher-lua/ast"
)

// eval walks an expression and returns what is known of it.
func (c *checker) eval(e ast.Expr) value {
	defer func() { c.depth-- }()
	if !c.descend() {
		return value{}
	}
	switch e := e.(type) {
	case *ast.StringExpr:
		return value{texts: []string{e.Value}}
	case *ast.IdentExpr:
		return c.ident(e)
	case *ast.AttrGetExpr:
		return c.attribute(e)
	case *ast.TableExpr:
		return c.table(e)
	case *ast.FuncCallExpr:
		return c.call(e)
	case *ast.FunctionExpr:
		c.functionBody(e, &function{escapes: true}, false)
		return value{}
	case *ast.StringConcatOpExpr:
		a, b := c.eval(e.Lhs), c.eval(e.Rhs)
		return value{texts: concat(a.texts, b.texts)}
	case *ast.LogicalOpExpr:
		// "a or b" hands one of them on.
		c.escape(c.eval(e.Lhs), e.Line())
		c.escape(c.eval(e.Rhs), e.Line())
	case *ast.RelationalOpExpr:
		c.operands(e.Lhs, e.Rhs)
	case *ast.ArithmeticOpExpr:
		c.operands(e.Lhs, e.Rhs)
	case *ast.UnaryMinusOpExpr:
		c.operands(e.Expr)
	case *ast.UnaryNotOpExpr:
		c.operands(e.Expr)
	case *ast.UnaryLenOpExpr:
		c.operands(e.Expr)
	}
	return value{}
}

// operands walks what only an operator sees.
func (c *checker) operands(exprs ...ast.Expr) {
	for _, e := range exprs {
		c.eval(e)
	}
}

func (c *checker) ident(e *ast.IdentExpr) value {
	name := e.Value
	if b := c.scope.find(name); b != nil {
		return b.value
	}
	switch {
	case removedGlobal(name):
		if !c.assigned[name] {
			c.add(SeverityError, CodeRemoved, e.Line(), name, "%q does not exist in a hook", name)
		}
		return value{}
	case plainGlobal(name) || members(name) != nil:
		return value{api: name}
	}
	if len(c.unknown[name]) < maxFindings {
		c.unknown[name] = append(c.unknown[name], e.Line())
	}
	return value{}
}

// attribute follows object.key and object["key"].
func (c *checker) attribute(e *ast.AttrGetExpr) value {
	object, key := c.eval(e.Object), c.eval(e.Key)
	known := members(object.api)
	if known == nil {
		return value{}
	}
	if len(key.texts) != 1 {
		c.hide(object.api, e.Line())
		return value{}
	}
	name := object.api + "." + key.texts[0]
	if !slices.Contains(known, key.texts[0]) {
		has := "has " + strings.Join(known, ", ")
		if len(known) == 0 {
			has = "is empty in this version"
		}
		c.add(SeverityError, CodeFunction, e.Line(), key.texts[0], "%q does not exist; %s %s", clip(name), object.api, has)
		return value{}
	}
	return value{api: name}
}

// table walks a constructor.
func (c *checker) table(e *ast.TableExpr) value {
	for _, f := range e.Fields {
		if f.Key != nil {
			c.eval(f.Key)
		}
		v := c.eval(f.Value)
		c.escape(v, e.Line())
	}
	return c.constants(e)
}

// constants is what a constructor holds, as far as it is constant.
func (c *checker) constants(e *ast.TableExpr) value {
	t := &table{keys: map[string]int{}}
	for _, f := range e.Fields {
		if f.Key != nil {
			if k, ok := f.Key.(*ast.StringExpr); ok {
				t.keys[k.Value] = lineOf(f.Key, f.Value)
			} else if _, number := f.Key.(*ast.NumberExpr); !number {
				t.dynamic = true
			}
		}
		if s, ok := f.Value.(*ast.StringExpr); ok && len(t.items) < maxTexts {
			t.items = append(t.items, s.Value)
		} else {
			t.varied = true
		}
	}
	return value{table: t}
}

func lineOf(key, val ast.Expr) int {
	if key.Line() > 0 {
		return key.Line()
	}
	return val.Line()
}

// put follows t[key] = v.
func (t *table) put(keys []string, v value, line int) {
	if keys == nil {
		t.dynamic = true
	}
	for _, k := range keys {
		t.keys[k] = line
	}
	if v.texts != nil && len(t.items)+len(v.texts) <= maxTexts {
		t.items = append(t.items, v.texts...)
	} else {
		t.varied = true
	}
}

// call follows a call: of the sandbox's functions, through pcall and xpcall
// too, and of the script's own.
func (c *checker) call(e *ast.FuncCallExpr) value {
	if e.Method != "" {
		receiver := c.eval(e.Receiver)
		if members(receiver.api) != nil {
			c.add(SeverityError, CodeMethodCall, e.Line(), receiver.api+":", "call %s.%s with a dot, not a colon", receiver.api, e.Method)
		}
		for _, a := range e.Args {
			c.escape(c.eval(a), e.Line())
		}
		return value{}
	}
	target := c.eval(e.Func)
	args := make([]value, len(e.Args))
	for i, a := range e.Args {
		args[i] = c.eval(a)
	}
	c.apply(target, args, e.Line())
	if target.api == "ipairs" || target.api == "pairs" {
		return value{over: arg(args, 0).table}
	}
	return value{}
}

func (c *checker) apply(target value, args []value, line int) {
	switch target.api {
	case "pcall":
		if len(args) > 0 {
			c.apply(args[0], args[1:], line)
		}
		return
	case "xpcall":
		if len(args) > 1 {
			c.apply(args[0], args[2:], line)
			c.escape(args[1], line)
		}
		return
	case "ipairs", "pairs":
		return
	case "fs.read":
		c.sink(sinkPath, arg(args, 0), line)
		return
	case "report.set":
		c.sink(sinkField, arg(args, 0), line)
		return
	}
	if target.fn != nil {
		target.fn.calls = append(target.fn.calls, call{line: line, args: args})
	}
	for _, a := range args {
		if a.texts == nil && a.param == nil {
			c.escape(a, line)
		}
	}
}

func arg(args []value, i int) value {
	if i < len(args) {
		return args[i]
	}
	return value{}
}

// escape notes that a value goes where it is not followed.
func (c *checker) escape(v value, line int) {
	if v.fn != nil {
		v.fn.escapes = true
	}
	if v.table != nil {
		v.table.dynamic = true
	}
	switch v.api {
	case "fs", "report", "fs.read", "report.set", "_G":
		c.hide(v.api, line)
	}
}

// hide notes that a capability is used in a way that cannot be followed.
func (c *checker) hide(api string, line int) {
	switch {
	case api == "_G":
		c.hidden[sinkPath], c.hidden[sinkField] = true, true
	case strings.HasPrefix(api, "fs"):
		c.hidden[sinkPath] = true
	case strings.HasPrefix(api, "report"):
		c.hidden[sinkField] = true
	default:
		return
	}
	near, _, _ := strings.Cut(api, ".")
	c.add(SeverityWarning, CodeHidden, line, near, "what becomes of %s here cannot be checked; reviewers must follow it by hand", api)
}
