package confine

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// keepReading leaves a broker that stays root with one capability: to read
// files whatever their owner. Any other user has none by now.
func keepReading() error {
	if os.Geteuid() != 0 {
		return nil
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if err := unix.Capget(&header, &have[0]); err != nil {
		return err
	}
	keep := have[0].Permitted & (1 << unix.CAP_DAC_READ_SEARCH)
	want := [2]unix.CapUserData{{Effective: keep, Permitted: keep}}
	header.Pid = 0
	return onAllThreads(unix.SYS_CAPSET,
		uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&want[0])), 0) //nolint:gosec // structs for the kernel
}
