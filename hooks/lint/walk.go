package lint

import (
	"slices"

	"github.com/yuin/gopher-lua/ast"
)

// maxDepth bounds the nesting of statements and expressions that are walked.
const maxDepth = 1000

func (c *checker) block(stmts []ast.Stmt) {
	c.enter()
	defer c.leave()
	for _, s := range stmts {
		c.stmt(s)
	}
}

// descend counts one level of nesting; false means to go no further.
func (c *checker) descend() bool {
	c.depth++
	if c.depth > maxDepth {
		c.deep = true
	}
	return !c.deep
}

func (c *checker) stmt(s ast.Stmt) {
	defer func() { c.depth-- }()
	if !c.descend() {
		return
	}
	switch s := s.(type) {
	case *ast.AssignStmt:
		c.assign(s)
	case *ast.LocalAssignStmt:
		c.localAssign(s)
	case *ast.FuncCallStmt:
		c.eval(s.Expr)
	case *ast.DoBlockStmt:
		c.block(s.Stmts)
	case *ast.WhileStmt:
		c.eval(s.Condition)
		c.block(s.Stmts)
	case *ast.RepeatStmt:
		c.repeat(s)
	case *ast.IfStmt:
		c.eval(s.Condition)
		c.block(s.Then)
		c.block(s.Else)
	case *ast.NumberForStmt:
		c.numberFor(s)
	case *ast.GenericForStmt:
		c.genericFor(s)
	case *ast.FuncDefStmt:
		c.funcDef(s)
	case *ast.ReturnStmt:
		c.returns(s)
	}
}

func (c *checker) repeat(s *ast.RepeatStmt) {
	c.enter()
	defer c.leave()
	for _, inner := range s.Stmts {
		c.stmt(inner)
	}
	c.eval(s.Condition) // sees the block's locals
}

func (c *checker) numberFor(s *ast.NumberForStmt) {
	for _, e := range []ast.Expr{s.Init, s.Limit, s.Step} {
		if e != nil {
			c.eval(e)
		}
	}
	c.enter()
	defer c.leave()
	c.declare(s.Name, value{}, s.Line())
	c.block(s.Stmts)
}

// genericFor knows what pairs and ipairs over a table of constants give.
func (c *checker) genericFor(s *ast.GenericForStmt) {
	var source *table
	for i, e := range s.Exprs {
		v := c.eval(e)
		if i == 0 {
			source = v.over
		}
		c.escape(v, s.Line())
	}
	c.enter()
	defer c.leave()
	for i, name := range s.Names {
		c.declare(name, iterated(source, i), s.Line())
	}
	c.block(s.Stmts)
}

