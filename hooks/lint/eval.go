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
		return value{texts: constant(e.Value)}
	case *ast.NumberExpr:
		return number(e.Value)
	case *ast.IdentExpr:
		return c.ident(e)
	case *ast.AttrGetExpr:
		return c.attribute(e)
	case *ast.TableExpr:
		return c.table(e)
	case *ast.FuncCallExpr:
		return c.call(e)
	case *ast.FunctionExpr:
		c.functionBody(e, newFunction(true), false)
		return value{}
	case *ast.StringConcatOpExpr:
		a, b := c.eval(e.Lhs), c.eval(e.Rhs)
		return value{texts: c.concat(a.texts, b.texts)}
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

// number is a whole number as Lua makes a text of it.
func number(text string) value {
	if len(text) > 15 || strings.Trim(text, "0123456789") != "" || text != "0" && text[0] == '0' {
		return value{}
	}
	return value{texts: []string{text}, number: true}
}

func (c *checker) ident(e *ast.IdentExpr) value {
	if b := c.scope.find(e.Value); b != nil {
		return b.value
	}
	v := c.global(e.Value, e.Line())
	if hint := removedGlobal(v.api); hint != "" && !c.assigned[v.api] {
		c.add(SeverityError, CodeRemoved, e.Line(), v.api, "%q does not exist in a hook; %s", v.api, hint)
	}
	return v
}

// global is what a global name stands for; what nobody has is noted.
func (c *checker) global(name string, line int) value {
	if slices.Contains(plainGlobals(), name) || members(name) != nil || removedGlobal(name) != "" {
		return value{api: name}
	}
	if len(c.unknown[name]) < maxFindings {
		c.unknown[name] = append(c.unknown[name], line)
	}
	return value{}
}

// attribute follows object.key and object["key"].
func (c *checker) attribute(e *ast.AttrGetExpr) value {
	object := c.object(e.Object)
	key := c.eval(e.Key)
	isLibrary := members(object.api) != nil
	switch {
	case object.api == "_G", isLibrary:
		if !known(key.texts) || len(key.texts) != 1 {
			c.hide(object.api, e.Line())
			return value{}
		}
	case removedGlobal(object.api) != "" && !c.assigned[object.api]:
		c.removed(object.api, key, e.Line())
		return value{}
	default:
		return value{}
	}
	name := key.texts[0]
	if object.api == "_G" {
		v := c.global(name, e.Line())
		if hint := removedGlobal(v.api); hint != "" {
			c.add(SeverityError, CodeRemoved, e.Line(), name, "%q does not exist in a hook; %s", name, hint)
		}
		return v
	}
	return c.member(object.api, name, e.Line())
}

// object is eval for what stands before a dot: of a global that does not
// exist, the member tells more than the name.
func (c *checker) object(e ast.Expr) value {
	if id, ok := e.(*ast.IdentExpr); ok && c.scope.find(id.Value) == nil && removedGlobal(id.Value) != "" {
		return value{api: id.Value}
	}
	return c.eval(e)
}

func (c *checker) removed(library string, key value, line int) {
	name, hint := library, removedGlobal(library)
	if known(key.texts) && len(key.texts) == 1 {
		name = library + "." + key.texts[0]
		hint = removedMember(name)
	}
	near := name
	if !c.has(line, near) {
		near = strings.TrimPrefix(name, library+".")
	}
	c.add(SeverityError, CodeRemoved, line, near, "%q does not exist in a hook; %s", clip(name), hint)
}

func (c *checker) member(library, key string, line int) value {
	all := members(library)
	name := library + "." + key
	if slices.Contains(all, key) {
		return value{api: name}
	}
	hint := removedMember(name)
	if hint == "" {
		hint = library + " has " + strings.Join(all, ", ")
	}
	c.add(SeverityError, CodeFunction, line, key, "%q does not exist in a hook; %s", clip(name), hint)
	return value{}
}

// table walks a constructor: what it holds, as far as it is constant.
func (c *checker) table(e *ast.TableExpr) value {
	t := &table{keys: map[string]int{}}
	for i, f := range e.Fields {
		if f.Key != nil {
			c.eval(f.Key)
		}
		v := c.eval(f.Value)
		c.escape(v, e.Line())
		t.entry(f, v, i == len(e.Fields)-1 && c.manyValues(f.Value))
	}
	return value{table: t}
}

