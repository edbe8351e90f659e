package pattern

// classEnd returns where the class that starts at p ends.
func (m *Matcher) classEnd(p int) (int, error) {
	c := m.pat[p]
	p++
	switch c {
	case '%':
		if p >= len(m.pat) {
			return 0, ErrEndsPercent
		}
		return p + 1, nil
	case '[':
		return m.setEnd(p)
	}
	return p, nil
}

func (m *Matcher) setEnd(p int) (int, error) {
	if p < len(m.pat) && m.pat[p] == '^' {
		p++
	}
	for first := true; first || p < len(m.pat) && m.pat[p] != ']'; first = false {
		if p >= len(m.pat) {
			return 0, ErrBracket
		}
		if m.pat[p] == '%' {
			p++
		}
		p++
	}
	if p >= len(m.pat) {
		return 0, ErrBracket
	}
	return p + 1, nil
}

// single reports whether the character at s is in the class [p, ep).
func (m *Matcher) single(s, p, ep int) bool {
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
func (m *Matcher) set(c byte, p, end int) bool {
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
