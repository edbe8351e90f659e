package confine

import (
	"testing"

	"golang.org/x/sys/unix"
)

// What belongs to the peer is known by its name where it cannot be looked at.
func TestOwnByName(t *testing.T) {
	t.Parallel()
	peers := lookAt([]string{"/nowhere/peer/state"})
	other := unix.Stat_t{Dev: 1 << 30, Ino: 1 << 60}
	for path, want := range map[string]bool{
		"/nowhere/peer/state": true, "/nowhere/peer/state/a/b": true, "/nowhere/peer": true, "/nowhere": true,
		"/nowhere/peer/state2": false, "/nowhere/pee": false, "/nowhere/peer/a": false, "/elsewhere": false,
	} {
		if got := peers.opened(path, &other); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	if lookAt(nil).opened("/nowhere", &other) {
		t.Error("nothing belongs to nobody")
	}
}
