package guard

import (
	"fmt"
	"testing"

	"hookline/internal/errs"
	"hookline/internal/guardwire"
	"hookline/signing"
)

// The disk is full when a revocation comes: it counts all the same, and again
// when it can be kept.
func TestRevocationOnAFullDisk(t *testing.T) {
	k := newKit(t)
	k.dir = smallDisk(t, "1m")
	started := make(chan string, 1)
	k.sandbox = blocked(started, nil)
	g := k.optedIn(HooksYes)
	s := connect(t, g)
	r := k.run(file(t, g), nil)
	s.write(guardwire.Message{Kind: guardwire.KindRun, JobID: newID(t), Run: r})
	<-started
	free := fillDisk(t, k.dir)
	k.revoke(signing.RevokeVersion, k.digestOf(r))
	s.trust(k.bundle())
	if end := s.await(guardwire.KindFinish); end.Code != string(errs.CodeRevoked) {
		t.Errorf("ended %q %s", end.Code, end.Reason)
	}
	free()
	s.hears(g, k)
	kill(t, g)
	if g := k.open(); g.trusted.Revoked().Len() != 1 || len(g.remembered.of(deployment).List) != 1 {
		t.Error("it was not kept when it could be")
	}
}

// Where more is revoked than fits, nothing is forgotten and nothing runs.
func TestMoreRevokedThanFits(t *testing.T) {
	var all []signing.Revocation
	for i := range maxRemembered + 5 {
		all = append(all, signing.Revocation{Kind: signing.RevokeVersion, Value: fmt.Sprintf("%064x", i), By: "dave", At: start})
	}
	r, err := remembered{}.with(deployment, signing.NewRevocations(all[:maxRemembered]...))
	if err != nil || r.of(deployment).Full {
		t.Fatalf("all that fit: %v", err)
	}
	r, err = r.with(deployment, signing.NewRevocations(all[maxRemembered:]...))
	if err != nil || !r.of(deployment).Full || len(r.of(deployment).List) != maxRemembered {
		t.Fatalf("more: %v, full %v, %d kept", err, r.of(deployment).Full, len(r.of(deployment).List))
	}
	k := newKit(t)
	g := k.optedIn(HooksYes)
	original := file(t, g)
	k.ok(r.save(k.dir))
	k.ok(g.Close())
	g = k.open()
	if end := connect(t, g).end(k.run(original, nil)); end.Code != string(errs.CodeRevoked) || lastEntry(t, g, KindDecision).Check != "revocations kept" {
		t.Errorf("ended %q %s", end.Code, end.Reason)
	}
	if s := owner(t, g, guardwire.Request{Op: guardwire.OpStatus}).Status; s.Trust.Revocations != maxRemembered || s.Trust.Refusal == "" {
		t.Errorf("status %+v", s.Trust)
	}
	for i := range maxDeployments - 1 {
		r, err = r.with(fmt.Sprintf("d-%032x", i), signing.Revocations{})
		k.ok(err)
	}
	_, err = r.with("d-one-more", signing.Revocations{})
	wantCode(t, err, errs.CodeBoundExceeded)
}