// iterated is the i-th loop variable of an iteration over t.
func iterated(t *table, i int) value {
	if t == nil || t.dynamic {
		return value{}
	}
	switch {
	case i == 0 && len(t.keys) > 0 && len(t.keys) <= maxTexts && len(t.keys) >= len(t.items):
		keys := make([]string, 0, len(t.keys))
		for k := range t.keys {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		return value{texts: keys}
	case i == 1 && !t.varied && len(t.items) > 0:
		return value{texts: t.items}
	}
	return value{}
}

func (c *checker) localAssign(s *ast.LocalAssignStmt) {
	if len(s.Names) == 1 && len(s.Exprs) == 1 {
		if f, ok := s.Exprs[0].(*ast.FunctionExpr); ok {
			fn := newFunction(false)
			c.declare(s.Names[0], value{fn: fn}, s.Line()) // it may call itself
			c.functionBody(f, fn, false)
			return
		}
	}
	values := make([]value, len(s.Names))
	for i, e := range s.Exprs {
		v := c.eval(e)
		if i < len(values) {
			values[i] = v
		}
	}
	for i, name := range s.Names {
		c.declare(name, values[i], s.Line())
	}
}

func (c *checker) assign(s *ast.AssignStmt) {
	values := make([]value, len(s.Lhs))
	for i, e := range s.Rhs {
		v := c.eval(e)
		if i < len(values) {
			values[i] = v
		}
	}
	for i, l := range s.Lhs {
		c.store(l, values[i], s.Line())
	}
}

// store follows one assignment.
func (c *checker) store(l ast.Expr, v value, line int) {
	switch l := l.(type) {
	case *ast.IdentExpr:
		if b := c.scope.find(l.Value); b != nil {
			if known(b.value.texts) && known(v.texts) && len(b.value.texts)+len(v.texts) <= maxTexts {
				b.value = value{texts: append(slices.Clone(b.value.texts), v.texts...)}
			} else {
				c.escape(v, line)
				c.escape(b.value, line)
				b.value = value{}
			}
			return
		}
		c.escape(v, line)
		c.assignGlobal(l.Value, line)
	case *ast.AttrGetExpr:
		object, key := c.object(l.Object), c.eval(l.Key)
		c.escape(v, line)
		switch {
		case object.table != nil && key.number:
			object.table.open = true
			object.table.put([]string{}, v, line)
		case object.table != nil:
			object.table.put(key.texts, v, line)
		case object.param != nil:
			object.param.leak()
		case object.api == "_G" && known(key.texts):
			for _, name := range key.texts {
				c.assigned[name] = true
				c.replaced(name, line)
			}
		case object.api != "":
			c.hide(object.api, line)
		}
	}
}

func (c *checker) assignGlobal(name string, line int) {
	if !c.assigned[name] && members(name) == nil {
		c.add(SeverityWarning, CodeAssigned, line, name, "%q is assigned without local; it is visible everywhere", clip(name))
	}
	c.assigned[name] = true
	c.replaced(name, line)
}

// replaced notes that a library gets another meaning for the whole script.
func (c *checker) replaced(name string, line int) {
	if members(name) != nil {
		c.add(SeverityWarning, CodeShadowed, line, name, "%q is replaced: what is called by that name from here on is not the library", name)
		c.hide(name, line)
	}
}

func (c *checker) funcDef(s *ast.FuncDefStmt) {
	if s.Name.Func != nil {
		c.store(s.Name.Func, value{}, s.Line())
	} else if s.Name.Receiver != nil {
		c.eval(s.Name.Receiver)
	}
	c.functionBody(s.Func, newFunction(true), s.Name.Method != "")
}

// functionBody walks a function with its parameters bound.
func (c *checker) functionBody(f *ast.FunctionExpr, fn *function, method bool) {
	c.functions = append(c.functions, fn)
	fn.line = f.Line()
	outer := c.function
	c.function = fn
	defer func() { c.function = outer }()
	c.enter()
	defer c.leave()
	if method {
		c.declare("self", value{}, f.Line())
	}
	if f.ParList != nil {
		fn.params = len(f.ParList.Names)
		for i, name := range f.ParList.Names {
			c.declare(name, value{param: &param{fn: fn, index: i}}, f.Line())
		}
	}
	c.block(f.Stmts)
}

// returns takes a table that the hook itself returns as fields that are set.
func (c *checker) returns(s *ast.ReturnStmt) {
	top := c.function == c.main
	for i, e := range s.Exprs {
		v := c.eval(e)
		if !top || i > 0 {
			c.escape(v, s.Line())
			continue
		}
		c.returnFields(e, v, s.Line())
	}
}

func (c *checker) returnFields(e ast.Expr, v value, line int) {
	switch e.(type) {
	case *ast.NilExpr, *ast.TrueExpr, *ast.FalseExpr, *ast.NumberExpr, *ast.StringExpr:
		return
	}
	if v.table == nil || v.table.dynamic {
		c.hidden[sinkField] = true
	}
	if v.table == nil {
		return
	}
	for key, at := range v.table.keys {
		if at == 0 {
			at = line
		}
		c.checkField(key, at)
	}
}
