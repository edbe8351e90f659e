package attack

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What no process of the sandbox may have.
const (
	tooMuchMemory    = 300 << 20
	tooManyAddresses = 16 << 30
	tooManyFiles     = 200
	tooLong          = 2500 * time.Millisecond // of processor time
	page             = 4096
)

func memoryAttacks() []Attack {
	return slicesOf(
		Attack{Name: "mmap-exec", What: "take memory that can be run", try: func(Aim) error {
			_, err := unix.Mmap(-1, 0, page, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON)
			return err
		}},
		Attack{Name: "mprotect-exec", What: "make memory one that can be run", try: mprotect},
		Attack{Name: "memory", What: "take 300 MiB of memory", try: func(Aim) error { return take(unix.MAP_PRIVATE) }},
		Attack{Name: "memory-shared", What: "take 300 MiB of shared memory", try: func(Aim) error { return take(unix.MAP_SHARED) }},
		Attack{Name: "memory-stack", What: "take 300 MiB that pass for a stack", try: func(Aim) error { return take(unix.MAP_PRIVATE | unix.MAP_GROWSDOWN) }},
		Attack{Name: "memory-tables", What: "take page tables, by a look at 16 GiB of nothing", try: tables},
		Attack{Name: "memory-locked", What: "lock memory in place", try: mlock},
		Attack{Name: "memory-file", What: "make a file in memory", try: func(Aim) error { return opened(unix.MemfdCreate("x", 0)) }},
		Attack{Name: "file-size", What: "write a file in memory", try: writeMemory},
		Attack{Name: "files", What: "open files without end", try: dups},
		Attack{Name: "raise-limits", What: "raise its own limits", try: raiseLimits},
		Attack{Name: "cpu", What: "compute for 2.5 s", try: compute, slow: true},
	)
}

func mprotect(Aim) error {
	b, err := unix.Mmap(-1, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	return unix.Mprotect(b, unix.PROT_READ|unix.PROT_EXEC)
}

func take(kind int) error {
	b, err := unix.Mmap(-1, 0, tooMuchMemory, unix.PROT_READ|unix.PROT_WRITE, kind|unix.MAP_ANON)
	if err != nil {
		return err
	}
	for i := 0; i < len(b); i += page {
		b[i] = 1
	}
	return nil
}

// tables reads a byte of each 2 MiB, for which the kernel makes a table each.
func tables(Aim) error {
	b, err := unix.Mmap(-1, 0, tooManyAddresses, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return err
	}
	sum := byte(0)
	for i := 0; i < len(b); i += 2 << 20 {
		sum |= b[i]
	}
	if sum != 0 {
		return unix.EIO
	}
	return unix.Munmap(b)
}

func mlock(Aim) error {
	b, err := unix.Mmap(-1, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	return unix.Mlock(b)
}

func writeMemory(Aim) error {
	fd, err := unix.MemfdCreate("x", 0)
	if err != nil {
		return err
	}
	_, err = unix.Write(fd, []byte("x"))
	return opened(fd, err)
}

func dups(Aim) error {
	for range tooManyFiles {
		if _, err := unix.Dup(1); err != nil {
			return err
		}
	}
	return nil
}

func raiseLimits(Aim) error {
	none := unix.Rlimit{Cur: ^uint64(0), Max: ^uint64(0)}
	return call(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_FSIZE, uintptr(unsafe.Pointer(&none)), 0) //nolint:gosec // a struct for the kernel
}

// compute uses the processor, by the process's own clock: a machine that is
// busy does not let it off.
func compute(Aim) error {
	var now unix.Timespec
	for {
		if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &now); err != nil {
			return err
		}
		if time.Duration(now.Nano()) > tooLong {
			return nil
		}
	}
}
