package confine

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// StayOn keeps all threads of this process on one processor. Worker and broker
// wait for each other all the time: on one processor the kernel hands it from
// one to the other, on two it wakes an idle one at each call, which takes
// longer than the call.
func StayOn(processor int) error {
	var set unix.CPUSet
	set.Set(processor)
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(set), uintptr(unsafe.Pointer(&set))) //nolint:gosec // as the kernel takes it
	runtime.KeepAlive(&set)
	if errno != 0 {
		return errno
	}
	return nil
}
