// Package attack is what a hook could try if it broke out of Lua: system
// calls, made from within a process of the sandbox, one attack per process. It
// holds the attacks (Try), and what has a guard start processes that make them
// (Serve). The tests of package sandbox and the tool internal/tools/hostile
// share it.
//
// Where an attack would harm the machine if it succeeded, it is made with
// arguments that the kernel refuses only after it has decided that the caller
// may: that answer counts as success. Each is also made by a process that
// nothing confines, to show that it would work.
package attack

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// Aim is what attacks aim at.
type Aim struct {
	Guard int    // its process
	Dir   string // a folder of the process's own user, see Prepare
	name  string
}

// own is the attack's own file, which belongs to the process's user.
func (a Aim) own() string { return filepath.Join(a.Dir, "own."+a.name) }

// An Attack is one thing to try.
type Attack struct {
	Name string // lower case and dashes
	What string // in words
	// try returns nil where it got through.
	try func(Aim) error
	// reached are errors that the kernel answers with only once it has decided
	// that the caller may.
	reached []unix.Errno
	// slow attacks use up processor time.
	slow bool
}

// Through is what a probe says where the attack got through; nothing is the
// attack of one that has only been started.
const (
	Through = "through"
	nothing = "nothing"
)

// All returns every attack, in the order of the table.
func All() []Attack {
	return slices.Concat(fileAttacks(), oldAttacks(), networkAttacks(), processAttacks(), systemAttacks(), memoryAttacks())
}

// Slow reports whether the attack takes seconds where nothing stops it.
func (a Attack) Slow() bool { return a.slow }

// Try makes one attack and says what came of it: Through, or the name of the
// error that stopped it. It does not return where the process is ended.
func Try(name string, aim Aim) string {
	i := slices.IndexFunc(All(), func(a Attack) bool { return a.Name == name })
	switch {
	case name == nothing:
		return Through
	case i < 0:
		return "unknown attack"
	}
	a := All()[i]
	aim.name = name
	err := a.try(aim)
	var errno syscall.Errno
	switch {
	case err == nil:
		return Through
	case !errors.As(err, &errno):
		return err.Error()
	case slices.Contains(a.reached, errno):
		return Through
	}
	return cmp.Or(unix.ErrnoName(errno), fmt.Sprint(int(errno)))
}

// call makes a system call of which nothing but the error matters.
func call(nr uintptr, args ...uintptr) error {
	var a [6]uintptr
	copy(a[:], args)
	if _, _, errno := syscall.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
		return errno
	}
	return nil
}

// opened closes what an attack has opened.
func opened(fd int, err error) error {
	if err == nil {
		_ = unix.Close(fd)
	}
	return err
}

// Harmless says why a part may do something with all layers in place, "" where
// it must not.
func Harmless(part, name string) string {
	switch {
	case name == "chdir" && (part == Command || part == RootCommand):
		return "a program may stand in any folder; it sees nothing of it"
	case name == "threads" && part == RootCommand:
		return "the kernel counts no threads of root; memory bounds them, and they end with their command"
	}
	return ""
}
