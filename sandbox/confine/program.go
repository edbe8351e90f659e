package confine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"hookline/internal/errs"
	"hookline/sandbox/rooted"
)

const maxHeaders = 64 // of a program's file; real ones have about a dozen

// What is needed of the ELF format.
const (
	elfClass64 = 2
	elfEntry   = 56 // bytes of a program header
	elfInterp  = 3  // the type of the one that names the loader
)

// program is a file that may be executed, checked.
type program struct {
	fd          int
	interpreter string // the real path of its dynamic loader, "" where it needs none
}

// openProgram opens the program of a command: a compiled one of this machine's
// architecture, which only root can have put there. A script is refused: what
// runs it is another program, which could run anything.
func openProgram(p string) (program, error) {
	real, st, err := rooted.Resolve(p)
	if err != nil {
		return program{}, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return program{}, refused("%s is not a regular file", p)
	}
	if name := path.Base(real); strings.HasPrefix(name, "ld-") || strings.HasPrefix(name, "ld.") {
		return program{}, refused("%s runs other programs", p)
	}
	fd, err := unix.Open(real, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return program{}, failed(p, err)
	}
	interpreter, err := loaderOf(fileAt(fd))
	if err == nil && interpreter != "" {
		interpreter, _, err = rooted.Resolve(interpreter)
	}
	if err != nil {
		shut(fd)
		return program{}, fmt.Errorf("%s: %w", p, err)
	}
	return program{fd: fd, interpreter: interpreter}, nil
}

func refused(format string, args ...any) error {
	return errs.New(errs.CodeDenied, format, args...)
}

// failed is an error of the system about a path, as the hook hears it.
func failed(p string, err error) error {
	return errs.New(errs.CodeCallFailed, "cannot open %s: %s", p, err)
}

// fileAt reads a descriptor by offset.
type fileAt int

// ReadAt implements io.ReaderAt.
func (f fileAt) ReadAt(p []byte, off int64) (int, error) {
	n, err := unix.Pread(int(f), p, off)
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return max(n, 0), err
}

func notCompiled() error { return refused("only a compiled program may run") }

// loaderOf reads from the head of a program's file which loader it needs, ""
// for none. Of the format only this is looked at; the kernel judges the rest.
func loaderOf(f io.ReaderAt) (string, error) {
	var head [64]byte
	if _, err := f.ReadAt(head[:], 0); err != nil || string(head[:4]) != "\x7fELF" {
		return "", notCompiled()
	}
	le := binary.LittleEndian
	if head[4] != elfClass64 || le.Uint16(head[18:]) != machine() {
		return "", refused("it is a program for another kind of machine")
	}
	start, size, count := le.Uint64(head[32:]), le.Uint16(head[54:]), le.Uint16(head[56:])
	if size != elfEntry || count > maxHeaders || start > 1<<20 {
		return "", notCompiled()
	}
	for i := range int64(count) {
		var entry [elfEntry]byte
		if _, err := f.ReadAt(entry[:], int64(start)+i*int64(size)); err != nil {
			return "", notCompiled()
		}
		if le.Uint32(entry[:]) == elfInterp {
			return loaderName(f, le.Uint64(entry[8:]), le.Uint64(entry[32:]))
		}
	}
	return "", nil
}

func loaderName(f io.ReaderAt, at, size uint64) (string, error) {
	if size < 2 || size > unix.PathMax || at > 1<<40 {
		return "", notCompiled()
	}
	name := make([]byte, size)
	if _, err := f.ReadAt(name, int64(at)); err != nil && !errors.Is(err, io.EOF) {
		return "", notCompiled()
	}
	text, ended := strings.CutSuffix(string(name), "\x00")
	if !ended || !strings.HasPrefix(text, "/") || strings.Contains(text, "\x00") {
		return "", notCompiled()
	}
	return text, nil
}

// machine is this machine's number in the format.
func machine() uint16 {
	switch runtime.GOARCH {
	case "amd64":
		return 62
	case "arm64":
		return 183
	}
	return 0
}
