package worker

import (
	"errors"
	"slices"
	"strings"
)

var (
	errNesting   = errors.New("nested too deeply, or too long an expression")
	errFunctions = errors.New("more than 1000 functions")
)

// checkNesting looks over the script's text before it is parsed. It has to
// see only what recurses; the parser finds every error.
func checkNesting(script string) (line int, err error) {
	s := scan{text: script, line: 1}
	for s.next() {
		if s.brackets > maxNesting || s.depth > maxNesting || s.chain > maxChain {
			return s.line, errNesting
		}
		if s.functions > maxFunctions {
			return s.line, errFunctions
		}
	}
	return 0, nil
}

// scan is a reader of tokens that keeps count.
type scan struct {
	text      string
	at        int
	line      int
	brackets  int
	blocks    []int // open blocks: 1, and 1 more for each elseif
	depth     int   // sum of blocks
	inElseif  bool  // the next "then" belongs to an elseif
	functions int
	chain     int  // since the start of the expression
	operand   bool // the last token can end an expression
}

// next reads one token; false at the end.
func (s *scan) next() bool {
	if s.at >= len(s.text) {
		return false
	}
	c := s.text[s.at]
	switch {
	case c == '\n':
		s.line++
		s.at++
	case c == ' ' || c == '\t' || c == '\r':
		s.at++
	case strings.HasPrefix(s.text[s.at:], "--"):
		s.at += 2
		if !s.long() {
			s.upTo("\n")
		}
	case c == '"' || c == '\'':
		s.quoted(c)
		s.operand = true
	case isLetter(c) || isDigit(c):
		s.word()
	default:
		s.symbol(c)
	}
	return true
}

func (s *scan) symbol(c byte) {
	if c == '[' && s.long() {
		s.operand = true
		return
	}
	s.at++
	switch c {
	case '(', '{', '[':
		s.brackets++
		if s.operand {
			s.chain++ // a call or an index
		}
		s.operand = false
	case ')', '}', ']':
		s.brackets = max(s.brackets-1, 0)
		s.operand = true
	case ',', ';':
		s.chain, s.operand = 0, false
	default:
		if s.at < len(s.text) && strings.IndexByte(".=", s.text[s.at]) >= 0 {
			s.at++ // "..", "==", "<=" and their like are one operator
		}
		s.chain++
		s.operand = false
	}
}

func (s *scan) word() {
	from := s.at
	for s.at < len(s.text) && (isLetter(s.text[s.at]) || isDigit(s.text[s.at])) {
		s.at++
	}
	switch word := s.text[from:s.at]; word {
	case "and", "or", "not":
		s.chain++
		s.operand = false
	case "function", "do", "then", "repeat":
		s.open(word)
	case "end", "until":
		s.shut()
		s.operand = word == "end"
	case "elseif":
		s.elseif()
	case "local", "return", "if", "while", "for", "else", "in", "break", "goto":
		s.chain, s.operand = 0, false
	default:
		if s.operand { // two operands in a row: a new statement
			s.chain = 0
		}
		s.operand = true
	}
}

func (s *scan) open(word string) {
	if word == "function" {
		s.functions++
	}
	if word == "then" && s.inElseif {
		s.inElseif = false
	} else {
		s.blocks = append(s.blocks, 1)
		s.depth++
	}
	s.chain, s.operand = 0, false
}

func (s *scan) shut() {
	if n := len(s.blocks); n > 0 {
		s.depth -= s.blocks[n-1]
		s.blocks = slices.Delete(s.blocks, n-1, n)
	}
	s.chain = 0
}

// elseif is a block within the one before it, to the compiler.
func (s *scan) elseif() {
	if n := len(s.blocks); n > 0 {
		s.blocks[n-1]++
		s.depth++
	}
	s.inElseif = true
	s.chain, s.operand = 0, false
}

// long skips a long bracket, if there is one.
func (s *scan) long() bool {
	if s.at >= len(s.text) || s.text[s.at] != '[' {
		return false
	}
	level := s.at + 1
	for level < len(s.text) && s.text[level] == '=' {
		level++
	}
	if level >= len(s.text) || s.text[level] != '[' {
		return false
	}
	shut := "]" + s.text[s.at+1:level] + "]"
	s.at = level + 1
	s.upTo(shut)
	return true
}

func (s *scan) upTo(stop string) {
	rest := s.text[s.at:]
	i := strings.Index(rest, stop)
	if i < 0 {
		i = len(rest)
	} else {
		i += len(stop)
	}
	s.line += strings.Count(rest[:i], "\n")
	s.at += i
}

func (s *scan) quoted(quote byte) {
	for s.at++; s.at < len(s.text); s.at++ {
		switch s.text[s.at] {
		case '\\':
			s.at++
		case '\n':
			return // unfinished: the parser says so
		case quote:
			s.at++
			return
		}
	}
	s.at = len(s.text)
}

func isLetter(c byte) bool { return c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
