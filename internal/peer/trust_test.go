package peer

import (
	"bytes"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"

	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/guardwire"
	"hookline/internal/jobpb"
	"hookline/internal/waitfor"
	"hookline/signing/trust"
)

func said(bundle []byte) *jobpb.ServerMessage {
	return &jobpb.ServerMessage{Body: &jobpb.ServerMessage_Trust{Trust: &jobpb.Trust{Bundle: bundle}}}
}

// The guard judges what the server says of trust; what cannot be right, and
// what it has heard, does not reach it.
func TestTrustGoesToTheGuard(t *testing.T) {
	id := newID()
	r := newRig(t, &thief{stream: func(g side) error {
		say := []*jobpb.ServerMessage{said(nil), said(make([]byte, trust.MaxBundleBytes+1)), said([]byte("one"))}
		for range 50 {
			say = append(say, said([]byte("one")))
		}
		say = append(say, said([]byte("two")), said([]byte("one")), job(id, &jobpb.HookRun{}))
		if err := greet(g, say...); err != nil {
			return err
		}
		<-g.Context().Done()
		return nil
	}})
	r.run()
	for _, want := range []string{"one", "two", "one"} {
		m, err := r.conn.Read()
		for err == nil && m.Kind == guardwire.KindConnected {
			m, err = r.conn.Read()
		}
		r.ok(err)
		if m.Kind != guardwire.KindTrust || string(m.Trust.Bundle) != want {
			t.Fatalf("the guard heard %s %+v, want %s", m.Kind, m.Trust, want)
		}
	}
	if m := r.hear(guardwire.KindRun); m.JobID != id {
		t.Errorf("then it heard %+v", m)
	}
}

// pemOf is a CA as people sign it.
func pemOf(ca *enroll.CA) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Certificate().Raw})
}

func stranger(t *testing.T) *enroll.CA {
	t.Helper()
	ca, err := enroll.LoadOrCreateCA(t.TempDir(), deployment, time.Now())
	must(t, err)
	return ca
}

// The CAs that people signed take the place of the enrolled one, from the next
// connection on and after a restart; taken back, the enrolled one holds again.
func TestSignedCAs(t *testing.T) {
	end := make(chan struct{})
	r := newRig(t, &thief{stream: func(g side) error {
		if err := greet(g); err != nil {
			return err
		}
		select {
		case <-end:
		case <-g.Context().Done():
		}
		return nil
	}})
	r.runWith(backoff.NewConstantBackOff(5 * time.Millisecond))
	r.hear(guardwire.KindConnected)
	state := func(ca []byte) {
		r.say(guardwire.Message{Kind: guardwire.KindState, State: &guardwire.State{AllowHooks: "yes", CA: ca}})
	}
	kept := filepath.Join(r.dir, signedCAFile)
	await := func(what string, holds func() bool) {
		t.Helper()
		waitfor.True(t, patience, what, holds)
	}
	holds := func(want []byte) func() bool {
		return func() bool { b, err := os.ReadFile(kept); return err == nil && string(b) == string(want) }
	}
	other := stranger(t)
	state(pemOf(other))
	await("the signed CA is kept", holds(pemOf(other)))
	end <- struct{}{}
	for { // of the stream that ended first
		if m := r.hear(guardwire.KindDisconnected); m.Code == string(errs.CodeServerIdentity) {
			break
		}
	}
	state([]byte("no PEM")) // nothing comes of it
	both := append(pemOf(other), pemOf(r.ca)...)
	state(both)
	await("both are kept", holds(both))
	r.hear(guardwire.KindConnected)
	state(nil)
	await("none is kept", func() bool { _, err := os.Stat(kept); return os.IsNotExist(err) })
	end <- struct{}{}
	r.hear(guardwire.KindConnected)
}

// A CA that people did not sign, where they signed some, is no way in.
func TestEnrollWantsASignedCA(t *testing.T) {
	r := newRig(t, &thief{})
	for _, c := range []struct {
		name string
		ca   []byte
		code errs.Code
	}{
		{"none signed", nil, ""},
		{"this one", pemOf(r.ca), ""},
		{"this one and another", append(pemOf(stranger(t)), pemOf(r.ca)...), ""},
		{"another", pemOf(stranger(t)), errs.CodeServerIdentity},
	} {
		root, bundle := founded(t, c.ca)
		line := enroll.Line{Deployment: deployment, RootDigest: root, CADigest: r.ca.Digest()}
		if err := checkTrust(line, bundle); errs.CodeOf(err) != c.code && (err != nil || c.code != "") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// An enrolment that keeps the machine's key never reads through a link.
func TestCopyKey(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	must(t, CopyKey(from, to))
	if left, err := os.ReadDir(to); err != nil || len(left) != 0 {
		t.Fatalf("from nothing came %v, %v", left, err)
	}
	_, err := ownKey(from)
	must(t, err)
	must(t, CopyKey(from, to))
	a, err := os.ReadFile(filepath.Join(from, keyFile))
	must(t, err)
	if b, err := os.ReadFile(filepath.Join(to, keyFile)); err != nil || string(a) != string(b) {
		t.Errorf("another key came: %v", err)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	must(t, os.Rename(filepath.Join(from, keyFile), secret))
	must(t, os.Symlink(secret, filepath.Join(from, keyFile)))
	if CopyKey(from, t.TempDir()) == nil {
		t.Error("a link was followed")
	}
}

// What is no certificate leaves those that are kept as they are.
func TestKeepSignedCAs(t *testing.T) {
	dir, good := t.TempDir(), pemOf(stranger(t))
	must(t, keepSignedCAs(dir, good))
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})
	for name, bad := range map[string][]byte{
		"no PEM": []byte("x"), "something behind": append(append([]byte{}, good...), 'x'), "a key": key, "too many": bytes.Repeat(good, maxCAs+1),
	} {
		if keepSignedCAs(dir, bad) == nil {
			t.Errorf("%s was taken", name)
		}
		if b, err := os.ReadFile(filepath.Join(dir, signedCAFile)); err != nil || !bytes.Equal(b, good) {
			t.Errorf("%s: kept %s, %v", name, b, err)
		}
	}
}
