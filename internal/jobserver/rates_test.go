package jobserver

import (
	"fmt"
	"testing"
	"time"

	"hookline/internal/errs"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// taken is how many reports of a size a peer can store now.
func taken(t *testing.T, r *rates, peer string, size int, now time.Time) (n int) {
	t.Helper()
	for ; n < 100_000; n++ {
		if err := r.report(peer, size, now); err != nil {
			if e, ok := errs.As(err); !ok || e.Code != errs.CodeRateLimited || e.Hint == "" {
				t.Fatalf("refused with %v", err)
			}
			return n
		}
	}
	t.Fatal("there is no limit")
	return n
}

func TestReportsOfOnePeerAreLimited(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		name         string
		size         int
		burst, later int // at once, and after 10 seconds
	}{
		{"by number", 100, 500, 20},
		{"by bytes", mib, 64, 10},
		{"whichever comes first", mib / 2, 128, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r rates
			if got := taken(t, &r, "p", c.size, noon); got != c.burst {
				t.Errorf("%d at once, want %d", got, c.burst)
			}
			if got := taken(t, &r, "p", c.size, noon.Add(10*time.Second)); got != c.later {
				t.Errorf("%d after 10 seconds, want %d", got, c.later)
			}
			if got := taken(t, &r, "other", c.size, noon); got != c.burst {
				t.Errorf("%d of another peer, want %d", got, c.burst)
			}
			if got := taken(t, &r, "p", c.size, noon.Add(time.Hour)); got != c.burst {
				t.Errorf("%d after an hour, want %d", got, c.burst)
			}
		})
	}
}

// A report that is too much for now takes nothing of what is left.
func TestARefusedReportTakesNothing(t *testing.T) {
	var r rates
	for range 63 {
		if err := r.report("p", 1<<20, noon); err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 {
		if r.report("p", 2<<20, noon) == nil {
			t.Fatal("more bytes than there are")
		}
	}
	if got := taken(t, &r, "p", 1024, noon); got != 500-63 {
		t.Errorf("%d are left, want %d", got, 500-63)
	}
}

// Who goes and comes back gets no fresh quota, and who has all of it again is
// forgotten.
func TestLimitsAreForgottenOnlyWhenTheyAreFull(t *testing.T) {
	var r rates
	taken(t, &r, "greedy", 100, noon)
	for i := range ratesKept + 10 {
		if err := r.report(fmt.Sprint(i), 100, noon); err != nil {
			t.Fatal(err)
		}
	}
	if r.report("greedy", 100, noon) == nil {
		t.Error("a peer got its quota back early")
	}
	if err := r.report("new", 100, noon.Add(time.Hour)); err != nil || len(r.peers) != 1 {
		t.Errorf("%v, %d peers are kept", err, len(r.peers))
	}
}
