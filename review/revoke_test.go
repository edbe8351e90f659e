package review_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/review"
	"hookline/signing"
)

// revoke has carol revoke a thing.
func (w *world) revoke(kind signing.RevocationKind, value string) {
	w.revoked = w.revoked.With(signing.Revocation{Kind: kind, Value: value, Reason: "it is noisy", By: "carol", At: w.now})
}

func (w *world) life(l review.Life) review.Life {
	w.Helper()
	l, err := w.db.Life(w.ctx, l.Version.Digest)
	w.ok(err)
	return l
}

func (w *world) keyID(who string) string { return string(w.keys[who].Public().ID) }

// change takes another policy in force.
func (w *world) change(f func(p *signing.Policy)) {
	p := *w.policy
	p.Persons = slices.Clone(p.Persons)
	f(&p)
	w.policy = &p
}

// TestEnforce shows what each revocation closes, and what it leaves.
func TestEnforce(t *testing.T) {
	stages := map[string]func(w *world) review.Life{
		"submitted": func(w *world) review.Life { return w.submitted(1) },
		"changes-requested": func(w *world) review.Life {
			l, err := w.s.Review(w.ctx, as(auth.RoleReviewer), w.submitted(1).Version.Digest, review.VerdictRequestChanges, "no", nil)
			w.ok(err)
			return l
		},
		"approved": func(w *world) review.Life { return w.approved(1) },
		"active":   func(w *world) review.Life { return w.active() },
		"paused": func(w *world) review.Life {
			l := w.active()
			_, err := w.db.ChangeState(w.ctx, l.Version.Digest, hooks.StateActive, hooks.StatePaused, "error-rate", w.now)
			w.ok(err)
			return l
		},
		"disabled": func(w *world) review.Life {
			l, err := w.s.Disable(w.ctx, as(auth.RoleOperator), w.active().Version.Digest, "no")
			w.ok(err)
			return l
		},
		"rejected": func(w *world) review.Life {
			l, err := w.s.Review(w.ctx, as(auth.RoleReviewer), w.submitted(1).Version.Digest, review.VerdictReject, "no", nil)
			w.ok(err)
			return l
		},
	}
	open := []string{"submitted", "changes-requested", "approved", "active", "paused", "disabled"}
	running := []string{"approved", "active", "paused"}
	whole := []string{"nothing", "the version", "a reviewer's key"} // seen at each stage
	for name, c := range map[string]struct {
		do     func(w *world, l review.Life)
		closes []string
		says   string
	}{
		"nothing":            {func(*world, review.Life) {}, nil, ""},
		"the version":        {func(w *world, l review.Life) { w.revoke(signing.RevokeVersion, l.Version.Digest) }, open, "carol revoked the version"},
		"the hook":           {func(w *world, _ review.Life) { w.revoke(signing.RevokeHook, "extra") }, open, "carol revoked the hook"},
		"another hook":       {func(w *world, _ review.Life) { w.revoke(signing.RevokeHook, "other") }, nil, ""},
		"the author's key":   {func(w *world, _ review.Life) { w.revoke(signing.RevokeKey, w.keyID("alice")) }, open, "does not count"},
		"the author's other": {func(w *world, _ review.Life) { w.revoke(signing.RevokeKey, w.keyID("alice-2")) }, nil, ""},
		"a reviewer's key":   {func(w *world, _ review.Life) { w.revoke(signing.RevokeKey, w.keyID("bob")) }, running, "1 of 2 reviewers"},
		"an approval": {func(w *world, l review.Life) {
			w.revoke(signing.RevokeApproval, signing.ApprovalValue(l.Version.Digest, signing.KeyID(w.keyID("bob"))))
		}, running, "1 of 2 reviewers"},
		"another's approval": {func(w *world, _ review.Life) {
			w.revoke(signing.RevokeApproval, signing.ApprovalValue(hooks.Digest(nil), signing.KeyID(w.keyID("bob"))))
		}, nil, ""},
		"a reviewer who left":   {func(w *world, _ review.Life) { w.change(leave("bob")) }, running, "1 of 2 reviewers"},
		"more reviewers":        {func(w *world, _ review.Life) { w.change(func(p *signing.Policy) { p.Reviewers = 3 }) }, running, "2 of 3 reviewers"},
		"a key out of its time": {func(w *world, _ review.Life) { w.change(ended("bob", w.now)) }, nil, ""},
	} {
		for stage, make := range stages {
			if !slices.Contains(whole, name) && !slices.Contains([]string{"submitted", "active", "rejected"}, stage) {
				continue // the stages that differ
			}
			t.Run(name+"/"+stage, func(t *testing.T) {
				w := newWorld(t, nil)
				l := make(w)
				was := w.life(l).State()
				c.do(w, l)
				w.ok(w.s.Enforce(w.ctx))
				got, want := w.life(l), was
				if slices.Contains(c.closes, stage) {
					want = hooks.StateRevoked
				}
				if got.State() != want {
					t.Fatalf("it is %s, want %s", got.State(), want)
				}
				entries, err := w.db.Entries(w.ctx, auth.EntryFilter{Limit: 1})
				w.ok(err)
				if e := entries[0]; (want == hooks.StateRevoked && was != want) != (e.Action == string(auth.HooksRevoke)) {
					t.Errorf("the last entry of the audit log is %+v", e)
				}
				if want != hooks.StateRevoked {
					return
				}
				if e := entries[0]; e.Actor != "(server)" || e.Target != "version/"+l.Version.Digest || !strings.Contains(e.Detail, c.says) || e.Outcome != auth.OutcomeOK {
					t.Errorf("the audit log says %+v", e)
				}
				if a := got.Activation; a != nil && !strings.Contains(a.Reason, c.says) {
					t.Errorf("the reason is %q", a.Reason)
				}
				w.ok(w.s.Enforce(w.ctx)) // again
			})
		}
	}
}

