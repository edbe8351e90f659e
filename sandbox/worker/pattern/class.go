package pattern

// set is the characters that one class of a pattern stands for.
type set [4]uint64

func (s *set) has(c byte) bool { return s[c>>6]&(1<<(c&63)) != 0 }

func (s *set) add(first, last byte) {
	for c := int(first); c <= int(last); c++ {
		s[c>>6] |= 1 << (c & 63)
	}
}

func (s *set) invert() {
	for i := range s {
		s[i] = ^s[i]
	}
}

func (s *set) join(other set) {
	for i := range s {
		s[i] |= other[i]
	}
}

// read reads the one class that pat begins with, and returns its length.
func (s *set) read(pat string) (int, error) {
	switch pat[0] {
	case '.':
		s.invert()
		return 1, nil
	case '%':
		if len(pat) < 2 {
			return 0, ErrEndsPercent
		}
		*s = class(pat[1])
		return 2, nil
	case '[':
		return s.readBrackets(pat)
	}
	s.add(pat[0], pat[0])
	return 1, nil
}

// readBrackets reads [set]. A ] that comes first stands for itself.
func (s *set) readBrackets(pat string) (int, error) {
	end := bracketEnd(pat)
	if end < 0 {
		return 0, ErrBracket
	}
	p, inverted := 1, false
	if pat[p] == '^' {
		p, inverted = p+1, true
	}
	for ; p < end; p++ {
		switch {
		case pat[p] == '%':
			p++
			s.join(class(pat[p]))
		case p+2 < end && pat[p+1] == '-':
			s.add(pat[p], pat[p+2])
			p += 2
		default:
			s.add(pat[p], pat[p])
		}
	}
	if inverted {
		s.invert()
	}
	return end + 1, nil
}

// bracketEnd is the index of the ] that ends the set, or -1.
func bracketEnd(pat string) int {
	p := 1
	if p < len(pat) && pat[p] == '^' {
		p++
	}
	for first := true; first || p < len(pat) && pat[p] != ']'; first = false {
		if p >= len(pat) {
			return -1
		}
		if pat[p] == '%' {
			p++
		}
		p++
	}
	if p >= len(pat) {
		return -1
	}
	return p
}

// class is what %letter stands for. Only ASCII letters count, whatever the
// locale; a capital is the opposite.
func class(letter byte) set {
	var s set
	switch letter | 0x20 {
	case 'a':
		s.letters()
	case 'c':
		s.add(0, 0x1f)
		s.add(0x7f, 0x7f)
	case 'd':
		s.add('0', '9')
	case 'l':
		s.add('a', 'z')
	case 'p':
		s.add('!', '/')
		s.add(':', '@')
		s.add('[', '`')
		s.add('{', '~')
	case 's':
		s.add(' ', ' ')
		s.add('\t', '\r')
	case 'u':
		s.add('A', 'Z')
	case 'w':
		s.letters()
		s.add('0', '9')
	case 'x':
		s.add('0', '9')
		s.add('a', 'f')
		s.add('A', 'F')
	case 'z':
		s.add(0, 0)
	}
	if s == (set{}) || !isAlpha(letter) {
		s = set{}
		s.add(letter, letter)
		return s
	}
	if letter <= 'Z' {
		s.invert()
	}
	return s
}

func (s *set) letters() {
	s.add('a', 'z')
	s.add('A', 'Z')
}

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
