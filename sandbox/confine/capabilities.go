package confine

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// becomeReader makes this process's user the one that a broker reads as. One
// that reads as root does not stay root, who owns the files that it reads and
// could open them for writing: it becomes nobody, with the one capability to
// read files whatever their owner. Any other has none.
func becomeReader(uid, gid uint32) error {
	have, err := permitted()
	if err != nil {
		return err
	}
	var want uint64
	if os.Geteuid() == 0 && uid == 0 {
		want, uid, gid = have&(1<<unix.CAP_DAC_READ_SEARCH), nobody, nobody
		// The change of user then leaves capabilities permitted, not effective.
		if err := onAllThreads(unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1); err != nil {
			return err
		}
	}
	if err := becomeUser(uid, gid); err != nil {
		return err
	}
	header, sets := capabilitySets(want, 0)
	return onAllThreads(unix.SYS_CAPSET,
		uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&sets[0]))) //nolint:gosec // structs for the kernel
}

// permitted are the capabilities that this process may use, as bits.
func permitted() (uint64, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if err := unix.Capget(&header, &have[0]); err != nil {
		return 0, err
	}
	return uint64(have[1].Permitted)<<32 | uint64(have[0].Permitted), nil
}

func capabilitySets(keep, inherit uint64) (header unix.CapUserHeader, want [2]unix.CapUserData) {
	for i := range want {
		part := uint32(keep >> (32 * i))
		want[i] = unix.CapUserData{Effective: part, Permitted: part, Inheritable: uint32(inherit >> (32 * i))}
	}
	return unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, want
}

// setCapabilities leaves the calling thread with the capabilities of keep, and
// hands them on to the program that it executes.
func setCapabilities(keep uint64) error {
	header, want := capabilitySets(keep, keep)
	return unix.Capset(&header, &want[0])
}

// The securebits that make uid 0 a user like others, and lock that.
const (
	noRoot          = 1<<0 | 1<<1 // SECBIT_NOROOT, SECBIT_NOROOT_LOCKED
	noSetuidFixup   = 1<<2 | 1<<3 // SECBIT_NO_SETUID_FIXUP, SECBIT_NO_SETUID_FIXUP_LOCKED
	keepCapsLocked  = 1 << 5
	maxCapability   = 63
	commandBits     = noRoot | noSetuidFixup | keepCapsLocked
	ambientRaise    = unix.PR_CAP_AMBIENT_RAISE
	ambientClearAll = unix.PR_CAP_AMBIENT_CLEAR_ALL
)

// becomeCommand makes the calling thread's user and capabilities those that a
// command has: as uid 0 it reads files whatever their owner, as any user it
// reads the kernel's log where syslog was signed, and nothing else, neither
// now nor by any program. What the guard has not got the command has not
// either. The caller has locked its thread, which is the one that goes on.
func becomeCommand(uid, gid uint32, syslog bool) error {
	have, err := permitted()
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, ambientClearAll, 0, 0, 0); err != nil {
			return err
		}
		return setCapabilities(0)
	}
	var want uint64
	if uid == 0 {
		want |= 1 << unix.CAP_DAC_READ_SEARCH
	}
	if syslog {
		want |= 1 << unix.CAP_SYSLOG
	}
	want &= have
	// From here on changing the user leaves capabilities alone, so that they
	// are there to be given away in order.
	if err := unix.Prctl(unix.PR_SET_SECUREBITS, commandBits, 0, 0, 0); err != nil {
		return fmt.Errorf("securebits: %w", err)
	}
	if err := becomeUser(uid, gid); err != nil {
		return err
	}
	if err := dropBounding(want); err != nil {
		return err
	}
	if err := setCapabilities(want); err != nil {
		return err
	}
	return raiseAmbient(want)
}

// dropBounding takes from the thread what no program that it executes may have.
func dropBounding(keep uint64) error {
	for c := range uintptr(maxCapability + 1) {
		if keep&(1<<c) != 0 {
			continue
		}
		held, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0)
		if err != nil {
			return nil // the kernel knows no more
		}
		if held == 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
			return fmt.Errorf("bounding set: %w", err)
		}
	}
	return nil
}

func raiseAmbient(want uint64) error {
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, ambientClearAll, 0, 0, 0); err != nil {
		return err
	}
	for c := range uintptr(maxCapability + 1) {
		if want&(1<<c) == 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, ambientRaise, c, 0, 0); err != nil {
			return fmt.Errorf("ambient set: %w", err)
		}
	}
	return nil
}
