package source

import (
	"bytes"
	"io"
)

// tail passes a command's standard error on and keeps two parts of it: the
// last MaxStderr bytes, and from the begin of a Go traceback its first
// MaxTraceback bytes, since a crash with many goroutines pushes the one that
// crashed out of the end.
type tail struct {
	out   io.Writer
	last  []byte // up to 2×MaxStderr, cut when it grows over
	trace []byte
	line  []byte // the unfinished line, capped
}

// Write never fails because of out: the command must not notice that its
// output is read.
func (t *tail) Write(b []byte) (int, error) {
	// A closed terminal is no reason to lose the report.
	_, _ = t.out.Write(b)
	t.last = append(t.last, b...)
	if len(t.last) > 2*MaxStderr {
		t.last = append(t.last[:0], t.last[len(t.last)-MaxStderr:]...)
	}
	for rest := b; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		t.line = append(t.line, line[:min(len(line), maxLine-min(maxLine, len(t.line)))]...)
		if whole {
			t.endLine()
		}
		rest = after
	}
	return len(b), nil
}

// maxLine bounds one line of a traceback; the rest of a longer one is dropped.
const maxLine = 4 << 10

func (t *tail) endLine() {
	defer func() { t.line = t.line[:0] }()
	switch {
	case startsTrace(t.line):
		t.trace = t.trace[:0]
	case len(t.trace) == 0 && !goroutineHeader.Match(t.line):
		return
	}
	if len(t.trace)+len(t.line) < MaxTraceback {
		t.trace = append(append(t.trace, t.line...), '\n')
	}
}

// startsTrace reports whether the runtime begins a traceback with this line.
// A panic that was recovered prints nothing, so the newest begin counts.
func startsTrace(line []byte) bool {
	for _, prefix := range []string{"panic: ", "fatal error: ", "unexpected fault address "} {
		if bytes.HasPrefix(line, []byte(prefix)) {
			return true
		}
	}
	return bytes.HasPrefix(line, []byte("SIG")) && bytes.Contains(line, []byte(": "))
}

// text is the kept end of the standard error.
func (t *tail) text() string {
	b := t.last
	if len(b) > MaxStderr {
		b = b[len(b)-MaxStderr:]
		if _, after, ok := bytes.Cut(b, []byte("\n")); ok {
			b = after
		}
	}
	return clean(bytes.TrimRight(b, "\n"), MaxStderr)
}

// traceback is the kept begin of the newest traceback, "" where the text that
// was kept has no goroutine in it.
func (t *tail) traceback() []byte {
	if len(t.line) > 0 {
		t.endLine()
	}
	for line := range bytes.SplitSeq(t.trace, []byte("\n")) {
		if goroutineHeader.Match(line) {
			return t.trace
		}
	}
	return nil
}
