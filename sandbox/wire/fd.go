package wire

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// FD is one end of a pipe, read and written without the runtime's poller,
// which a confined process does not have. A call blocks its thread.
type FD int

// Block makes sure that calls wait instead of failing.
func (f FD) Block() error { return unix.SetNonblock(int(f), false) }

// Read implements io.Reader.
func (f FD) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(int(f), p)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, os.NewSyscallError("read", err)
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

// Write implements io.Writer.
func (f FD) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Write(int(f), p[done:])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return done, os.NewSyscallError("write", err)
		}
		done += n
	}
	return done, nil
}