func leave(who string) func(p *signing.Policy) {
	return func(p *signing.Policy) {
		p.Persons = slices.DeleteFunc(p.Persons, func(one signing.Person) bool { return one.Name == who })
	}
}

func ended(who string, at time.Time) func(p *signing.Policy) {
	return func(p *signing.Policy) {
		for i, one := range p.Persons {
			if one.Name == who {
				p.Persons[i].Windows = map[signing.KeyID]signing.Window{one.Keys[0].ID: {Until: at}}
			}
		}
	}
}

func (w *world) active() review.Life {
	w.Helper()
	l, err := w.activate(w.approved(1), 3)
	w.ok(err)
	return l
}

// TestRevokedIsRefused: nobody brings back what is revoked.
func TestRevokedIsRefused(t *testing.T) {
	version := func(w *world, l review.Life) { w.revoke(signing.RevokeVersion, l.Version.Digest) }
	for name, enforced := range map[string]bool{"before the server has closed it": false, "after": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			submitted, other := w.submitted(1), w.draft("alice", manifest, script, 2)
			version(w, submitted)
			w.revoke(signing.RevokeKey, w.keyID("dave"))
			if enforced {
				w.ok(w.s.Enforce(w.ctx))
			}
			_, err := w.approve(submitted, "bob")
			w.wantCode(err, errs.CodeRevoked, "")
			_, err = w.submit(w.draft("dave", manifest, script, 2))
			w.wantCode(err, errs.CodeRevoked, "predicate.author")
			w.revoke(signing.RevokeVersion, hooks.Digest(other.statement))
			_, err = w.submit(other)
			w.wantCode(err, errs.CodeRevoked, "")
			w.revoke(signing.RevokeHook, "extra")
			_, err = w.submit(w.draft("alice", manifest, script, 2))
			w.wantCode(err, errs.CodeRevoked, "")
		})
		t.Run(name+", active", func(t *testing.T) {
			w := newWorld(t, nil)
			approved, active := w.approved(1), w.approved(2)
			active, err := w.activate(active, 3)
			w.ok(err)
			version(w, approved)
			version(w, active)
			if enforced {
				w.ok(w.s.Enforce(w.ctx))
			}
			_, err = w.activate(approved, 3)
			w.wantCode(err, errs.CodeRevoked, "")
			if enforced {
				_, err = w.activate(active, 3)
				w.wantCode(err, errs.CodeRevoked, "")
				_, err = w.s.Disable(w.ctx, as(auth.RoleOperator), active.Version.Digest, "no")
				w.wantCode(err, errs.CodeRevoked, "")
			}
		})
	}
}

func TestSignaturesThatDoNotCount(t *testing.T) {
	w := newWorld(t, nil)
	l := w.submitted(1)
	w.revoke(signing.RevokeKey, w.keyID("bob"))
	_, err := w.approve(l, "bob")
	w.wantCode(err, errs.CodeRevoked, "signature")
	w.change(ended("carol", w.now))
	_, err = w.approve(l, "carol")
	w.wantCode(err, errs.CodeKeyWindow, "signature")
	if got := w.life(l); len(got.Reviews) != 0 || len(got.Version.Signatures) != 1 {
		t.Errorf("they were stored: %d reviews", len(got.Reviews))
	}
}

