package guard

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"hookline/internal/guardwire"
	"hookline/signing"
)

// BenchmarkFullCheck is the guard's whole answer to a job, with 1,000
// revocations known: every check, and the run counted and recorded on disk.
// Beside each one, for the raw limit, three P-256 verifications and one synced
// write are timed, so that both meet the same disk.
func BenchmarkFullCheck(b *testing.B) {
	k := newKit(b)
	k.revokeOthers(1000)
	g := k.optedIn(HooksYes)
	run := k.run(file(b, g), nil)
	if got := g.trusted.Revoked().Len(); got != 1000 {
		b.Fatalf("%d revocations are known", got)
	}
	raw := k.rawCheck(run.Statement)
	var ours, limit []time.Duration
	for b.Loop() {
		limit = append(limit, raw())
		m := guardwire.Message{Kind: guardwire.KindRun, JobID: newID(b), Run: run}
		begin := time.Now()
		q, err := g.admit(b.Context(), m)
		ours = append(ours, time.Since(begin))
		if err != nil {
			b.Fatal(err)
		}
		q.box.close()
		g.mu.Lock()
		delete(g.running, q.jobID)
		g.ledger.now.Running, g.ledger.now.Versions = nil, map[string]Count{} // one run more is left each time
		g.mu.Unlock()
	}
	b.ReportMetric(median(ours), "p50-ms")
	b.ReportMetric(median(limit), "raw-p50-ms")
}

// revokeOthers revokes hooks that nobody has.
func (k *kit) revokeOthers(n int) {
	k.t.Helper()
	list := make([]signing.Revocation, n)
	for i := range list {
		list[i] = signing.Revocation{Kind: signing.RevokeHook, Value: fmt.Sprintf("other-%d", i), Reason: "it leaks"}
	}
	_, err := k.people().Revoke(k.dave, list...)
	k.ok(err)
}

// rawCheck times three P-256 verifications and one synced write of 4 KiB.
func (k *kit) rawCheck(statement []byte) func() time.Duration {
	k.t.Helper()
	pae := signing.PAE(statement)
	sig, err := k.alice.SignBytes(pae)
	k.ok(err)
	key, ok := k.alice.Public().Key.(*ecdsa.PublicKey)
	if !ok {
		k.t.Fatal("not a P-256 key")
	}
	f, err := os.Create(filepath.Join(k.t.TempDir(), "raw"))
	k.ok(err)
	k.t.Cleanup(func() { _ = f.Close() })
	block := make([]byte, 4096)
	return func() time.Duration {
		begin := time.Now()
		sum := sha256.Sum256(pae)
		for range 3 {
			if !ecdsa.VerifyASN1(key, sum[:], sig) {
				k.t.Fatal("wrong signature")
			}
		}
		_, err := f.Write(block)
		k.ok(err)
		k.ok(f.Sync())
		return time.Since(begin)
	}
}

// median is in milliseconds.
func median(all []time.Duration) float64 {
	slices.Sort(all)
	return float64(all[len(all)/2].Microseconds()) / 1000
}
