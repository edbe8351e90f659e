package trust_test

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/trust"

	"github.com/google/go-cmp/cmp"
)

// What a machine refuses that has seen more. Everything is signed by the right
// keys: it is what a stolen server has kept.
func TestUpdateRefusals(t *testing.T) {
	for _, tt := range []struct {
		name   string
		code   errs.Code
		change func(r *repo) // of the repository that was opened
	}{
		{"everything rolled back", errs.CodeTrustRollback, func(r *repo) { r.bundle = old(r) }},
		{"timestamp rolled back alone", errs.CodeTrustRollback, func(r *repo) { r.bundle.Timestamp = old(r).Timestamp }},
		{"snapshot rolled back alone", errs.CodeTrustMixed, func(r *repo) { r.bundle.Snapshot = old(r).Snapshot }},
		{"targets rolled back alone", errs.CodeTrustMixed, func(r *repo) { r.bundle.Targets = old(r).Targets }},
		{"revocations rolled back alone", errs.CodeTrustMixed, func(r *repo) { r.bundle.Revocations = old(r).Revocations }},
		{"the freshen key rolls the snapshot's version back", errs.CodeTrustRollback, func(r *repo) {
			r.snapshot.Version = 0
			r.freshen()
		}},
		{"the freshen key rolls targets back", errs.CodeTrustRollback, func(r *repo) {
			r.bundle.Targets, r.bundle.Policy = old(r).Targets, old(r).Policy
			r.targets.Version = 1
			r.freshen()
		}},
		{"the freshen key rolls revocations back", errs.CodeTrustRollback, func(r *repo) {
			r.bundle.Revocations = old(r).Revocations
			r.revocations.Version = 1
			r.freshen()
		}},
		{"a new freshen key rolls targets back", errs.CodeTrustRollback, func(r *repo) {
			freshBy(r, r.frank)
			r.bundle.Targets, r.bundle.Policy = old(r).Targets, old(r).Policy
			r.targets.Version = 1
			freshenBy(r, r.frank)
		}},
		{"a new freshen key rolls revocations back", errs.CodeTrustRollback, func(r *repo) {
			freshBy(r, r.frank)
			r.bundle.Revocations = old(r).Revocations
			r.revocations.Version = 1
			freshenBy(r, r.frank)
		}},
		{"a timestamp of an older freshen key", errs.CodeTrustSigned, func(r *repo) {
			freshBy(r, r.frank)
			r.freshen()
		}},
		{"a root of others", errs.CodeTrustSigned, func(r *repo) {
			other := newRepo(r.tb)
			other.root.Version = 3
			other.newRoot(func(root *metadata.RootType) {
				root.Keys = map[string]*metadata.Key{r.mallory.id: r.mallory.tuf}
				for _, role := range root.Roles {
					*role = metadata.Role{KeyIDs: ids(r.mallory), Threshold: 1}
				}
			}, r.mallory)
			r.bundle.Roots = append(slices.Clone(r.bundle.Roots), other.bundle.Roots[1])
			r.bundle.Roots[len(r.bundle.Roots)-1] = edited(r.tb, r.bundle.Roots[len(r.bundle.Roots)-1], `"version":4`, `"version":3`)
		}},
		{"a root skipped", errs.CodeTrustRoot, func(r *repo) {
			r.newRoot(nil, r.alice, r.bob)
			r.newRoot(nil, r.alice, r.bob)
			r.bundle.Roots = r.bundle.Roots[len(r.bundle.Roots)-1:]
		}},
		{"a root that lost its threshold", errs.CodeTrustWeak, func(r *repo) {
			r.newRoot(func(root *metadata.RootType) { root.Roles[metadata.TARGETS].Threshold = 1 }, r.alice, r.bob)
		}},
		{"a policy of another deployment", errs.CodeWrongDeployment, func(r *repo) {
			r.policy.Deployment = "d-" + strings.Repeat("0", 32)
			r.newTargets(nil, r.alice, r.bob)
			r.freshen()
		}},
		{"a timestamp missing", errs.CodeTrustMissing, func(r *repo) { r.bundle.Timestamp = nil }},
		{"pushed by a revoker who is one no more", errs.CodeTrustSigned, func(r *repo) {
			r.newTargets(func(t *metadata.TargetsType) { t.Delegations.Roles[0].KeyIDs = ids(r.erin) }, r.alice, r.bob)
			r.revoke(r.erin)
			r.freshen()
			r.bundle.Pushed = r.more(r.frank, hook("z"))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRepo(t)
			r.newRoot(nil, r.alice, r.bob)
			r.newTargets(nil, r.alice, r.bob)
			r.revoke(r.erin, hook("a"))
			r.freshen()
			known := r.open()
			before := known.Bundle()
			tt.change(r)
			got, err := known.Update(r.bundle)
			wantCode(t, err, tt.code)
			if got != nil {
				t.Error("a refusal came with a Trusted")
			}
			if diff := cmp.Diff(before, known.Bundle()); diff != "" || known.Revoked().Len() != 1 {
				t.Errorf("a refusal changed what was known: %s", diff)
			}
		})
	}
}

