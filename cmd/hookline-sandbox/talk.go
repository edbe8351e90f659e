package main

import (
	"io"
	"runtime"
)

// longTalk is the number of reads after which a talk is a long one: before it,
// the second processor costs more than it saves.
const longTalk = 64

// talk is the input of a process that waits for one answer after the other.
// The runtime's monitor looks every 20 µs, takes the processor away from a
// thread that waits for longer, and wakes others to use it. Of two processors
// it leaves both alone while one is idle, and looks less and less often: in a
// long talk that saves a sixth of each call. A short one is over before the
// second processor has paid for itself.
type talk struct {
	io.Reader
	reads int
}

// Read implements io.Reader.
func (t *talk) Read(p []byte) (int, error) {
	if t.reads++; t.reads == longTalk {
		runtime.GOMAXPROCS(2)
	}
	return t.Reader.Read(p)
}
