// Package wire is what the processes of one sandbox run say to each other.
//
// A frame is a big-endian uint32, the number of bytes that follow; a uint32,
// the length of the head; the head, a small object (JSON, but for those of
// calls); and the tail, raw bytes that are the rest (a script, a file's
// content, a field's value as JSON). Both lengths are checked against a cap
// before anything is allocated.
//
// The worker speaks Request and hears Start, then one Response to each call.
// It cannot be trusted: the broker treats every Request as hostile.
package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"hookline/hooks"
)

const headerBytes = 8

// ErrTooBig says that a frame is over its cap, ErrMalformed that it is none.
var (
	ErrTooBig    = errors.New("frame is too big")
	ErrMalformed = errors.New("frame is malformed")
)

// What the worker asks for.
const (
	OpReady       = "ready"        // confined; no reply but Start
	OpGet         = "report.get"   // Arg name → tail value
	OpNames       = "report.names" // → tail JSON array
	OpSet         = "report.set"   // Arg name, tail JSON value
	OpRead        = "fs.read"      // Arg path → tail content
	OpList        = "fs.list"      // Arg folder → tail JSON array of names, sorted
	OpStat        = "fs.stat"      // Arg path → tail JSON, FileInfo
	OpRun         = "cmd.run"      // Arg the command's name, tail JSON array of arguments → Exit, Split, tail stdout and stderr
	OpTrace       = "trace"        // tail text of one line; no reply; only in a traced run
	OpLog         = "log"          // tail text; no reply
	OpEnd         = "end"          // Code, Error, Line and what was used; no reply
	OpUnavailable = "unavailable"  // Arg name of a call that there is none of
)

// Request is the head of a frame of the worker.
type Request struct {
	Op           string `json:"op"`
	Arg          string `json:"arg,omitempty"`
	Code         string `json:"code,omitempty"`
	Error        string `json:"error,omitempty"`
	Line         int    `json:"line,omitempty"`
	Instructions int64  `json:"instructions,omitempty"`
	Heap         int64  `json:"heap,omitempty"`
}

// Start is the head of the first frame that the worker hears; its tail is the
// script.
type Start struct {
	RuntimeMS int64       `json:"runtime_ms"`
	NowMS     int64       `json:"now_ms"` // Unix milliseconds
	Facts     hooks.Facts `json:"facts"`
	Trace     bool        `json:"trace,omitempty"`
	Stay      bool        `json:"stay,omitempty"` // do not end by yourself after the end: the parent looks at your memory
}

// Response is the head of the answer to one call. Nil says that the thing
// asked for does not exist. A Code is why the call was refused or failed.
type Response struct {
	Code  string `json:"code,omitempty"`
	Error string `json:"error,omitempty"`
	Nil   bool   `json:"nil,omitempty"`
	Exit  int    `json:"exit,omitempty"`  // of a command
	Split int    `json:"split,omitempty"` // bytes of the tail that are a command's stdout; the rest is stderr
}

// FileInfo is what fs.stat tells, a link in the last place not followed.
type FileInfo struct {
	Type    string `json:"type"` // file, directory, link, fifo, socket, device
	Size    int64  `json:"size"` // bytes
	Mode    uint32 `json:"mode"` // permission bits
	UID     uint32 `json:"uid"`
	GID     uint32 `json:"gid"`
	Links   uint64 `json:"links"`
	ModTime int64  `json:"mtime"` // Unix seconds
}

// LintTask is the head of the one frame that the lint mode hears; its tail is
// the script.
type LintTask struct {
	Predicate hooks.Predicate `json:"predicate"`
}

// Write writes one frame of at most limit bytes, headers included, and
// returns its size.
func Write(w io.Writer, head any, tail []byte, limit int) (int, error) {
	frame, err := Encode(head, tail, limit)
	if err != nil {
		return 0, err
	}
	_, err = w.Write(frame)
	return len(frame), err
}

// Encode returns the bytes of one frame of at most limit bytes.
func Encode(head any, tail []byte, limit int) ([]byte, error) {
	return Append(make([]byte, 0, headerBytes+64+len(tail)), head, tail, limit)
}

// Append appends one frame of at most limit bytes to b, which must be empty:
// it is there to be used again.
func Append(b []byte, head any, tail []byte, limit int) ([]byte, error) {
	frame, err := appendHead(append(b, make([]byte, headerBytes)...), head)
	if err != nil {
		return nil, fmt.Errorf("cannot encode a frame: %w", err)
	}
	length := len(frame) - headerBytes
	if len(frame)+len(tail) > limit {
		return nil, ErrTooBig
	}
	frame = append(frame, tail...)
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
	binary.BigEndian.PutUint32(frame[4:], uint32(length))
	return frame, nil
}

