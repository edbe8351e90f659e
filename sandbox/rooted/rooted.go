// Package rooted tells whether root alone can change what a path leads to:
// what the guard executes as root, and what a command may be.
package rooted

import (
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"hookline/internal/errs"
)

const maxLinks = 40 // of one path, the kernel's own bound

// Resolve resolves an absolute path, links included, and fails unless root
// alone can change what it leads to: the file, every link and every folder on
// the way are root's, and nobody else may write there. Nothing can then change
// between this look and the next but by root's hand.
//
// The error has the code denied where it is not so, and call-failed where the
// path leads nowhere.
func Resolve(p string) (real string, st unix.Stat_t, err error) { return resolve(p, false) }

// ResolveShared is Resolve, but passes folders in which everybody may make
// files and nobody may replace those of others, as /tmp is. The file then must
// have no second name, which somebody could have given it.
func ResolveShared(p string) (real string, st unix.Stat_t, err error) { return resolve(p, true) }

func resolve(p string, shared bool) (real string, st unix.Stat_t, err error) {
	w := walk{path: p, real: "/", rest: strings.Split(p, "/"), shared: shared}
	for {
		if err := unix.Lstat(w.real, &st); err != nil {
			return "", st, errs.New(errs.CodeCallFailed, "cannot open %s: %s", p, err)
		}
		if err := w.check(&st); err != nil {
			return "", st, err
		}
		link := st.Mode&unix.S_IFMT == unix.S_IFLNK
		if link {
			if err := w.follow(); err != nil {
				return "", st, err
			}
		}
		if !w.next() && !link {
			return w.real, st, nil
		}
	}
}

// walk is a path on the way: real has no links any more, rest is yet to come.
type walk struct {
	path, real string
	rest       []string
	links      int
	shared     bool // folders shared by all are passed
	passed     bool // one was
}

// check holds one step of the way against the rule.
func (w *walk) check(st *unix.Stat_t) error {
	kind := st.Mode & unix.S_IFMT
	others := st.Mode&0o022 != 0 && kind != unix.S_IFLNK // a link's own mode means nothing
	if others && w.shared && kind == unix.S_IFDIR && st.Mode&unix.S_ISVTX != 0 {
		w.passed, others = true, false
	}
	if st.Uid != 0 || others || w.passed && kind == unix.S_IFREG && st.Nlink > 1 {
		return errs.New(errs.CodeDenied, "%s can be changed by others than root: %s is not root's alone", w.path, w.real)
	}
	return nil
}

func (w *walk) follow() error {
	if w.links++; w.links > maxLinks {
		return errs.New(errs.CodeDenied, "%s has too many links", w.path)
	}
	target, err := os.Readlink(w.real)
	if err != nil {
		return errs.New(errs.CodeCallFailed, "cannot open %s: %s", w.path, err)
	}
	if w.real = path.Dir(w.real); path.IsAbs(target) {
		w.real = "/"
	}
	w.rest = append(strings.Split(target, "/"), w.rest...)
	return nil
}

// next goes one step on; false at the end.
func (w *walk) next() bool {
	for len(w.rest) > 0 && (w.rest[0] == "" || w.rest[0] == ".") {
		w.rest = w.rest[1:]
	}
	if len(w.rest) == 0 {
		return false
	}
	w.real = path.Join(w.real, w.rest[0]) // real has no links: ".." is its parent
	w.rest = w.rest[1:]
	return true
}

// Executable fails unless a program may be executed by this process: a file
// that can be, and, where this process is root, that root alone can change.
func Executable(p string) error {
	st := unix.Stat_t{}
	err := unix.Stat(p, &st)
	switch {
	case err != nil:
		return err
	case st.Mode&unix.S_IFMT != unix.S_IFREG || st.Mode&0o111 == 0:
		return fmt.Errorf("%s is no program", p)
	case os.Geteuid() == 0:
		_, _, err = ResolveShared(p)
	}
	return err
}