// old is the metadata of the first day, which is no function of r's state.
func old(r *repo) trust.Bundle { return newRepo(r.tb).bundle }

// freshBy makes k the freshen key.
func freshBy(r *repo, k *key) {
	r.newRoot(func(root *metadata.RootType) {
		root.Keys[k.id] = k.tuf
		root.Roles[metadata.SNAPSHOT].KeyIDs, root.Roles[metadata.TIMESTAMP].KeyIDs = ids(k), ids(k)
	}, r.alice, r.bob)
}

func freshenBy(r *repo, k *key) {
	dave := r.dave
	r.dave = k
	r.freshen()
	r.dave = dave
}

func TestUpdate(t *testing.T) {
	r := newRepo(t)
	first := r.open()
	if same, err := first.Update(r.bundle); err != nil || same != first {
		t.Errorf("the same again: %p %v, want %p", same, err, first)
	}
	r.now = start.Add(day)
	r.policy.Reviewers = 1
	r.policy.Persons[4].Roles = []signing.Role{signing.RoleOperator}
	r.newTargets(nil, r.bob, r.carol)
	r.revoke(r.erin, hook("a"))
	r.freshen()
	second, err := first.Update(r.bundle)
	must(t, err)
	if second.Policy().Persons[4].Roles[0] != signing.RoleOperator || second.Revoked().Len() != 1 || second.RevocationsVersion() != 2 {
		t.Errorf("policy %+v, revoked %d", second.Policy(), second.Revoked().Len())
	}
	if first.Revoked().Len() != 0 || first.Policy().Persons[4].Roles[0] == signing.RoleOperator {
		t.Error("Update changed its receiver")
	}
	if got := second.Floor(start.AddDate(1, 0, 0)); !got.Equal(start.Add(day)) {
		t.Errorf("floor %s", got)
	}
	// The one who revoked leaves it out again, in a newer version: it stays.
	delete(r.revocations.Targets, "hook/a")
	r.revoke(r.frank, hook("b"))
	r.freshen()
	third, err := second.Update(r.bundle)
	must(t, err)
	if diff := cmp.Diff([]string{"a", "b"}, names(third)); diff != "" {
		t.Error(diff)
	}
	if fresh := r.open(); cmp.Diff([]string{"b"}, names(fresh)) != "" || cmp.Diff([]string{"a", "b"}, names(fresh.Remember(hook("a")))) != "" || fresh.Revoked().Len() != 1 {
		t.Error("what Remember adds is not what was revoked")
	}
}

// A timestamp of the same version with other contents, signed by the freshen
// key, is not taken for the one that was seen.
func TestSameVersionOtherContents(t *testing.T) {
	r := newRepo(t)
	known := r.open()
	r.revoke(r.erin, hook("a"))
	r.newSnapshot(nil)
	r.timestamp.Version--
	r.newTimestamp(nil)
	_, err := known.Update(r.bundle)
	wantCode(t, err, errs.CodeTrustMixed)
}