// Read reads one frame of at most limit bytes into head, which must decode
// strictly, and returns its tail and its size. It returns io.EOF only at the
// end between two frames.
func Read(r io.Reader, head any, limit int) (tail []byte, size int, err error) {
	body, err := readBody(r, limit)
	if err != nil {
		return nil, 0, err
	}
	tail, err = decodeBody(body, head)
	return tail, len(body) + 4, err
}

// Reader reads frames one after the other into room of its own, which each
// uses again: most come whole at one read.
type Reader struct {
	r      io.Reader
	room   []byte
	unread []byte // of room
}

// readerRoom is the room that a Reader begins with, in bytes.
const readerRoom = 4 << 10

// NewReader returns a Reader that reads ahead on r.
func NewReader(r io.Reader) *Reader { return &Reader{r: r, room: make([]byte, readerRoom)} }

// Next is Read. The tail stays as it is until the next call.
func (r *Reader) Next(head any, limit int) (tail []byte, size int, err error) {
	if err := r.need(4); err != nil {
		return nil, 0, err
	}
	length, err := bodySize(r.unread, limit)
	if err != nil {
		return nil, 0, err
	}
	if err := r.need(4 + length); err != nil {
		return nil, 0, err
	}
	body := r.unread[4 : 4+length]
	r.unread = r.unread[4+length:]
	tail, err = decodeBody(body, head)
	return tail, 4 + length, err
}

// need reads until n bytes are there. It returns io.EOF only where nothing is.
func (r *Reader) need(n int) error {
	if len(r.unread) >= n {
		return nil
	}
	if n > len(r.room) {
		room := make([]byte, n)
		r.unread = room[:copy(room, r.unread)]
		r.room = room
	} else {
		r.unread = r.room[:copy(r.room, r.unread)]
	}
	more, err := io.ReadAtLeast(r.r, r.room[len(r.unread):], n-len(r.unread))
	if errors.Is(err, io.EOF) && len(r.unread) > 0 {
		err = io.ErrUnexpectedEOF
	}
	r.unread = r.room[:len(r.unread)+more]
	return err
}

// ReadCounted is Read for a JSON head of at most values values: arrays of
// empty objects take a hundred times their bytes once they are decoded.
func ReadCounted(r io.Reader, head any, limit, values int) (tail []byte, size int, err error) {
	body, err := readBody(r, limit)
	if err != nil {
		return nil, 0, err
	}
	if countValues(body[4:]) > values {
		return nil, 0, ErrTooBig
	}
	tail, err = decodeBody(body, head)
	return tail, len(body) + 4, err
}

// countValues counts what can stand between values of JSON, in text or out of
// it: never fewer than there are.
func countValues(b []byte) int {
	n := 1
	inText := false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inText && c == '\\':
			i++
		case c == '"':
			inText = !inText
		case !inText && (c == ',' || c == '[' || c == '{' || c == ':'):
			n++
		}
	}
	return n
}

func readBody(r io.Reader, limit int) ([]byte, error) {
	var prefix [4]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return nil, err
	}
	size, err := bodySize(prefix[:], limit)
	if err != nil {
		return nil, err
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return body, nil
}

// bodySize is the length that a frame begins with, of what follows.
func bodySize(prefix []byte, limit int) (int, error) {
	size := int64(binary.BigEndian.Uint32(prefix))
	switch {
	case size > int64(limit)-4:
		return 0, ErrTooBig
	case size < 4:
		return 0, ErrMalformed
	}
	return int(size), nil
}

func decodeBody(body []byte, head any) ([]byte, error) {
	length := int64(binary.BigEndian.Uint32(body))
	if length > int64(len(body)-4) {
		return nil, ErrMalformed
	}
	text, tail := body[4:4+length], body[4+length:]
	if c, ok := head.(compactInto); ok {
		p := &parser{rest: text}
		if c.parse(p); p.bad || len(p.rest) > 0 {
			return nil, ErrMalformed
		}
		return tail, nil
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	if err := dec.Decode(head); err != nil {
		return nil, ErrMalformed
	}
	if dec.InputOffset() != length {
		return nil, ErrMalformed
	}
	return tail, nil
}

// LintAnswer is the head of the one frame that the lint mode says.
type LintAnswer struct {
	Findings []Finding `json:"findings"`
}

// Finding is one thing that the linter says about a script or its manifest.
// Line and Column count from 1; they are 0 for the manifest, which the linter
// does not have: it has the predicate, and Key names a member of that.
type Finding struct {
	File     string `json:"file"` // hooks.ScriptName or hooks.ManifestName
	Key      string `json:"key,omitempty"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	Severity string `json:"severity"` // "error" or "warning"
	Code     string `json:"code"`
	Message  string `json:"message"`
}
