package worker

import (
	"math"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"
)

// scopes knows which locals a line of a script sees. The compiler's own notes
// cannot be used: they mix up the ends of locals as soon as there is a block.
type scopes struct {
	main  []local
	inner map[[2]int][]local // by first and last line; nil where two functions have the same
}

// local is one local variable of a function.
type local struct {
	name     string
	register int // counted from 0
	from, to int // lines that see it
}

// scopesOf reads a script that was compiled already.
func scopesOf(script string) *scopes {
	s := &scopes{inner: map[[2]int][]local{}}
	chunk, err := parse.Parse(strings.NewReader(script), chunkName)
	if err != nil {
		return s
	}
	f := function{scopes: s}
	f.block(chunk, math.MaxInt)
	s.main = f.locals
	return s
}

// of returns the locals of a compiled function.
func (s *scopes) of(proto, main *lua.FunctionProto) []local {
	if proto == main {
		return s.main
	}
	return s.inner[[2]int{proto.LineDefined, proto.LastLineDefined}]
}

// function collects the locals of one function as the compiler numbers them.
type function struct {
	scopes *scopes
	locals []local
	next   int // register
}

func (f *function) declare(name string, from, to int) {
	f.locals = append(f.locals, local{name: name, register: f.next, from: from, to: to})
	f.next++
}

func (f *function) function(fn *ast.FunctionExpr, method bool) {
	inner := function{scopes: f.scopes}
	if method {
		inner.declare("self", fn.Line(), fn.LastLine())
	}
	for _, name := range fn.ParList.Names {
		inner.declare(name, fn.Line(), fn.LastLine())
	}
	if fn.ParList.HasVargs && lua.CompatVarArg {
		inner.next++ // "arg"
	}
	inner.block(fn.Stmts, fn.LastLine())
	key := [2]int{fn.Line(), fn.LastLine()}
	if _, twice := f.scopes.inner[key]; twice {
		inner.locals = nil
	}
	f.scopes.inner[key] = inner.locals
}

// block goes through statements whose locals end with line last.
func (f *function) block(statements []ast.Stmt, last int) {
	before := f.next
	for i, statement := range statements {
		from := last // that sees the locals of this statement
		if i+1 < len(statements) {
			from = max(statements[i+1].Line(), statement.Line()+1)
		}
		f.statement(statement, from, last)
	}
	f.next = before
}

func (f *function) statement(statement ast.Stmt, from, last int) {
	switch s := statement.(type) {
	case *ast.LocalAssignStmt:
		f.expressions(s.Exprs)
		for _, name := range s.Names {
			f.declare(name, from, last)
		}
	case *ast.AssignStmt:
		f.expressions(s.Lhs)
		f.expressions(s.Rhs)
	case *ast.FuncCallStmt:
		f.expression(s.Expr)
	case *ast.FuncDefStmt:
		f.function(s.Func, s.Name.Method != "")
	case *ast.ReturnStmt:
		f.expressions(s.Exprs)
	case *ast.DoBlockStmt:
		f.block(s.Stmts, s.LastLine())
	case *ast.WhileStmt:
		f.expression(s.Condition)
		f.block(s.Stmts, s.LastLine())
	case *ast.RepeatStmt:
		f.block(s.Stmts, s.LastLine())
		f.expression(s.Condition)
	case *ast.IfStmt:
		f.expression(s.Condition)
		f.block(s.Then, min(last, firstLine(s.Else)-1, s.LastLine()))
		f.block(s.Else, s.LastLine())
	case *ast.NumberForStmt:
		f.expressions([]ast.Expr{s.Init, s.Limit, s.Step})
		f.loop([]string{s.Name}, s.Stmts, s)
	case *ast.GenericForStmt:
		f.expressions(s.Exprs)
		f.loop(s.Names, s.Stmts, s)
	}
}

func firstLine(statements []ast.Stmt) int {
	if len(statements) == 0 {
		return math.MaxInt
	}
	return statements[0].Line()
}

// loop is a for statement, which has three registers of its own.
func (f *function) loop(names []string, statements []ast.Stmt, at ast.Stmt) {
	before := f.next
	f.next += 3
	for _, name := range names {
		f.declare(name, at.Line()+1, at.LastLine())
	}
	f.block(statements, at.LastLine())
	f.next = before
}

func (f *function) expressions(expressions []ast.Expr) {
	for _, e := range expressions {
		f.expression(e)
	}
}

// expression looks for functions.
func (f *function) expression(expression ast.Expr) {
	switch e := expression.(type) {
	case *ast.FunctionExpr:
		f.function(e, false)
	case *ast.TableExpr:
		for _, field := range e.Fields {
			f.expressions([]ast.Expr{field.Key, field.Value})
		}
	case *ast.FuncCallExpr:
		f.expressions([]ast.Expr{e.Func, e.Receiver})
		f.expressions(e.Args)
	case *ast.AttrGetExpr:
		f.expressions([]ast.Expr{e.Object, e.Key})
	case *ast.LogicalOpExpr:
		f.expressions([]ast.Expr{e.Lhs, e.Rhs})
	case *ast.RelationalOpExpr:
		f.expressions([]ast.Expr{e.Lhs, e.Rhs})
	case *ast.StringConcatOpExpr:
		f.expressions([]ast.Expr{e.Lhs, e.Rhs})
	case *ast.ArithmeticOpExpr:
		f.expressions([]ast.Expr{e.Lhs, e.Rhs})
	case *ast.UnaryMinusOpExpr:
		f.expression(e.Expr)
	case *ast.UnaryNotOpExpr:
		f.expression(e.Expr)
	case *ast.UnaryLenOpExpr:
		f.expression(e.Expr)
	}
}
