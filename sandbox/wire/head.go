package wire

import (
	"encoding/binary"
	"encoding/json"
	"slices"
)

// The heads of calls and their answers go over the pipes often, so they have a
// compact form of their own: texts with their length before them, numbers as
// varints, in the order of the struct. Every other head is JSON.

// compact is a head with a form of its own.
type compact interface{ appendTo(b []byte) []byte }

// compactInto is a pointer to one.
type compactInto interface{ parse(p *parser) }

// ops are the operations by the byte that stands for them. New ones come at the end.
func ops() [13]string {
	return [...]string{"", OpReady, OpGet, OpNames, OpSet, OpRead, OpLog, OpEnd, OpUnavailable, OpList, OpStat, OpRun, OpTrace}
}

// otherOp stands for an operation that is none, whose name follows.
const otherOp = 0xff

func (q Request) appendTo(b []byte) []byte {
	known := ops()
	if i := slices.Index(known[:], q.Op); i >= 0 {
		b = append(b, byte(i))
	} else {
		b = appendText(append(b, otherOp), q.Op)
	}
	b = appendText(b, q.Arg)
	if q.Code == "" && q.Error == "" && q.Line == 0 && q.Instructions == 0 && q.Heap == 0 {
		return b
	}
	b = appendText(appendText(b, q.Code), q.Error)
	b = binary.AppendVarint(b, int64(q.Line))
	b = binary.AppendVarint(b, q.Instructions)
	return binary.AppendVarint(b, q.Heap)
}

func (q *Request) parse(p *parser) {
	if op := p.byte(); op == otherOp {
		q.Op = p.text()
	} else if known := ops(); int(op) < len(known) {
		q.Op = known[op]
	} else {
		p.bad = true
	}
	q.Arg = p.text()
	if len(p.rest) == 0 {
		return
	}
	q.Code, q.Error = p.text(), p.text()
	q.Line, q.Instructions, q.Heap = int(p.number()), p.number(), p.number()
}

func (s Response) appendTo(b []byte) []byte {
	flags := byte(0)
	if s.Nil {
		flags = 1
	}
	b = append(b, flags)
	if s.Code == "" && s.Error == "" && s.Exit == 0 && s.Split == 0 {
		return b
	}
	b = appendText(appendText(b, s.Code), s.Error)
	b = binary.AppendVarint(b, int64(s.Exit))
	return binary.AppendVarint(b, int64(s.Split))
}

func (s *Response) parse(p *parser) {
	switch p.byte() {
	case 0:
	case 1:
		s.Nil = true
	default:
		p.bad = true
	}
	if len(p.rest) == 0 {
		return
	}
	s.Code, s.Error = p.text(), p.text()
	s.Exit, s.Split = int(p.number()), int(p.number())
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// parser reads a compact head; bad says that it is none.
type parser struct {
	rest []byte
	bad  bool
}

func (p *parser) byte() byte {
	if len(p.rest) == 0 {
		p.bad = true
		return 0
	}
	b := p.rest[0]
	p.rest = p.rest[1:]
	return b
}

func (p *parser) text() string {
	n, used := binary.Uvarint(p.rest)
	if used <= 0 || n > uint64(len(p.rest)-used) {
		p.bad, p.rest = true, nil
		return ""
	}
	s := string(p.rest[used : used+int(n)])
	p.rest = p.rest[used+int(n):]
	return s
}

func (p *parser) number() int64 {
	n, used := binary.Varint(p.rest)
	if used <= 0 {
		p.bad, p.rest = true, nil
		return 0
	}
	p.rest = p.rest[used:]
	return n
}

// appendHead appends the encoded head.
func appendHead(b []byte, head any) ([]byte, error) {
	if c, ok := head.(compact); ok {
		return c.appendTo(b), nil
	}
	text, err := json.Marshal(head)
	return append(b, text...), err
}
