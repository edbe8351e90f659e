package archive

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/jobs"
	"hookline/review"
)

// However long the texts of an archive are, a short file when compressed, the
// checker keeps a few bytes of each record.
func TestTheCheckerKeepsLittle(t *testing.T) {
	const records, size = 64, 1 << 18
	long := func(i int, what string) string { return fmt.Sprint(what, i, strings.Repeat("x", size)) }
	c := newChecker()
	before := heap()
	for i := range records {
		statement := []byte(long(i, "")[:1000])
		digest, hook := hooks.Digest(statement), long(i, "hook")
		must(t, c.version(review.Version{
			Digest: digest, Hook: hook, Number: 1, State: hooks.StateApproved, Statement: statement, Signatures: [][]byte{[]byte("s")},
		}))
		lease := collector.Lease{ID: fmt.Sprint(i, strings.Repeat("x", 1000))}
		must(t, c.activation(Activation{
			Activation: hooks.Activation{
				Digest: digest, Hook: hook, State: hooks.StatePaused, Reason: long(i, "reason"), Keys: []string{long(i, "key")},
				Quantity: 1, Ledger: hooks.Ledger{Issued: 1, Leased: 1},
			},
			Leases: []collector.Lease{lease},
		}))
		must(t, c.job(jobs.Job{
			ID: lease.ID, PeerID: long(i, "peer"), Workload: jobs.WorkHook, Status: jobs.Pending, OriginalID: long(i, "original"), Version: digest,
		}))
	}
	if kept := heap() - before; kept > records*size/16 {
		t.Errorf("%d records leave %d bytes behind", records, kept)
	}
	runtime.KeepAlive(c)
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // far less
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
