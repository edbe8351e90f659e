package spawn

import (
	"math/rand/v2"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Processor picks one of the processors that this process may use, for the
// two processes of a run to stay on (see confine.StayOn); false where there is
// but one.
func Processor() (int, bool) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil || set.Count() < 2 {
		return 0, false
	}
	nth := rand.IntN(set.Count()) //nolint:gosec // spreads runs, no secret
	for i := range 8 * int(unsafe.Sizeof(set)) {
		if set.IsSet(i) {
			if nth--; nth < 0 {
				return i, true
			}
		}
	}
	return 0, false
}
