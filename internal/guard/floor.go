package guard

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Boot says since when this machine is up: a clock that nobody can set.
type Boot struct {
	ID    string        // of this start of the machine, "" where it is not known
	Since time.Duration // since then, sleep counted
}

const bootIDFile = "/proc/sys/kernel/random/boot_id"

// systemBoot returns a clock that asks the kernel. Where it does not say, no
// time passes.
func systemBoot() func() Boot {
	id, err := os.ReadFile(bootIDFile)
	if err != nil {
		return func() Boot { return Boot{} }
	}
	name := strings.TrimSpace(string(id))
	return func() Boot {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
			return Boot{}
		}
		return Boot{ID: name, Since: time.Duration(ts.Nano())}
	}
}

// Floor is a time that has passed for sure, and when in the life of the
// machine that was known. Nothing but metadata that people signed offline and
// the time since boot moves it, never the clock; it never goes back.
type Floor struct {
	At    time.Time     `json:"at"`
	Boot  string        `json:"boot,omitempty"`
	Since time.Duration `json:"since_boot,omitempty"`
}

// reached is the time that has passed by now. After another start of the
// machine it begins again at the floor: how long it was off, nobody knows.
func (f Floor) reached(b Boot) time.Time {
	if b.ID == "" || b.ID != f.Boot || b.Since < f.Since {
		return f.At
	}
	return f.At.Add(b.Since - f.Since)
}

// raised is the floor moved to what has passed by now, or to what is known
// from elsewhere, where that is later.
func (f Floor) raised(b Boot, known time.Time) Floor {
	at := f.reached(b)
	if known.After(at) {
		at = known
	}
	return Floor{At: at.UTC(), Boot: b.ID, Since: b.Since}
}
