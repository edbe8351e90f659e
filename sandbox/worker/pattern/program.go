package pattern

import "errors"

const (
	maxCaptures = 32
	maxDepth    = 200  // matches within one another: what may have to come back recurses
	maxItems    = 4096 // of one pattern, so that a pattern of megabytes is not made into many times as much
)

// Errors of malformed or too demanding patterns.
var (
	ErrTooComplex  = errors.New("pattern too complex")
	ErrCaptures    = errors.New("too many captures")
	ErrCapture     = errors.New("invalid pattern capture")
	ErrUnfinished  = errors.New("unfinished capture")
	ErrEndsPercent = errors.New("malformed pattern (ends with '%')")
	ErrBracket     = errors.New("malformed pattern (missing ']')")
	ErrBalance     = errors.New("unbalanced pattern")
	ErrFrontier    = errors.New("missing '[' after '%f' in pattern")
)

type kind uint8

const (
	kindEnd      kind = iota // of the pattern
	kindText                 // text, as it stands
	kindSet                  // one character of set, with suffix
	kindOpen                 // (
	kindPosition             // ()
	kindClose                // )
	kindDollar               // $ at the end
	kindBalance              // %bxy, x and y in text
	kindFrontier             // %f[set]
	kindBack                 // %1, the digit in text
	kindWrong                // malformed from here on: an error where a match gets so far, as in Lua
)

// item is one step of a pattern.
type item struct {
	kind   kind
	suffix byte // 0 ? * + -
	need   byte // what comes after this item begins with this byte, where known
	known  bool
	set    set
	text   string
	err    error
}

// Program is a pattern that was read. It does not change, and may be used by
// any number of matchers.
type Program struct {
	anchored bool
	items    []item
	first    item // what a match begins with, where that is a text or a set; else kindEnd
}

// Compile reads a pattern. It never fails: an error is raised where a match
// gets to it.
func Compile(pat string) *Program {
	prog := &Program{}
	if len(pat) > 0 && pat[0] == '^' {
		prog.anchored, pat = true, pat[1:]
	}
	open, captures := 0, 0
	for pat != "" {
		it, rest := next(pat)
		switch {
		case it.kind == kindOpen && captures < maxCaptures:
			open, captures = open+1, captures+1
		case it.kind == kindPosition && captures < maxCaptures:
			captures++
		case it.kind == kindOpen || it.kind == kindPosition:
			it, rest = item{kind: kindWrong, err: ErrCaptures}, ""
		case it.kind == kindClose && open > 0:
			open--
		case it.kind == kindClose:
			it, rest = item{kind: kindWrong, err: ErrCapture}, ""
		}
		if len(prog.items) >= maxItems {
			it, rest = item{kind: kindWrong, err: ErrTooComplex}, ""
		}
		prog.items = append(prog.items, it)
		pat = rest
	}
	prog.items = append(prog.items, item{})
	prog.foresee()
	return prog
}

// Items returns how many steps the pattern has.
func (p *Program) Items() int { return len(p.items) }

// Anchored reports whether the pattern began with ^.
func (p *Program) Anchored() bool { return p.anchored }

// foresee notes with each item the byte that must follow it, and what the
// whole begins with, so that most of what cannot match is seen at a glance.
func (p *Program) foresee() {
	for i := len(p.items) - 2; i >= 0; i-- {
		it, after := &p.items[i], &p.items[i+1]
		switch after.kind {
		case kindText:
			it.need, it.known = after.text[0], true
		case kindOpen, kindPosition, kindClose:
			it.need, it.known = after.need, after.known
		}
	}
	for _, it := range p.items {
		switch {
		case it.kind == kindOpen || it.kind == kindPosition:
			continue
		case it.kind == kindText, it.kind == kindSet && (it.suffix == 0 || it.suffix == '+'):
			p.first = it
		}
		return
	}
}

// next reads one item.
func next(pat string) (it item, rest string) {
	switch pat[0] {
	case '(':
		if len(pat) > 1 && pat[1] == ')' {
			return item{kind: kindPosition}, pat[2:]
		}
		return item{kind: kindOpen}, pat[1:]
	case ')':
		return item{kind: kindClose}, pat[1:]
	case '$':
		if len(pat) == 1 {
			return item{kind: kindDollar}, ""
		}
	case '%':
		if it, rest, ok := special(pat); ok {
			return it, rest
		}
	}
	if n := plain(pat); n > 0 {
		return item{kind: kindText, text: pat[:n]}, pat[n:]
	}
	it = item{kind: kindSet}
	n, err := it.set.read(pat)
	if err != nil {
		return item{kind: kindWrong, err: err}, ""
	}
	if n < len(pat) && isSuffix(pat[n]) {
		it.suffix = pat[n]
		n++
	}
	return it, pat[n:]
}

// plain is how many characters pat begins with that stand for themselves.
func plain(pat string) int {
	n := 0
	for n < len(pat) && pat[n] != '%' && pat[n] != '.' && pat[n] != '[' && pat[n] != '(' && pat[n] != ')' && (pat[n] != '$' || n+1 < len(pat)) {
		n++
		if n < len(pat) && isSuffix(pat[n]) {
			return n - 1 // the last one has a suffix
		}
	}
	return n
}

func isSuffix(c byte) bool { return c == '?' || c == '*' || c == '+' || c == '-' }

// special reads %b, %f and back references.
func special(pat string) (it item, rest string, ok bool) {
	if len(pat) < 2 {
		return item{}, "", false
	}
	switch c := pat[1]; {
	case c == 'b':
		if len(pat) < 4 {
			return item{kind: kindWrong, err: ErrBalance}, "", true
		}
		return item{kind: kindBalance, text: pat[2:4]}, pat[4:], true
	case c == 'f':
		if len(pat) < 3 || pat[2] != '[' {
			return item{kind: kindWrong, err: ErrFrontier}, "", true
		}
		it = item{kind: kindFrontier}
		n, err := it.set.read(pat[2:])
		if err != nil {
			return item{kind: kindWrong, err: err}, "", true
		}
		return it, pat[2+n:], true
	case isDigit(c):
		return item{kind: kindBack, text: pat[1:2]}, pat[2:], true
	}
	return item{}, "", false
}