// What is out is withdrawn, also where the server stopped right after it had
// closed the version.
func TestRevokedVersionsAreWithdrawn(t *testing.T) {
	w := newWorld(t, nil)
	l := w.active()
	digest := l.Version.Digest
	w.ok(w.db.Lease(w.ctx, jobs.Job{
		ID: "019a0000-0000-7000-8000-000000000001", PeerID: "p", Workload: jobs.WorkHook, Status: jobs.Pending, Version: digest, Hook: "extra",
		CreatedAt: w.now, Deadline: w.now.Add(time.Minute), Slot: "slot",
	}, w.now))
	w.revoke(signing.RevokeHook, "extra")
	fail := errors.New("no answer")
	w.s.Revoked = func(context.Context, string, string) error { return fail }
	if err := w.s.Enforce(w.ctx); !errors.Is(err, fail) {
		t.Fatalf("got %v", err)
	}
	if got := w.life(l).State(); got != hooks.StateRevoked {
		t.Fatalf("it is %s", got)
	}
	w.s.Revoked = func(_ context.Context, v, why string) error {
		w.withdrawn = append(w.withdrawn, v+": "+why)
		return nil
	}
	w.ok(w.s.Enforce(w.ctx))
	if len(w.withdrawn) != 1 || !strings.HasPrefix(w.withdrawn[0], digest+": ") || !strings.Contains(w.withdrawn[0], "carol revoked the hook") {
		t.Errorf("withdrawn: %q", w.withdrawn)
	}
}

// Enforce looks at every version of every hook, page by page.
func TestEnforceLooksAtAll(t *testing.T) {
	w := newWorld(t, nil)
	const each = 45 // more than two pages
	var all []review.Life
	for n := range int64(each) {
		all = append(all, w.submitted(n+1))
	}
	for i := range each {
		hook := "h" + strings.Repeat("x", i+1)
		l, err := w.submit(w.draft("alice", strings.Replace(manifest, "hook: extra", "hook: "+hook, 1), script, 1))
		w.ok(err)
		all = append(all, l)
	}
	w.revoke(signing.RevokeKey, w.keyID("alice"))
	w.ok(w.s.Enforce(w.ctx))
	for _, l := range all {
		if got := w.life(l).State(); got != hooks.StateRevoked {
			t.Errorf("%s@%d is %s", l.Version.Hook, l.Version.Number, got)
		}
	}
}

// Who has looked at the older rules when they change is waited for.
func TestEnforceWaitsForThoseUnderWay(t *testing.T) {
	w := newWorld(t, nil)
	l := w.approved(1)
	var mu sync.Mutex
	looked, goOn := make(chan struct{}), make(chan struct{})
	first := true
	w.s.Rules = func() signing.Rules {
		mu.Lock()
		rules, stop := w.rules(), first
		first = false
		mu.Unlock()
		if stop {
			close(looked)
			<-goOn
		}
		return rules
	}
	activated := make(chan error, 1)
	go func() {
		_, err := w.activate(l, 3)
		activated <- err
	}()
	<-looked
	mu.Lock()
	w.revoke(signing.RevokeHook, "extra")
	mu.Unlock()
	enforced := make(chan error, 1)
	go func() { enforced <- w.s.Enforce(w.ctx) }()
	select {
	case err := <-enforced:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(goOn)
	w.ok(<-activated)
	w.ok(<-enforced)
	if got := w.life(l).State(); got != hooks.StateRevoked {
		t.Errorf("it is %s", got)
	}
}

// Who approved with a key that does not count any more approves with another;
// who approved with one that counts does not.
func TestApprovalWithAnotherKey(t *testing.T) {
	w := newWorld(t, nil)
	second := w.key("bob-2")
	w.change(func(p *signing.Policy) {
		i := slices.IndexFunc(p.Persons, func(one signing.Person) bool { return one.Name == "bob" })
		p.Persons[i].Keys = append(p.Persons[i].Keys, second)
	})
	l := w.submitted(1)
	_, err := w.approve(l, "bob")
	w.ok(err)
	_, err = w.approve(l, "bob-2")
	w.wantCode(err, errs.CodeConflict, "signature")
	w.revoke(signing.RevokeApproval, signing.ApprovalValue(l.Version.Digest, w.keys["bob"].Public().ID))
	_, err = w.approve(l, "bob")
	w.wantCode(err, errs.CodeRevoked, "signature")
	l, err = w.approve(l, "bob-2")
	w.ok(err)
	if l.State() != hooks.StateSubmitted || len(l.Reviews) != 2 || len(l.Version.Signatures) != 3 {
		t.Errorf("it is %s with %d reviews", l.State(), len(l.Reviews))
	}
	l, err = w.approve(l, "carol")
	w.ok(err)
	if l.State() != hooks.StateApproved {
		t.Errorf("it is %s", l.State())
	}
}
