package guardwire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"hookline/internal/errs"
)

const headerBytes = 4

// Conn carries Messages over a byte stream. Read is for one goroutine, Write
// for any number. After an error of either the stream is of no more use:
// frames have no resynchronisation, so the owner closes it.
type Conn struct {
	raw io.ReadWriteCloser
	in  *bufio.Reader

	mu sync.Mutex // one frame at a time
}

// NewConn wraps a connected stream, which Close closes.
func NewConn(raw io.ReadWriteCloser) *Conn {
	return &Conn{raw: raw, in: bufio.NewReaderSize(raw, 4096)}
}

// Pair returns the guard's end of a new socketpair and the file that the
// network side inherits. Both close on exec; exec.Cmd.ExtraFiles passes the
// file on.
func Pair() (*Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make a socketpair: %w", err)
	}
	child := os.NewFile(uintptr(fds[1]), "guard-socket")
	conn, err := FromFile(os.NewFile(uintptr(fds[0]), "guard-socket"))
	if err != nil {
		_ = child.Close()
		return nil, nil, err
	}
	return conn, child, nil
}

// Inherited opens the socket that the guard passed as this descriptor.
func Inherited(fd uintptr) (*Conn, error) {
	f := os.NewFile(fd, "guard-socket")
	if f == nil {
		return nil, errs.New(errs.CodeBadInput, "cannot use descriptor %d", fd)
	}
	return FromFile(f)
}

// FromFile makes a Conn of an end of Pair, and closes the file.
func FromFile(f *os.File) (*Conn, error) {
	defer func() { _ = f.Close() }() // FileConn duplicates it
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("cannot use the guard's socket: %w", err)
	}
	return NewConn(c), nil
}

// Close closes the stream; a Read that waits returns an error.
func (c *Conn) Close() error { return c.raw.Close() }

// Read returns the next message. It is io.EOF where the other side closed
// between frames, else a coded error that says what was wrong.
func (c *Conn) Read() (Message, error) {
	var m Message
	if err := ReadFrame(c.in, &m); err != nil {
		return Message{}, err
	}
	if err := m.Validate(); err != nil {
		return Message{}, err
	}
	return m, nil
}

// Write sends one message, or none of it where it is not valid.
func (c *Conn) Write(m Message) error {
	if err := m.Validate(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return WriteFrame(c.raw, m)
}

// ReadFrame reads one frame and decodes it into a pointer to a struct. Only
// the bytes that WriteFrame would write for that value are accepted, so a
// frame has no unknown, doubled or oddly spelled key.
func ReadFrame(r io.Reader, into any) error {
	var header [headerBytes]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		if err == io.EOF {
			return io.EOF
		}
		return errs.Wrap(errs.CodeBadInput, err, "cannot read a frame's length")
	}
	n := binary.BigEndian.Uint32(header[:])
	if n == 0 || n > MaxFrame {
		return errs.New(errs.CodeTooLarge, "cannot read a frame of %d bytes, 1 to %d are allowed", n, MaxFrame)
	}
	// The buffer grows with what arrives: a length alone costs nothing.
	var body bytes.Buffer
	if _, err := io.CopyN(&body, r, int64(n)); err != nil {
		return errs.Wrap(errs.CodeBadInput, err, "cannot read a frame of %d bytes", n)
	}
	return decode(body.Bytes(), into)
}

func decode(frame []byte, into any) error {
	if !utf8.Valid(frame) {
		return errs.New(errs.CodeBadInput, "a frame is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(frame))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return errs.Wrap(errs.CodeBadInput, err, "cannot decode a frame")
	}
	again, err := encode(into)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, frame) {
		return errs.New(errs.CodeBadInput, "a frame is not in its one canonical form")
	}
	return nil
}

// WriteFrame writes one frame with a single Write call.
func WriteFrame(w io.Writer, v any) error {
	body, err := encode(v)
	if err != nil {
		return err
	}
	if len(body) > MaxFrame {
		return errs.New(errs.CodeTooLarge, "cannot write a frame of %d bytes, at most %d are allowed", len(body), MaxFrame)
	}
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, headerBytes+len(body)), uint32(len(body))) //nolint:gosec // at most MaxFrame
	if _, err := w.Write(append(frame, body...)); err != nil {
		return fmt.Errorf("cannot write a frame: %w", err)
	}
	return nil
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, errs.Wrap(errs.CodeBadInput, err, "cannot encode a frame")
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