func TestRotatedTwice(t *testing.T) {
	r := newRepo(t)
	enrolled := r.open()
	firstDay := r.anchor()
	// Then bob leaves and mallory, hired, takes his place; then alice leaves.
	r.newRoot(func(root *metadata.RootType) {
		delete(root.Keys, r.bob.id)
		root.Keys[r.mallory.id] = r.mallory.tuf
		root.Roles[metadata.ROOT].KeyIDs, root.Roles[metadata.TARGETS].KeyIDs = ids(r.alice, r.carol, r.mallory), ids(r.alice, r.carol, r.mallory)
	}, r.alice, r.bob, r.carol)
	secondDay := trust.Anchor{RootDigest: trust.Digest(r.bundle.Roots[1]), Deployment: deployment}
	r.newRoot(func(root *metadata.RootType) {
		delete(root.Keys, r.alice.id)
		root.Roles[metadata.ROOT].KeyIDs, root.Roles[metadata.TARGETS].KeyIDs = ids(r.carol, r.mallory), ids(r.carol, r.mallory)
	}, r.alice, r.carol, r.mallory)
	lastDay := trust.Anchor{RootDigest: trust.Digest(r.bundle.Roots[2]), Deployment: deployment}
	r.newTargets(nil, r.carol, r.mallory)
	r.freshen()

	updated, err := enrolled.Update(r.bundle)
	must(t, err)
	if updated.Roles()[0].Version != 3 || len(updated.Bundle().Roots) != 3 {
		t.Errorf("root %d of %d roots", updated.Roles()[0].Version, len(updated.Bundle().Roots))
	}
	for i, anchor := range []trust.Anchor{firstDay, secondDay, lastDay} {
		opened, err := anchor.Open(r.bundle)
		must(t, err)
		if opened.Roles()[0].Version != 3 {
			t.Errorf("anchor %d: root %d", i+1, opened.Roles()[0].Version)
		}
		// Started anew from what it kept, and from what another machine kept.
		again, err := anchor.Open(opened.Bundle())
		must(t, err)
		if diff := cmp.Diff(opened.Bundle(), again.Bundle()); diff != "" {
			t.Error(diff)
		}
		if same, err := opened.Update(updated.Bundle()); err != nil || same != opened {
			t.Errorf("anchor %d: %v", i+1, err)
		}
	}
	// Those who left sign nothing more, also for a machine that missed it all.
	r.newTargets(nil, r.alice, r.bob)
	r.freshen()
	for _, anchor := range []trust.Anchor{firstDay, secondDay, lastDay} {
		_, err := anchor.Open(r.bundle)
		wantCode(t, err, errs.CodeTrustSigned)
	}
	_, err = updated.Update(r.bundle)
	wantCode(t, err, errs.CodeTrustSigned)
	// A server that hides the rotation can freeze a new machine, no more.
	r.bundle.Roots = r.bundle.Roots[:1]
	_, err = updated.Update(r.bundle)
	wantCode(t, err, errs.CodeTrustSigned)
}