// entry adds one field; many says that it may be any number of values.
func (t *table) entry(f *ast.Field, v value, many bool) {
	if f.Key != nil {
		if k, ok := f.Key.(*ast.StringExpr); ok {
			t.keys[k.Value] = lineOf(f.Key, f.Value)
		} else if t.open = true; !isNumber(f.Key) {
			t.dynamic = true
		}
	} else {
		t.list = append(t.list, v)
		t.open = t.open || many
	}
	if known(v.texts) && len(t.items)+len(v.texts) <= maxTexts {
		t.items = append(t.items, v.texts...)
	} else {
		t.varied = true
	}
}

func isNumber(e ast.Expr) bool {
	_, ok := e.(*ast.NumberExpr)
	return ok
}

// manyValues reports whether an expression at the end of a list may be any
// number of values.
func (c *checker) manyValues(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Comma3Expr:
		return !e.AdjustRet
	case *ast.FuncCallExpr:
		return !e.AdjustRet && !c.oneValue(e.Func)
	}
	return false
}

// oneValue reports whether a call of e gives one value: of functions that
// often stand in arguments.
func (c *checker) oneValue(e ast.Expr) bool {
	name := ""
	switch e := e.(type) {
	case *ast.IdentExpr:
		if c.scope.find(e.Value) == nil {
			name = e.Value
		}
	case *ast.AttrGetExpr:
		object, isName := e.Object.(*ast.IdentExpr)
		key, isText := e.Key.(*ast.StringExpr)
		if isName && isText && c.scope.find(object.Value) == nil {
			name = object.Value + "." + key.Value
		}
	}
	return slices.Contains([]string{"report.get", "tostring", "string.format", "string.lower", "string.sub"}, name)
}

func lineOf(key, val ast.Expr) int {
	if key.Line() > 0 {
		return key.Line()
	}
	return val.Line()
}

// put follows t[key] = v.
func (t *table) put(keys []string, v value, line int) {
	if !known(keys) {
		t.loose()
		keys = nil
	}
	for _, k := range keys {
		t.keys[k] = line
	}
	if known(v.texts) && len(t.items)+len(v.texts) <= maxTexts {
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
		} else {
			c.escape(receiver, e.Line())
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
	case sinkRead, sinkList, sinkStat, sinkField:
		c.sink(target.api, arg(args, 0), line)
		return
	case sinkRun:
		c.runs = append(c.runs, run{name: arg(args, 0), args: arg(args, 1), given: len(args), line: line})
		return
	}
	if target.fn != nil {
		target.fn.calls = append(target.fn.calls, call{line: line, args: args})
	}
	for _, a := range args {
		switch {
		case a.texts != nil:
		case target.fn != nil && a.table != nil:
			a.table.dynamic = true // whether its list changes, settle says
		case a.param != nil:
			a.param.leak()
		default:
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
		v.table.loose()
	}
	if v.param != nil {
		v.param.leak()
	}
	if v.api == "_G" || len(kindsOf(v.api)) > 0 {
		c.hide(v.api, line)
	}
}

func (p *param) leak() { p.fn.leaks[p.index] = true }

// kindsOf are the uses that somebody has who has this part of the sandbox.
func kindsOf(api string) []string {
	all := []string{sinkRead, sinkList, sinkStat, sinkRun, sinkField}
	if api == "_G" {
		return all
	}
	library, _, member := strings.Cut(api, ".")
	return slices.DeleteFunc(all, func(kind string) bool {
		return kind != api && (member || !strings.HasPrefix(kind, library+"."))
	})
}

// hide notes that a capability is used in a way that cannot be followed.
func (c *checker) hide(api string, line int) {
	kinds := kindsOf(api)
	for _, kind := range kinds {
		c.hidden[kind] = true
	}
	if api == "_G" {
		c.anyGlobal = true
	}
	if len(kinds) > 0 {
		near, _, _ := strings.Cut(api, ".")
		c.add(SeverityWarning, CodeHidden, line, near, "what becomes of %s here cannot be checked; reviewers must follow it by hand", api)
	}
}
