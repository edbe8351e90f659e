// Package pattern matches Lua 5.1 patterns with bounded work: every step is
// told to a counter, which may end the process, and recursion is capped. The
// matcher of the Lua library in use is neither bounded nor interruptible, and
// slower.
package pattern

import "strings"

const (
	stepBatch = 256
	chunk     = 64 << 10 // bytes that are looked through between two words to the counter
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

// Matcher matches programs against subjects, one at a time.
type Matcher struct {
	src      string
	prog     *Program
	tick     func(int64)
	steps    int64
	depth    int
	level    int
	captures [maxCaptures]struct{ start, length int }
}

// New returns a matcher. tick is told how many steps of work were done.
func New(tick func(int64)) *Matcher { return &Matcher{tick: tick} }

// Reset makes m match prog against src.
func (m *Matcher) Reset(src string, prog *Program) {
	m.src, m.prog, m.level, m.depth = src, prog, 0, 0
}

// Find looks for the first match at or after init and returns its bounds, or
// -1 where there is none. Captures are valid until the next call.
func (m *Matcher) Find(init int) (start, end int, err error) {
	for s := init; s <= len(m.src); s++ {
		if !m.prog.anchored {
			if s = m.skip(s); s < 0 {
				break
			}
		}
		m.step(1)
		m.level, m.depth = 0, 0
		if end, err = m.match(s, 0); err != nil || end >= 0 {
			return s, end, err
		}
		if m.prog.anchored {
			break
		}
	}
	return -1, -1, nil
}

// skip goes on to where the pattern's beginning can be, or -1.
func (m *Matcher) skip(s int) int {
	switch first := &m.prog.first; first.kind {
	case kindText:
		for s <= len(m.src) {
			piece := m.src[s:min(s+chunk+len(first.text)-1, len(m.src))]
			i := strings.Index(piece, first.text)
			if i >= 0 {
				m.step(i / 16)
				return s + i
			}
			m.step(len(piece) / 16)
			s += chunk
		}
		return -1
	case kindSet:
		from := s
		for s < len(m.src) && !first.set.has(m.src[s]) {
			if s++; s-from >= chunk {
				m.step((s - from) / 4)
				from = s
			}
		}
		m.step((s - from) / 4)
		if s == len(m.src) {
			return -1
		}
	}
	return s
}

// Count returns how many captures the last match has: the whole match counts
// as one where the pattern has none.
func (m *Matcher) Count() int { return max(m.level, 1) }

// HasCaptures reports whether the last match captured anything but itself.
func (m *Matcher) HasCaptures() bool { return m.level > 0 }

// Capture returns capture i, from 0, of the last match from start to end.
func (m *Matcher) Capture(i, start, end int) (Capture, error) {
	if m.level == 0 {
		return Capture{Text: m.src[start:end]}, nil
	}
	c := m.captures[i]
	switch c.length {
	case lenUnfinished:
		return Capture{}, ErrUnfinished
	case lenPosition:
		return Capture{At: c.start + 1, Position: true}, nil
	}
	return Capture{Text: m.src[c.start : c.start+c.length]}, nil
}

// Text returns a piece of the subject.
func (m *Matcher) Text(start, end int) string { return m.src[start:end] }

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

// run is the loop of Lua's own matcher: what can match in one way only
// advances in place, everything that may have to come back recurses.
func (m *Matcher) run(s, p int) (int, error) {
	for {
		m.step(1)
		it := &m.prog.items[p]
		switch it.kind {
		case kindEnd:
			return s, nil
		case kindText:
			m.step(len(it.text) / 16)
			if !strings.HasPrefix(m.src[s:], it.text) {
				return -1, nil
			}
			s += len(it.text)
		case kindSet:
			next, done, err := m.item(it, s, p)
			if done || err != nil {
				return next, err
			}
			s = next
		case kindOpen:
			return m.open(s, p+1, lenUnfinished)
		case kindPosition:
			return m.open(s, p+1, lenPosition)
		case kindClose:
			return m.close(s, p+1)
		case kindDollar:
			if s != len(m.src) {
				return -1, nil
			}
		default:
			next, err := m.special(it, s)
			if next < 0 || err != nil {
				return -1, err
			}
			s = next
		}
		p++
	}
}

// item matches one class with its suffix: either the end of everything
// (done), or where to go on.
func (m *Matcher) item(it *item, s, p int) (next int, done bool, err error) {
	in := s < len(m.src) && it.set.has(m.src[s])
	switch it.suffix {
	case '?':
		if in {
			if end, err := m.after(it, s+1, p+1); err != nil || end >= 0 {
				return end, true, err
			}
		}
		return s, false, nil
	case '*':
		end, err := m.maxExpand(it, s, s, p)
		return end, true, err
	case '+':
		if !in {
			return -1, true, nil
		}
		end, err := m.maxExpand(it, s+1, s+1, p)
		return end, true, err
	case '-':
		end, err := m.minExpand(it, s, p)
		return end, true, err
	}
	if !in {
		return -1, true, nil
	}
	return s + 1, false, nil
}

// after matches what follows an item, where its first byte can be right.
func (m *Matcher) after(it *item, s, p int) (int, error) {
	if it.known && (s >= len(m.src) || m.src[s] != it.need) {
		m.steps++ // without asking the counter: the caller's loop does
		return -1, nil
	}
	return m.match(s, p)
}

// maxExpand takes as many characters of the set as there are from s on, and
// gives them back one by one, down to least.
func (m *Matcher) maxExpand(it *item, s, least, p int) (int, error) {
	from := s
	for s < len(m.src) && it.set.has(m.src[s]) {
		if s++; s-from >= chunk {
			m.step((s - from) / 4)
			from = s
		}
	}
	m.step((s - from) / 4)
	for ; s >= least; s-- {
		if end, err := m.after(it, s, p+1); err != nil || end >= 0 {
			return end, err
		}
		m.step(0)
	}
	return -1, nil
}

func (m *Matcher) minExpand(it *item, s, p int) (int, error) {
	for {
		if end, err := m.after(it, s, p+1); err != nil || end >= 0 {
			return end, err
		}
		m.step(0)
		if s >= len(m.src) || !it.set.has(m.src[s]) {
			return -1, nil
		}
		s++
	}
}

func (m *Matcher) open(s, p, kind int) (int, error) {
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
	for m.captures[i].length != lenUnfinished { // Compile saw to it that there is one
		i--
	}
	m.captures[i].length = s - m.captures[i].start
	end, err := m.match(s, p)
	if end < 0 {
		m.captures[i].length = lenUnfinished
	}
	return end, err
}

// special matches %b, %f and back references, and says what is malformed.
func (m *Matcher) special(it *item, s int) (next int, err error) {
	switch it.kind {
	case kindBalance:
		return m.balance(s, it.text[0], it.text[1]), nil
	case kindFrontier:
		return m.frontier(it, s), nil
	case kindBack:
		return m.backReference(s, it.text[0])
	}
	return -1, it.err
}

func (m *Matcher) balance(s int, open, shut byte) int {
	if s >= len(m.src) || m.src[s] != open {
		return -1
	}
	count := 1
	for i := s + 1; i < len(m.src); i++ {
		m.step(1)
		switch m.src[i] {
		case shut:
			if count--; count == 0 {
				return i + 1
			}
		case open:
			count++
		}
	}
	return -1
}

func (m *Matcher) frontier(it *item, s int) int {
	var before, after byte
	if s > 0 {
		before = m.src[s-1]
	}
	if s < len(m.src) {
		after = m.src[s]
	}
	if it.set.has(before) || !it.set.has(after) {
		return -1
	}
	return s
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