func TestPush(t *testing.T) {
	r := newRepo(t)
	known := r.open()
	a := r.more(r.erin, hook("a"))
	delete(r.revocations.Targets, "hook/a")
	r.revocations.Version--
	b := r.more(r.frank, hook("b")) // of the same version: the two did not know of each other
	c := r.more(r.frank, hook("c"))
	for _, order := range [][][]byte{{a, b, c}, {c, b, a}, {b, a, c, a, b, c}, {c, a, c, b}} {
		got := known
		for _, push := range order {
			next, err := got.Push(push)
			must(t, err)
			got = next
		}
		if diff := cmp.Diff([]string{"a", "b", "c"}, names(got)); diff != "" || got.RevocationsVersion() != 3 {
			t.Errorf("revocations %d: %s", got.RevocationsVersion(), diff)
		}
		if same, err := got.Push(a); err != nil || same != got {
			t.Errorf("nothing new: %v", err)
		}
		if !bytes.Equal(got.Bundle().Pushed, c) {
			t.Error("the newest is not what is kept")
		}
	}
	if known.Revoked().Len() != 0 || known.Bundle().Pushed != nil {
		t.Error("Push changed its receiver")
	}
	for name, tt := range map[string]struct {
		b    []byte
		code errs.Code
	}{
		"nothing":                   {nil, errs.CodeTrustMissing},
		"too long":                  {spaces(trust.MaxRevocations), errs.CodeTrustInvalid},
		"garbage":                   {[]byte("{}"), errs.CodeTrustInvalid},
		"by an author":              {r.more(r.alice, hook("x")), errs.CodeTrustSigned},
		"by the freshen key":        {r.more(r.dave, hook("x")), errs.CodeTrustSigned},
		"by mallory":                {r.more(r.mallory, hook("x")), errs.CodeTrustSigned},
		"by mallory in erin's name": {edited(t, r.more(r.mallory, hook("x")), r.mallory.id, r.erin.id), errs.CodeTrustSigned},
		"edited":                    {edited(t, a, "hook/a", "hook/x"), errs.CodeTrustSigned},
		"a reason edited":           {edited(t, a, `"wrong"`, `"right"`), errs.CodeTrustSigned},
		"targets":                   {r.bundle.Targets, errs.CodeTrustInvalid},
		"a snapshot":                {r.bundle.Snapshot, errs.CodeTrustInvalid},
	} {
		if got, err := known.Push(tt.b); errs.CodeOf(err) != tt.code || got != nil {
			t.Errorf("%s: %v, want %s", name, err, tt.code)
		}
	}
}

// What was pushed reaches those who come later too: it stays in the bundle
// until a snapshot names as much.
func TestPushedIsKept(t *testing.T) {
	r := newRepo(t)
	known, err := r.open().Push(r.more(r.erin, hook("a")))
	must(t, err)
	pushed := known.Bundle().Pushed
	if len(pushed) == 0 {
		t.Fatal("nothing was kept")
	}
	// The freshen key signs without having heard of it.
	unheard := newRepo(t)
	unheard.now = start.Add(day)
	unheard.freshen()
	unheard.bundle.Roots = r.bundle.Roots // the same people, who signed it once
	fresher, err := known.Update(unheard.bundle)
	must(t, err)
	if !bytes.Equal(fresher.Bundle().Pushed, pushed) {
		t.Error("what was pushed is not in the bundle any more")
	}
	if diff := cmp.Diff([]string{"a"}, names(fresher)); diff != "" {
		t.Error(diff)
	}
	restarted, err := r.anchor().Open(fresher.Bundle())
	must(t, err)
	if diff := cmp.Diff([]string{"a"}, names(restarted)); diff != "" {
		t.Errorf("after a restart: %s", diff)
	}
	if same, err := fresher.Update(unheard.bundle); err != nil || same != fresher {
		t.Errorf("the same again, without what was pushed: %v", err)
	}
	// Then a snapshot over it makes it part of the whole.
	r.now = start.Add(2 * day)
	r.bundle.Revocations = pushed
	r.freshen()
	r.freshen()
	whole, err := fresher.Update(r.bundle)
	must(t, err)
	if len(whole.Bundle().Pushed) != 0 || whole.Revoked().Len() != 1 {
		t.Errorf("pushed %d bytes, %d revoked", len(whole.Bundle().Pushed), whole.Revoked().Len())
	}
}

// A bundle that brings what was pushed elsewhere.
func TestPushedInABundle(t *testing.T) {
	r := newRepo(t)
	known := r.open()
	r.bundle.Pushed = r.more(r.erin, hook("a"))
	for name, take := range map[string]func() (*trust.Trusted, error){
		"open":   func() (*trust.Trusted, error) { return r.anchor().Open(r.bundle) },
		"update": func() (*trust.Trusted, error) { return known.Update(r.bundle) },
	} {
		got, err := take()
		must(t, err)
		if got.Revoked().Len() != 1 || !bytes.Equal(got.Bundle().Pushed, r.bundle.Pushed) || got.RevocationsVersion() != 2 {
			t.Errorf("%s: revoked %v, version %d", name, names(got), got.RevocationsVersion())
		}
	}
}

