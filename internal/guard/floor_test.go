package guard

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"hookline/internal/errs"
	"hookline/internal/guardwire"
)

// Trusted time never goes back, and only signed metadata and the time since
// boot move it on.
func TestFloor(t *testing.T) {
	boot := func(id string, since time.Duration) Boot { return Boot{ID: id, Since: since} }
	f := Floor{}.raised(boot("a", time.Hour), start)
	for _, tc := range []struct {
		name string
		now  Boot
		want time.Duration // after start
	}{
		{"at once", boot("a", time.Hour), 0},
		{"later in the same boot", boot("a", 3*time.Hour), 2 * time.Hour},
		{"a boot clock that runs back", boot("a", time.Minute), 0},
		{"another boot", boot("b", 100*time.Hour), 0},
		{"no boot clock", Boot{}, 0},
	} {
		if got := f.reached(tc.now).Sub(start); got != tc.want {
			t.Errorf("%s: %s", tc.name, got)
		}
	}
	if got := (Floor{At: start}).reached(boot("", time.Hour)); !got.Equal(start) {
		t.Errorf("of two clocks without a name: %s", got)
	}
	next := f.raised(boot("a", 3*time.Hour), start.Add(-time.Hour))
	if next = next.raised(boot("b", time.Minute), start); !next.At.Equal(start.Add(2 * time.Hour)) {
		t.Errorf("after another boot: %s", next.At)
	}
	if next = next.raised(boot("b", time.Hour), start.Add(24*time.Hour)); !next.At.Equal(start.Add(24 * time.Hour)) {
		t.Errorf("with newer metadata: %s", next.At)
	}
}

func TestSystemBoot(t *testing.T) {
	now := systemBoot()
	a := now()
	if a.ID == "" || a.Since <= 0 {
		t.Fatalf("the kernel says %+v", a)
	}
	if b := now(); b.ID != a.ID || b.Since < a.Since {
		t.Errorf("first %+v, then %+v", a, b)
	}
}

// The floor goes on over restarts, kills and boots, whatever the clock does.
func TestFloorIsKept(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksYes)
	floor := func() time.Duration {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.floor().Sub(start)
	}
	want := func(what string, d time.Duration) {
		t.Helper()
		if got := floor(); got != d {
			t.Errorf("%s: %s, want %s", what, got, d)
		}
	}
	want("at first, when it was signed", time.Hour)
	k.clock.advance(365 * 24 * time.Hour)
	file(t, g)
	want("the clock a year ahead", time.Hour)
	k.clock.advance(-2 * 365 * 24 * time.Hour)
	want("the clock a year back", time.Hour)
	k.boot.pass(2 * time.Hour)
	want("two hours on", 3*time.Hour)
	k.clock.advance(365 * 24 * time.Hour)
	kill(t, g)
	g = k.open()
	want("after a kill", 3*time.Hour)
	k.ok(g.Close())
	k.boot.reboot("boot 2")
	g = k.open()
	want("after a boot", 3*time.Hour)
	k.boot.pass(30 * time.Minute)
	g.tend()
	kill(t, g)
	k.boot.reboot("boot 3")
	g = k.open()
	want("after a power cut that cost what was not written", 3*time.Hour)
	k.boot.pass(floorEvery)
	g.tend()
	kill(t, g)
	k.boot.reboot("boot 4")
	g = k.open()
	want("after a power cut", 4*time.Hour)
	k.clock.advance(5 * time.Hour)
	k.freshen()
	connect(t, g).hears(g, k)
	want("with newer metadata", 6*time.Hour)
	kill(t, g)
	k.clock.advance(-5 * time.Hour)
	k.boot.reboot("boot 5")
	g = k.open()
	want("in the end", 6*time.Hour)
}

// A state that a crash left without the newest metadata's time takes it from
// the metadata.
func TestFloorComesFromTheMetadata(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksYes)
	k.clock.advance(5 * time.Hour)
	k.freshen()
	before, err := os.ReadFile(filepath.Join(k.dir, stateName))
	k.ok(err)
	connect(t, g).hears(g, k)
	kill(t, g)
	k.ok(os.WriteFile(filepath.Join(k.dir, stateName), before, 0o600))
	if g = k.open(); !g.floor().Equal(start.Add(6 * time.Hour)) {
		t.Errorf("floor %s", g.floor())
	}
}

// Old metadata is told of once at each level, also over restarts, and anew
// when fresh metadata grew old.
func TestWarnings(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksYes)
	codes := func() (out []string) {
		for _, e := range entries(t, g, KindTrust) {
			if e.Decision == "old" {
				out = append(out, e.Code)
			}
		}
		return out
	}
	expect := func(what string, n int) {
		t.Helper()
		for range 3 {
			g.tend()
		}
		if got := codes(); len(got) != n {
			t.Errorf("%s: %d lines, want %d", what, len(got), n)
		}
	}
	expect("fresh", 0)
	k.clock.advance(fresh/2 - time.Second)
	expect("just below a half", 0)
	k.clock.advance(time.Second)
	expect("a half", 1)
	k.clock.advance(fresh * 3 / 10)
	expect("80 %", 2)
	if s := owner(t, g, guardwire.Request{Op: guardwire.OpStatus}).Status.Trust; s.Share < 0.79 || s.Share > 0.81 || s.Refusal != "" {
		t.Errorf("status %+v", s)
	}
	k.ok(g.Close())
	g = k.open()
	expect("after a restart", 2)
	k.clock.advance(fresh / 5)
	expect("the end", 3)
	if got := codes(); got[2] != string(errs.CodeTrustStale) || got[1] != "" {
		t.Errorf("codes %q", got)
	}
	if s := owner(t, g, guardwire.Request{Op: guardwire.OpStatus}).Status.Trust; s.Refusal == "" {
		t.Errorf("status %+v", s)
	}
	k.freshen()
	connect(t, g).hears(g, k)
	expect("fresh again", 3)
	k.boot.pass(fresh / 2) // the clock does not tell
	expect("a half by trusted time", 4)
}
