package pattern_test

import "hookline/sandbox/worker/pattern"

// This is the matcher of Lua 5.1 itself, step for step: slow, and what the
// real one is held against.

const (
	maxCaptures = 32
	maxDepth    = 200
	stepBatch   = 256

	lenUnfinished = -1
	lenPosition   = -2
)

// plainMatcher matches one pattern against one subject.
type plainMatcher struct {
	src, pat string
	anchored bool
	tick     func(int64)
	steps    int64
	depth    int
	level    int
	captures [maxCaptures]struct{ start, length int }
}

// newPlain returns a matcher. tick is told how many steps of work were done.
func newPlain(src, pat string, tick func(int64)) *plainMatcher {
	m := &plainMatcher{src: src, pat: pat, tick: tick}
	if len(pat) > 0 && pat[0] == '^' {
		m.anchored, m.pat = true, pat[1:]
	}
	return m
}

// Anchored reports whether the pattern began with ^.
func (m *plainMatcher) Anchored() bool { return m.anchored }

// Find looks for the first match at or after init and returns its bounds, or
// -1 where there is none. Captures are valid until the next call.
func (m *plainMatcher) Find(init int) (start, end int, err error) {
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
func (m *plainMatcher) MatchAt(s int) (end int, err error) {
	m.level, m.depth = 0, 0
	return m.match(s, 0)
}

// Captures returns the captures of the last match from start to end; the
// whole match where the pattern has none.
func (m *plainMatcher) Captures(start, end int) ([]pattern.Capture, error) {
	if m.level == 0 {
		return []pattern.Capture{{Text: m.src[start:end]}}, nil
	}
	out := make([]pattern.Capture, m.level)
	for i := range m.level {
		c := m.captures[i]
		switch c.length {
		case lenUnfinished:
			return nil, pattern.ErrUnfinished
		case lenPosition:
			out[i] = pattern.Capture{At: c.start + 1, Position: true}
		default:
			out[i] = pattern.Capture{Text: m.src[c.start : c.start+c.length]}
		}
	}
	return out, nil
}

func (m *plainMatcher) step(n int) {
	if m.steps += int64(n); m.steps >= stepBatch {
		m.tick(m.steps)
		m.steps = 0
	}
}

func (m *plainMatcher) match(s, p int) (int, error) {
	if m.depth >= maxDepth {
		return -1, pattern.ErrTooComplex
	}
	m.depth++
	end, err := m.run(s, p)
	m.depth--
	return end, err
}

// run is the loop of Lua's own matcher: single characters advance in place,
// everything that may have to come back recurses.
func (m *plainMatcher) run(s, p int) (int, error) {
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
func (m *plainMatcher) item(s, p, ep int) (next, np int, done bool, err error) {
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
func (m *plainMatcher) special(s, p int) (next, np int, ok bool, err error) {
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

func (m *plainMatcher) maxExpand(s, p, ep int) (int, error) {
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

func (m *plainMatcher) minExpand(s, p, ep int) (int, error) {
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

func (m *plainMatcher) open(s, p, kind int) (int, error) {
	if m.level >= maxCaptures {
		return -1, pattern.ErrCaptures
	}
	m.captures[m.level].start, m.captures[m.level].length = s, kind
	m.level++
	end, err := m.match(s, p)
	if end < 0 {
		m.level--
	}
	return end, err
}

func (m *plainMatcher) close(s, p int) (int, error) {
	i := m.level - 1
	for ; i >= 0 && m.captures[i].length != lenUnfinished; i-- {
	}
	if i < 0 {
		return -1, pattern.ErrCapture
	}
	m.captures[i].length = s - m.captures[i].start
	end, err := m.match(s, p)
	if end < 0 {
		m.captures[i].length = lenUnfinished
	}
	return end, err
}

func (m *plainMatcher) balance(s, p int) (int, error) {
	if p+1 >= len(m.pat) {
		return -1, pattern.ErrBalance
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

func (m *plainMatcher) frontier(s, p int) (next, np int, err error) {
	if p >= len(m.pat) || m.pat[p] != '[' {
		return -1, 0, pattern.ErrFrontier
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

func (m *plainMatcher) backReference(s int, digit byte) (int, error) {
	i := int(digit) - '1'
	if i < 0 || i >= m.level || m.captures[i].length == lenUnfinished {
		return -1, pattern.ErrCapture
	}
	c := m.captures[i]
	if c.length == lenPosition {
		return -1, pattern.ErrCapture
	}
	m.step(c.length)
	if len(m.src)-s < c.length || m.src[c.start:c.start+c.length] != m.src[s:s+c.length] {
		return -1, nil
	}
	return s + c.length, nil
}

// HasCaptures reports whether the last match captured anything but itself.
func (m *plainMatcher) HasCaptures() bool { return m.level > 0 }

// Text returns a piece of the subject.
func (m *plainMatcher) Text(start, end int) string { return m.src[start:end] }

// classEnd returns where the class that starts at p ends.
func (m *plainMatcher) classEnd(p int) (int, error) {
	c := m.pat[p]
	p++
	switch c {
	case '%':
		if p >= len(m.pat) {
			return 0, pattern.ErrEndsPercent
		}
		return p + 1, nil
	case '[':
		return m.setEnd(p)
	}
	return p, nil
}

func (m *plainMatcher) setEnd(p int) (int, error) {
	if p < len(m.pat) && m.pat[p] == '^' {
		p++
	}
	for first := true; first || p < len(m.pat) && m.pat[p] != ']'; first = false {
		if p >= len(m.pat) {
			return 0, pattern.ErrBracket
		}
		if m.pat[p] == '%' {
			p++
		}
		p++
	}
	if p >= len(m.pat) {
		return 0, pattern.ErrBracket
	}
	return p + 1, nil
}

// single reports whether the character at s is in the class [p, ep).
func (m *plainMatcher) single(s, p, ep int) bool {
	m.step(ep - p)
	if s >= len(m.src) {
		return false
	}
	c := m.src[s]
	switch m.pat[p] {
	case '.':
		return true
	case '%':
		return class(c, m.pat[p+1])
	case '[':
		return m.set(c, p, ep-1)
	}
	return m.pat[p] == c
}

// set reports whether c is in the set from '[' at p to ']' at end.
func (m *plainMatcher) set(c byte, p, end int) bool {
	found := true
	p++
	if m.pat[p] == '^' {
		found = false
		p++
	}
	for ; p < end; p++ {
		switch {
		case m.pat[p] == '%':
			p++
			if class(c, m.pat[p]) {
				return found
			}
		case p+2 < end && m.pat[p+1] == '-':
			if m.pat[p] <= c && c <= m.pat[p+2] {
				return found
			}
			p += 2
		case m.pat[p] == c:
			return found
		}
	}
	return !found
}

// class reports whether c is in the class %letter. Only ASCII letters count,
// whatever the locale.
func class(c, letter byte) bool {
	var in bool
	switch letter | 0x20 {
	case 'a':
		in = isAlpha(c)
	case 'c':
		in = c < 0x20 || c == 0x7f
	case 'd':
		in = isDigit(c)
	case 'l':
		in = 'a' <= c && c <= 'z'
	case 'p':
		in = c > 0x20 && c < 0x7f && !isAlpha(c) && !isDigit(c)
	case 's':
		in = c == ' ' || '\t' <= c && c <= '\r'
	case 'u':
		in = 'A' <= c && c <= 'Z'
	case 'w':
		in = isAlpha(c) || isDigit(c)
	case 'x':
		in = isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f'
	case 'z':
		in = c == 0
	default:
		return letter == c
	}
	if !isAlpha(letter) {
		return letter == c
	}
	return in != ('A' <= letter && letter <= 'Z')
}

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
