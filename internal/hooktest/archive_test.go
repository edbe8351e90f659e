package hooktest_test

import (
	"bytes"
	"os"
	"testing"

	"hookline/internal/onebox"
	"hookline/internal/wiretest"
)

// A deployment moves from the embedded store to MongoDB and back, with its
// peer, its hooks and what they brought; each time it goes on where it was.
func TestMoveAWholeStore(t *testing.T) {
	d := found(t, onebox.Team())
	p := addPeer(t, d, "peer", "--send-reports=yes", "--hooks=yes")
	v := live(t, d, hookFolder(t, d, "taint", taintScript, 10), 5)
	brings := func(mark string, received int64) {
		t.Helper()
		id, err := file(t.Context(), d, p, mark)
		must(t, err)
		_, err = d.AwaitResult(t.Context(), "alice", id)
		must(t, err)
		if l := checkLedger(t, as(t, d, "alice"), v.Digest); l.Received != received {
			t.Errorf("with %s the ledger is %+v, want %d received", mark, l, received)
		}
	}
	admin := func(args ...string) {
		t.Helper()
		_, err := d.Hookline(t.Context(), "alice", append([]string{"admin"}, args...)...)
		must(t, err)
	}
	brings("first", 1)
	admin("export", "--data", d.Path("server"), "--out", d.Path("running.zst")) // beside the server
	must(t, d.Stop())
	admin("export", "--data", d.Path("server"), "--out", d.Path("a.zst"))

	d.Store = wiretest.Address(t)
	must(t, os.WriteFile(d.Path("to"), []byte(d.Store+"\n"), 0o600))
	admin("import", "--store-file", d.Path("to"), "--in", d.Path("a.zst"))
	admin("export", "--store-file", d.Path("to"), "--out", d.Path("b.zst"))
	sameFiles(t, d.Path("a.zst"), d.Path("b.zst"))
	must(t, d.StartServer(t.Context()))
	brings("second", 2)
	must(t, d.Stop())

	admin("export", "--store-file", d.Path("to"), "--out", d.Path("c.zst"))
	d.Store = d.Path("back.db")
	admin("import", "--store", d.Store, "--in", d.Path("c.zst"))
	admin("export", "--store", d.Store, "--out", d.Path("d.zst"))
	sameFiles(t, d.Path("c.zst"), d.Path("d.zst"))
	must(t, d.StartServer(t.Context()))
	brings("third", 3)
}

func sameFiles(t *testing.T, a, b string) {
	t.Helper()
	one, err := os.ReadFile(a)
	must(t, err)
	other, err := os.ReadFile(b)
	must(t, err)
	if !bytes.Equal(one, other) {
		t.Errorf("%s and %s differ", a, b)
	}
}
