// Package waitfor is how tests wait: for a condition, with a deadline. Only
// tests import it.
package waitfor

import (
	"testing"
	"time"
)

// pause is how often a condition is looked at.
const pause = 5 * time.Millisecond

// True waits until a condition holds, and fails the test where it has not
// within so long.
func True(t testing.TB, within time.Duration, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !holds(); time.Sleep(pause) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s, and never: %s", within, what)
		}
	}
}
