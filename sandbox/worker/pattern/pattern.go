// Package pattern matches Lua 5.1 patterns with bounded work: every step is
// told to a counter, which may end the process, and recursion is capped. The
// matcher of the Lua library in use is neither bounded nor interruptible.
package pattern

import (
	"errors"
)

const (
	maxCaptures = 32
	maxDepth    = 200
	stepBatch   = 256
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

const (
	lenUnfinished = -1
	lenPosition   = -2
)

// Capture is one capture of a match: a piece of the subject, or a position
// (1-based) where Position is set.
type Capture struct {
	Text     string
	At       int
	Position bool
}

// Matcher matches one pattern against one subject.
type Matcher struct {
	src, pat string
	anchored bool
	tick     func(int64)
	steps    int64
	depth    int
	level    int
	captures [maxCaptures]struct{ start, length int }
}

// New returns a matcher. tick is told how many steps of work were done.
func New(src, pat string, tick func(int64)) *Matcher {
	m := &Matcher{src: src, pat: pat, tick: tick}
	if len(pat) > 0 && pat[0] == '^' {
		m.anchored, m.pat = true, pat[1:]
	}
	return m
}

// Anchored reports whether the pattern began with ^.
func (m *Matcher) Anchored() bool { return m.anchored }

// Find looks for the first match at or after init and returns its bounds, or
// -1 where there is none. Captures are valid until the next call.
func (m *Matcher) Find(init int) (start, end int, err error) {
	for s := init; s <= len(m.src); s++ {
		m.step(1)
		if end, err = m.MatchAt(s); err != nil || end >= 0 {
			return s, end, err
		}
		if m.anchored {
			break
		}
	}
	return -1, -1, nil
}

// MatchAt matches at exactly s and returns the end, or -1.
func (m *Matcher) MatchAt(s int) (end int, err error) {
	m.level, m.depth = 0, 0
	return m.match(s, 0)
}

// Captures returns the captures of the last match from start to end; the
// whole match where the pattern has none.
func (m *Matcher) Captures(start, end int) ([]Capture, error) {
	if m.level == 0 {
		return []Capture{{Text: m.src[start:end]}}, nil
	}
	out := make([]Capture, m.level)
	for i := range m.level {
		c := m.captures[i]
		switch c.length {
		case lenUnfinished:
			return nil, ErrUnfinished
		case lenPosition:
			out[i] = Capture{At: c.start + 1, Position: true}
		default:
			out[i] = Capture{Text: m.src[c.start : c.start+c.length]}
		}
	}
	return out, nil
}

func (m *Matcher) step(n int) {
	if m.steps += int64(n); m.steps >= stepBatch {
		m.tick(m.steps)
		m.steps = 0
	}
}

func (m *Matcher) match(s, p int) (int, error) {
	if m.depth >= maxDepth {
		return -1, ErrTooComplex
	}
	m.depth++
	end, err := m.run(s, p)
	m.depth--
	return end, err
}

// run is the loop of Lua's own matcher: single characters advance in place,
// everything that may have to come back recurses.
func (m *Matcher) run(s, p int) (int, error) {
	for {
		m.step(1)
		if p == len(m.pat) {
			return s, nil
		}
		switch m.pat[p] {
		case '(':
			if p+1 < len(m.pat) && m.pat[p+1] == ')' {
				return m.open(s, p+2, lenPosition)
			}
			return m.open(s, p+1, lenUnfinished)
		case ')':
			return m.close(s, p+1)
		case '$':
			if p+1 == len(m.pat) {
				if s == len(m.src) {
					return s, nil
				}
				return -1, nil
			}
		case '%':
			next, np, special, err := m.special(s, p)
			if err != nil {
				return -1, err
			}
			if special {
				if next < 0 {
					return -1, nil
				}
				s, p = next, np
				continue
			}
		}
		ep, err := m.classEnd(p)
		if err != nil {
			return -1, err
		}
		next, np, done, err := m.item(s, p, ep)
		if done || err != nil {
			return next, err
		}
		s, p = next, np
	}
}

// item matches one class with its suffix: either the end of everything
// (done), or where to go on.
func (m *Matcher) item(s, p, ep int) (next, np int, done bool, err error) {
	var suffix byte
	if ep < len(m.pat) {
		suffix = m.pat[ep]
	}
	switch suffix {
	case '?':
		if m.single(s, p, ep) {
			if end, err := m.match(s+1, ep+1); err != nil || end >= 0 {
				return end, 0, true, err
			}
		}
		return s, ep + 1, false, nil
	case '*':
		end, err := m.maxExpand(s, p, ep)
		return end, 0, true, err
	case '+':
		if !m.single(s, p, ep) {
			return -1, 0, true, nil
		}
		end, err := m.maxExpand(s+1, p, ep)
		return end, 0, true, err
	case '-':
		end, err := m.minExpand(s, p, ep)
		return end, 0, true, err
	}
	if !m.single(s, p, ep) {
		return -1, 0, true, nil
	}
	return s + 1, ep, false, nil
}

// special handles %b, %f and back references.
func (m *Matcher) special(s, p int) (next, np int, ok bool, err error) {
	if p+1 >= len(m.pat) {
		return 0, 0, false, nil // classEnd reports it
	}
	switch c := m.pat[p+1]; {
	case c == 'b':
		next, err = m.balance(s, p+2)
		return next, p + 4, true, err
	case c == 'f':
		next, np, err = m.frontier(s, p+2)
		return next, np, true, err
	case '0' <= c && c <= '9':
		next, err = m.backReference(s, c)
		return next, p + 2, true, err
	}
	return 0, 0, false, nil
}

func (m *Matcher) maxExpand(s, p, ep int) (int, error) {
	i := 0
	for m.single(s+i, p, ep) {
		i++
	}
	for ; i >= 0; i-- {
		if end, err := m.match(s+i, ep+1); err != nil || end >= 0 {
			return end, err
		}
	}
	return -1, nil
}

func (m *Matcher) minExpand(s, p, ep int) (int, error) {
	for {
		if end, err := m.match(s, ep+1); err != nil || end >= 0 {
			return end, err
		}
		if !m.single(s, p, ep) {
			return -1, nil
		}
		s++
	}
}

func (m *Matcher) open(s, p, kind int) (int, error) {
	if m.level >= maxCaptures {
		return -1, ErrCaptures
	}
	m.captures[m.level].start, m.captures[m.level].length = s, kind
	m.level++
	end, err := m.match(s, p)
	if end < 0 {
		m.level--
	}
	return end, err
}

func (m *Matcher) close(s, p int) (int, error) {
	i := m.level - 1
	for ; i >= 0 && m.captures[i].length != lenUnfinished; i-- {
	}
	if i < 0 {
		return -1, ErrCapture
	}
	m.captures[i].length = s - m.captures[i].start
	end, err := m.match(s, p)
	if end < 0 {
		m.captures[i].length = lenUnfinished
	}
	return end, err
}

func (m *Matcher) balance(s, p int) (int, error) {
	if p+1 >= len(m.pat) {
		return -1, ErrBalance
	}
	if s >= len(m.src) || m.src[s] != m.pat[p] {
		return -1, nil
	}
	open, shut, count := m.pat[p], m.pat[p+1], 1
	for i := s + 1; i < len(m.src); i++ {
		m.step(1)
		switch m.src[i] {
		case shut:
			if count--; count == 0 {
				return i + 1, nil
			}
		case open:
			count++
		}
	}
	return -1, nil
}

func (m *Matcher) frontier(s, p int) (next, np int, err error) {
	if p >= len(m.pat) || m.pat[p] != '[' {
		return -1, 0, ErrFrontier
	}
	ep, err := m.classEnd(p)
	if err != nil {
		return -1, 0, err
	}
	var before, after byte
	if s > 0 {
		before = m.src[s-1]
	}
	if s < len(m.src) {
		after = m.src[s]
	}
	if m.set(before, p, ep-1) || !m.set(after, p, ep-1) {
		return -1, 0, nil
	}
	return s, ep, nil
}

func (m *Matcher) backReference(s int, digit byte) (int, error) {
	i := int(digit) - '1'
	if i < 0 || i >= m.level || m.captures[i].length == lenUnfinished {
		return -1, ErrCapture
	}
	c := m.captures[i]
	if c.length == lenPosition {
		return -1, ErrCapture
	}
	m.step(c.length)
	if len(m.src)-s < c.length || m.src[c.start:c.start+c.length] != m.src[s:s+c.length] {
		return -1, nil
	}
	return s + c.length, nil
}

// HasCaptures reports whether the last match captured anything but itself.
func (m *Matcher) HasCaptures() bool { return m.level > 0 }

// Text returns a piece of the subject.
func (m *Matcher) Text(start, end int) string { return m.src[start:end] }
