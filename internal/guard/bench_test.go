package guard

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"hookline/internal/guardwire"
	"hookline/signing"
)

// BenchmarkAdmit is the guard's whole answer to a job, with 1,000 revocations
// known: every check, and the run counted and recorded on disk. Against
// BenchmarkRawAdmit, which are three P-256 verifications and one synced write.
func BenchmarkAdmit(b *testing.B) {
	k := newKit(b)
	k.revokeOthers(1000)
	g := k.optedIn(HooksYes)
	run := k.run(file(b, g), nil)
	if got := g.trusted.Revoked().Len(); got != 1000 {
		b.Fatalf("%d revocations are known", got)
	}
	before := maps.Clone(g.ledger.now.Versions)
	for b.Loop() {
		q, err := g.admit(b.Context(), guardwire.Message{Kind: guardwire.KindRun, JobID: newID(b), Run: run})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		g.mu.Lock()
		delete(g.running, q.jobID)
		g.ledger.now.Running, g.ledger.now.Versions = nil, maps.Clone(before) // one run more is left each time
		g.mu.Unlock()
		q.box.close()
		b.StartTimer()
	}
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

func BenchmarkRawAdmit(b *testing.B) {
	k := newKit(b)
	st := k.run("", nil).Statement
	pae := signing.PAE(st)
	sig, err := k.alice.SignBytes(pae)
	k.ok(err)
	key, ok := k.alice.Public().Key.(*ecdsa.PublicKey)
	if !ok {
		b.Fatal("not a P-256 key")
	}
	f, err := os.Create(filepath.Join(k.dir, "raw"))
	k.ok(err)
	defer f.Close()
	page := make([]byte, 4096)
	sum := sha256.Sum256(pae)
	for b.Loop() {
		for range 3 {
			if !ecdsa.VerifyASN1(key, sum[:], sig) {
				b.Fatal("wrong signature")
			}
		}
		if _, err := f.WriteAt(page, 0); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}
