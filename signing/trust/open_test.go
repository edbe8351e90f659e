package trust_test

import (
	"testing"
	"time"

	"hookline/signing/trust"

	"github.com/google/go-cmp/cmp"
)

func TestOpen(t *testing.T) {
	r := newRepo(t)
	r.bundle.CA = certificate(t)
	r.newTargets(nil, r.alice, r.carol)
	r.revoke(r.erin, hook("a"))
	r.freshen()
	got := r.open()
	if got.Policy().Deployment != deployment || got.Policy().Digest == "" || len(got.Policy().Persons) != 5 {
		t.Errorf("policy %+v", got.Policy())
	}
	if diff := cmp.Diff([]string{"a"}, names(got)); diff != "" {
		t.Error(diff)
	}
	if string(got.CA()) != string(r.bundle.CA) || got.RevocationsVersion() != 2 || got.Anchor() != r.anchor() {
		t.Errorf("CA %.20s, revocations %d, anchor %v", got.CA(), got.RevocationsVersion(), got.Anchor())
	}
	if diff := cmp.Diff(r.bundle, got.Bundle()); diff != "" {
		t.Error(diff)
	}
	type role struct {
		Name               string
		Version            int64
		Expires            time.Time
		Threshold, Keys, N int
	}
	var roles []role
	for _, x := range got.Roles() {
		if !x.SignedAt.Equal(start) {
			t.Errorf("%s was signed at %s", x.Name, x.SignedAt)
		}
		roles = append(roles, role{x.Name, x.Version, x.Expires, x.Threshold, len(x.Keys), len(x.SignedBy)})
	}
	if diff := cmp.Diff([]role{
		{"root", 1, start.Add(365 * day), 2, 3, 2},
		{"timestamp", 2, start.Add(7 * day), 1, 1, 1},
		{"snapshot", 2, start.Add(7 * day), 1, 1, 1},
		{"targets", 2, start.Add(365 * day), 2, 3, 2},
		{"revocations", 2, start.Add(365 * day), 1, 2, 1},
	}, roles); diff != "" {
		t.Error(diff)
	}
	if by := got.Roles()[3].SignedBy; len(by) != 2 || by[0] != r.alice.public.ID || by[1] != r.carol.public.ID {
		t.Errorf("targets were signed by %v", by)
	}
	if rules := got.Rules(start, start.Add(time.Hour)); rules.Policy != got.Policy() || rules.Revoked.Len() != 1 || !rules.Floor.Equal(start) || !rules.Now.Equal(start.Add(time.Hour)) {
		t.Errorf("rules %+v", rules)
	}
	again, err := trust.ParseBundle(encoded(t, got.Bundle()))
	if err != nil || cmp.Diff(r.bundle, again) != "" {
		t.Errorf("encoded and read again: %v", err)
	}
}

func encoded(t testing.TB, b trust.Bundle) []byte {
	t.Helper()
	out, err := b.Encode()
	must(t, err)
	return out
}