// A key that was a revoker's once revokes for ever, and nothing any more.
func TestRevokerWhoLeft(t *testing.T) {
	r := newRepo(t)
	pushed := r.more(r.frank, hook("a"))
	late := r.more(r.frank, hook("b"))
	known, err := r.open().Push(pushed)
	must(t, err)
	r.newTargets(func(t *metadata.TargetsType) { t.Delegations.Roles[0].KeyIDs = ids(r.erin) }, r.alice, r.bob)
	r.revocations.Targets = map[string]*metadata.TargetFiles{}
	r.revoke(r.erin)
	r.freshen()
	known, err = known.Update(r.bundle)
	must(t, err)
	if diff := cmp.Diff([]string{"a"}, names(known)); diff != "" {
		t.Error(diff)
	}
	_, err = known.Push(late)
	wantCode(t, err, errs.CodeTrustSigned)
}

// Expiry stops hooks, not newer metadata.
func TestFreshness(t *testing.T) {
	r := newRepo(t)
	known := r.open()
	expires := start.Add(7 * day)
	for _, tt := range []struct {
		name       string
		floor, now time.Time
		stale      bool
	}{
		{"at once", start, start, false},
		{"a moment before", start, expires.Add(-1), false},
		{"exactly then", start, expires, true},
		{"long after", start, expires.AddDate(1, 0, 0), true},
		{"clock set back, floor a moment before", expires.Add(-1), start, false},
		{"clock set back, floor exactly then", expires, start, true},
		{"no floor", time.Time{}, expires.Add(-1), false},
		{"a clock of last year: it was signed in the future", time.Time{}, start.AddDate(-1, 0, 0), true},
		{"a clock a little slow", time.Time{}, start.Add(-time.Hour), false},
		{"a clock of last year, and a floor", start, start.AddDate(-1, 0, 0), false},
	} {
		err := known.CheckFresh(tt.floor, tt.now)
		if tt.stale != errs.Is(err, errs.CodeTrustStale) || !tt.stale && err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	for share, after := range map[float64]time.Duration{0: 0, trust.WarnShare: 84 * time.Hour, 1: 7 * day, 2: 14 * day} {
		if got := known.Freshness(start.Add(after)); got.Role != "timestamp" && got.Role != "snapshot" || got.Share != share || !got.Expires.Equal(expires) {
			t.Errorf("after %s: %+v", after, got)
		}
	}
	if got := known.Freshness(start.Add(-day)); got.Share != 0 {
		t.Errorf("before it was signed: %+v", got)
	}
	r.now = start.AddDate(3, 0, 0)
	r.freshen()
	late, err := known.Update(r.bundle)
	must(t, err)
	if f := late.Freshness(r.now); f.Role != "root" && f.Role != "targets" && f.Role != "revocations" {
		t.Errorf("three years later %s is the oldest", f.Role)
	}
	wantCode(t, late.CheckFresh(time.Time{}, r.now), errs.CodeTrustStale)
}

// Whoever holds the freshen key for a day must not make metadata that is
// fresh years later, nor move the floor there.
func TestSignedInTheFuture(t *testing.T) {
	r := newRepo(t)
	now := r.now
	r.now = now.AddDate(8, 0, 0)
	r.freshen()
	known := r.open()
	if floor := known.Floor(now); floor.After(now.Add(day)) {
		t.Errorf("floor %s at %s", floor, now)
	}
	if err := known.CheckFresh(known.Floor(now), now); !errs.Is(err, errs.CodeTrustStale) {
		t.Errorf("signed eight years ahead: %v", err)
	}
}

func TestFloor(t *testing.T) {
	r := newRepo(t)
	r.now = start.Add(3 * time.Hour)
	r.revoke(r.erin)
	r.now = start.Add(2 * time.Hour)
	r.freshen()
	known := r.open()
	for clock, want := range map[time.Time]time.Time{
		start.AddDate(1, 0, 0):      start.Add(3 * time.Hour),
		start.Add(3 * time.Hour):    start.Add(3 * time.Hour),
		start.Add(-20 * time.Hour):  start.Add(3 * time.Hour),
		start.Add(-22 * time.Hour):  start.Add(2 * time.Hour),
		start.AddDate(-1, 0, 0):     start.AddDate(-1, 0, 1),
		start.Add(-day + time.Hour): start.Add(time.Hour),
	} {
		if got := known.Floor(clock); !got.Equal(want) {
			t.Errorf("at %s: floor %s, want %s", clock, got, want)
		}
	}
}

// A bundle that names no certificates brings none.
func TestCertificatesMustBeSigned(t *testing.T) {
	r := newRepo(t)
	r.bundle.CA = certificate(t)
	if got := r.open(); len(got.CA()) != 0 || len(got.Bundle().CA) != 0 {
		t.Error("certificates that nobody signed were taken")
	}
}

// A server and a guard use one Trusted in many places at once.
func TestConcurrentUse(t *testing.T) {
	r := newRepo(t)
	known := r.open()
	push := r.more(r.erin, hook("a"))
	r.bundle.Revocations = push
	r.freshen()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			_, err1 := known.Push(push)
			_, err2 := known.Update(r.bundle)
			if err1 != nil || err2 != nil || len(known.Roles()) != 5 {
				t.Errorf("%v, %v", err1, err2)
			}
		})
	}
	all.Wait()
}

