package jobserver_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"sync"
	"testing"
	"time"

	"hookline/internal/jobpb"
	"hookline/internal/jobserver"
	"hookline/signing"
	"hookline/signing/signer"
	"hookline/signing/trust"
	"hookline/signing/trust/keeper"
)

// feed is where the server gets trust metadata from: an offline folder.
type feed struct {
	t       *testing.T
	dir     string
	alice   *signer.Signer
	root    string
	mu      sync.Mutex
	encoded []byte
	changed chan struct{}
}

func newFeed(t *testing.T) *feed {
	t.Helper()
	f := &feed{t: t, dir: t.TempDir(), changed: make(chan struct{})}
	p := &signing.Policy{Deployment: deployment, Profile: signing.ProfileTeam, Reviewers: 1, MaxLifetime: signing.MaxLifetime}
	var keys []keeper.Signer
	for name, role := range map[string]signing.Role{"alice": signing.RoleAuthor, "bob": signing.RoleReviewer} {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		f.ok(err)
		s, err := signer.New(k)
		f.ok(err)
		if name == "alice" {
			f.alice = s
		}
		keys = append(keys, s)
		p.Persons = append(p.Persons, signing.Person{Name: name, Roles: []signing.Role{role}, Keys: []signing.PublicKey{s.Public()}})
	}
	k, err := keeper.Init(f.dir, keeper.Plan{Policy: p.YAML()}, time.Now)
	f.ok(err)
	_, err = k.Sign(keys...)
	f.ok(err)
	f.freshen()
	return f
}

func (f *feed) ok(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// freshen makes newer metadata and offers it.
func (f *feed) freshen() {
	f.t.Helper()
	k, err := keeper.Open(f.dir, time.Now)
	f.ok(err)
	_, err = k.Freshen(f.alice, 0)
	f.ok(err)
	b, err := k.Bundle()
	f.ok(err)
	encoded, err := b.Encode()
	f.ok(err)
	f.root = trust.Digest(b.Roots[len(b.Roots)-1])
	f.offer(encoded)
}

// offer makes these bytes the newest.
func (f *feed) offer(encoded []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.encoded = encoded
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *feed) Bundle() ([]byte, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.encoded, f.changed
}

func (f *feed) newest() []byte {
	b, _ := f.Bundle()
	return b
}

// A peer gets the metadata with its welcome, and newer ones at once.
func TestTrustIsPushed(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	m, other := r.machine(), r.machine()
	s := m.raw()
	r.ok(s.Send(hello()))
	if s.next().GetWelcome() == nil || !bytes.Equal(s.next().GetTrust().GetBundle(), r.feed.newest()) {
		t.Fatal("the metadata does not come right after the welcome")
	}
	r.until("the stream is known", func() bool { return r.hub.Connected(m.id) })
	second := other.open()
	for range 3 {
		r.feed.freshen()
		for _, stream := range []*talk{s, second} {
			if got := stream.next().GetTrust().GetBundle(); !bytes.Equal(got, r.feed.newest()) {
				t.Fatalf("got %d bytes, not the newest metadata", len(got))
			}
		}
	}
}

// A peer that does not read for a while gets the newest metadata then, and not
// all that was in between; nor does it lose its stream.
func TestSlowPeersGetTheNewestTrust(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	s := r.machine().open()
	const changes = 200
	big := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 1<<20) } // over what flow control lets through
	for i := range changes {
		r.feed.offer(big(i))
	}
	seen := 0
	for {
		b := s.next().GetTrust().GetBundle()
		seen++
		if bytes.Equal(b, big(changes-1)) {
			break
		}
	}
	if seen > changes/2 {
		t.Errorf("%d of %d came, old ones too", seen, changes)
	}
}

// The largest bundle is no larger than the messages that peers take.
func TestTheLargestBundleFits(t *testing.T) {
	if jobpb.MaxTrust != trust.MaxBundleBytes {
		t.Errorf("a bundle has %d bytes, a message takes %d", trust.MaxBundleBytes, jobpb.MaxTrust)
	}
}

// Who revokes has the jobs stopped that are out.
func TestCancelReachesThePeer(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	m := r.machine()
	version := r.activate()
	s, j := m.asked()
	r.ok(r.c.Withdraw(t.Context(), version, "alice revoked the hook"))
	if c := s.next().GetCancel(); c.GetJobId() != j.GetId() || c.GetReason() != "alice revoked the hook" {
		t.Errorf("got %+v", c)
	}
	if got := r.job(j.GetId()); got.FailedCode != "revoked" || got.FailedText != "alice revoked the hook" {
		t.Errorf("the job ended as %q: %q", got.FailedCode, got.FailedText)
	}
	r.ok(s.Send(&jobpb.PeerMessage{Body: &jobpb.PeerMessage_Finished{Finished: &jobpb.Finished{
		JobId: j.GetId(), Outcome: "failed", Code: "revoked", Reason: "stopped",
	}}}))
	if settled := s.next().GetSettled(); settled.GetOutcome() != "cancelled" || settled.GetCode() != "revoked" {
		t.Errorf("the peer is told %+v", settled)
	}
}
