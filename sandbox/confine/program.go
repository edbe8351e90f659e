package confine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"hookline/internal/errs"
)

const (
	maxLinks   = 40 // of one path, as the kernel's own bound
	maxHeaders = 64 // of a program's file; real ones have about a dozen
)

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
	real, st, err := rooted(p)
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
		interpreter, _, err = rooted(interpreter)
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

// rooted resolves an absolute path, links included, and fails unless root
// alone can change what it leads to: the file and every folder on the way are
// root's, and nobody else may write there. Nothing can then change between
// this look and the next but by root's hand.
func rooted(p string) (real string, st unix.Stat_t, err error) {
	real, rest, links := "/", strings.Split(p, "/"), 0
	for {
		if err := unix.Lstat(real, &st); err != nil {
			return "", st, failed(p, err)
		}
		kind := st.Mode & unix.S_IFMT
		if st.Uid != 0 || kind != unix.S_IFLNK && st.Mode&0o022 != 0 {
			return "", st, refused("%s can be changed by others than root: %s is not safe", p, real)
		}
		if kind == unix.S_IFLNK {
			if links++; links > maxLinks {
				return "", st, refused("%s has too many links", p)
			}
			target, err := os.Readlink(real)
			if err != nil {
				return "", st, failed(p, err)
			}
			real = path.Dir(real)
			if path.IsAbs(target) {
				real = "/"
			}
			rest = append(strings.Split(target, "/"), rest...)
		}
		for len(rest) > 0 && (rest[0] == "" || rest[0] == ".") {
			rest = rest[1:]
		}
		if len(rest) == 0 && kind != unix.S_IFLNK {
			return real, st, nil
		}
		if len(rest) > 0 {
			real, rest = path.Join(real, rest[0]), rest[1:] // real has no links: ".." is its parent
		}
	}
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

var errNotCompiled = errs.New(errs.CodeDenied, "only a compiled program may run")

// loaderOf reads from the head of a program's file which loader it needs, ""
// for none. Of the format only this is looked at; the kernel judges the rest.
func loaderOf(f io.ReaderAt) (string, error) {
	var head [64]byte
	if _, err := f.ReadAt(head[:], 0); err != nil || string(head[:4]) != "\x7fELF" {
		return "", errNotCompiled
	}
	le := binary.LittleEndian
	if head[4] != elfClass64 || le.Uint16(head[18:]) != machine() {
		return "", refused("it is a program for another kind of machine")
	}
	start, size, count := le.Uint64(head[32:]), le.Uint16(head[54:]), le.Uint16(head[56:])
	if size != elfEntry || count > maxHeaders || start > 1<<20 {
		return "", errNotCompiled
	}
	for i := range int64(count) {
		var entry [elfEntry]byte
		if _, err := f.ReadAt(entry[:], int64(start)+i*int64(size)); err != nil {
			return "", errNotCompiled
		}
		if le.Uint32(entry[:]) == elfInterp {
			return loaderName(f, le.Uint64(entry[8:]), le.Uint64(entry[32:]))
		}
	}
	return "", nil
}

func loaderName(f io.ReaderAt, at, size uint64) (string, error) {
	if size < 2 || size > unix.PathMax || at > 1<<40 {
		return "", errNotCompiled
	}
	name := make([]byte, size)
	if _, err := f.ReadAt(name, int64(at)); err != nil && !errors.Is(err, io.EOF) {
		return "", errNotCompiled
	}
	text, ended := strings.CutSuffix(string(name), "\x00")
	if !ended || !strings.HasPrefix(text, "/") || strings.Contains(text, "\x00") {
		return "", errNotCompiled
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