// Who revokes in two deployments with one key revokes in one of them: what is
// revoked in a test deployment is not in the one that matters.
func TestRevocationsOfAnotherDeployment(t *testing.T) {
	r, other := newRepo(t), newRepo(t)
	other.policy.Deployment = "d-" + strings.Repeat("e", 32)
	theirs := other.more(other.erin, hook("a"))
	_, err := r.open().Push(theirs)
	wantCode(t, err, errs.CodeWrongDeployment)
	for name, change := range map[string]func(){
		"in the snapshot": func() { r.bundle.Revocations, r.revocations.Version = theirs, 2; r.freshen() },
		"pushed":          func() { r.bundle.Pushed = theirs },
	} {
		r = newRepo(t)
		known := r.open()
		change()
		_, err := r.anchor().Open(r.bundle)
		wantCode(t, err, errs.CodeWrongDeployment)
		if _, err := known.Update(r.bundle); !errs.Is(err, errs.CodeWrongDeployment) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// One revoker alone cannot use up the versions, so that nobody could revoke
// anything after him.
func TestRevocationsThatSkipVersions(t *testing.T) {
	for _, skip := range []int64{1001, 1 << 53, math.MaxInt64 - 1} {
		r := newRepo(t)
		known := r.open()
		r.revocations.Version = skip
		thiefs := r.more(r.erin, hook("a"))
		_, err := known.Push(thiefs)
		wantCode(t, err, errs.CodeTrustInvalid)
		r.bundle.Pushed = thiefs
		_, err = r.anchor().Open(r.bundle)
		wantCode(t, err, errs.CodeTrustInvalid)
	}
	r := newRepo(t)
	known := r.open()
	r.revocations.Version = 1000
	known, err := known.Push(r.more(r.erin, hook("a")))
	must(t, err)
	// There the thief can go. Then his key goes, and there is room again.
	r.newTargets(func(t *metadata.TargetsType) { t.Delegations.Roles[0].KeyIDs = ids(r.frank) }, r.alice, r.bob)
	r.revoke(r.frank)
	r.freshen()
	known, err = known.Update(r.bundle)
	must(t, err)
	last := r.more(r.frank, hook("b"))
	known, err = known.Push(last)
	must(t, err)
	if !bytes.Equal(known.Bundle().Pushed, last) || known.Revoked().Len() != 2 {
		t.Errorf("revoked %v", names(known))
	}
}
