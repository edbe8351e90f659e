package review_test

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/review"
	"hookline/signing"
)

func TestFromSubmittedToActive(t *testing.T) {
	w := newWorld(t, nil)
	l := w.submitted(1)
	if l.State() != hooks.StateSubmitted || l.Version.Hook != "extra" || l.Version.Number != 1 {
		t.Fatalf("submitted %+v", l.Version)
	}
	_, err := w.activate(l, 3)
	w.wantCode(err, errs.CodeTransitionNotAllowed, "*")
	l, err = w.approve(l, "bob")
	w.ok(err)
	if l.State() != hooks.StateSubmitted || len(l.Version.Signatures) != 2 {
		t.Fatalf("after one approval it is %s", l.State())
	}
	l, err = w.approve(l, "carol")
	w.ok(err)
	if l.State() != hooks.StateApproved {
		t.Fatalf("after two approvals it is %s", l.State())
	}
	if r := l.Reviews[1]; r.Person != "carol" || r.KeyID != string(w.keys["carol"].Public().ID) || r.User != "user-reviewer" {
		t.Fatalf("review %+v", r)
	}
	l, err = w.activate(l, 3)
	w.ok(err)
	want := &hooks.Activation{
		Digest: l.Version.Digest, Hook: "extra", State: hooks.StateActive, Keys: []string{"fp:/usr/bin/crasher:6:a:b:c"},
		Quantity: 3, Deadline: start.Add(time.Hour), MaxBytes: 1 << 20,
		Rollout: hooks.Rollout{Percent: 50, PerMinute: review.DefaultPerMinute}, CreatedAt: start, ChangedAt: start,
	}
	if d := cmp.Diff(want, l.Activation); d != "" {
		t.Fatal(d)
	}
	if !slices.Equal(w.activated, []string{l.Version.Digest}) {
		t.Fatalf("told of %v", w.activated)
	}
	if _, err := (signing.Rules{Policy: w.policy, Now: time.Now()}).Verify(l.Version.Script, l.Version.Statement, l.Version.Signatures); err != nil {
		t.Fatal(err)
	}
	l, err = w.s.Disable(w.ctx, as(auth.RoleOperator), l.Version.Digest, "it is noisy")
	w.ok(err)
	if l.State() != hooks.StateDisabled || l.Activation.Reason != "it is noisy" {
		t.Fatalf("disabled %+v", l.Activation)
	}
	_, err = w.s.Disable(w.ctx, as(auth.RoleOperator), l.Version.Digest, "again")
	w.wantCode(err, errs.CodeTransitionNotAllowed, "*")
	_, err = w.activate(l, 4)
	w.ok(err)
	if d := cmp.Diff([]string{
		"hooks.submit ok", "hooks.review ok", "hooks.review ok", "hooks.activate ok", "hooks.disable ok", "hooks.activate ok",
	}, w.audited()); d != "" {
		t.Fatal(d)
	}
}

func TestSubmitRefuses(t *testing.T) {
	other := strings.Replace(manifest, "7d", "14d", 1)
	for name, c := range map[string]struct {
		make  func(w *world) draft
		code  errs.Code
		field string
	}{
		"no manifest": {func(w *world) draft {
			d := w.draft("alice", manifest, script, 1)
			d.manifest = nil
			return d
		}, errs.CodeBadInput, "manifest"},
		"no signature": {func(w *world) draft {
			d := w.draft("alice", manifest, script, 1)
			d.signature = nil
			return d
		}, errs.CodeBadInput, "signature"},
		"script too long": {func(w *world) draft {
			d := w.draft("alice", manifest, script, 1)
			d.script = make([]byte, hooks.MaxScriptBytes+1)
			return d
		}, errs.CodeTooLarge, "script"},
		"script of too many lines": {func(w *world) draft {
			return w.draft("alice", manifest, script+strings.Repeat("\n", review.MaxLines), 1)
		}, errs.CodeTooLarge, "script"},
		"manifest of too many lines": {func(w *world) draft {
			d := w.draft("alice", manifest, script, 1)
			d.manifest = append(d.manifest, strings.Repeat("\n", review.MaxLines)...)
			return d
		}, errs.CodeTooLarge, "manifest"},
		"statement too long": {func(w *world) draft {
			d := w.draft("alice", manifest, script, 1)
			d.statement = make([]byte, hooks.MaxStatementBytes+1)
			return d
		}, errs.CodeTooLarge, "statement"},
		"bytecode": {func(w *world) draft {
			d := w.draft("alice", manifest, script, 1)
			d.script = []byte("\x1bLua")
			return d
		}, errs.CodeBadScript, "*"},
		"manifest with an unknown key": {func(w *world) draft {
			d := w.draft("alice", manifest, script, 1)
			d.manifest = append(d.manifest, "more: yes\n"...)
			return d
		}, errs.CodeBadManifest, "*"},
		"statement that is not canonical": {func(w *world) draft {
			d := w.draft("alice", manifest, script, 1)
			d.statement = append(d.statement, '\n')
			return d
		}, errs.CodeStatementMalformed, "*"},
		"another script": {func(w *world) draft {
			d := w.draft("alice", manifest, script, 1)
			d.script = append(d.script, ' ')
			return d
		}, errs.CodeScriptDigest, "*"},
		"manifest that says less": {func(w *world) draft {
			d := w.draft("alice", manifest, script, 1)
			d.manifest = []byte(strings.Replace(manifest, "max_reports: 100", "max_reports: 10", 1))
			return d
		}, errs.CodeBadManifest, "limits.max_reports"},
		"manifest that names other paths": {func(w *world) draft {
			d := w.draft("alice", manifest, script, 1)
			d.manifest = []byte(strings.Replace(manifest, "/proc/sys/kernel/tainted", "/proc/meminfo", 1))
			return d
		}, errs.CodeBadManifest, "capabilities"},
		"manifest with another lifetime": {func(w *world) draft {
			d := w.draft("alice", manifest, script, 1)
			d.manifest = []byte(other)
			return d
		}, errs.CodeBadManifest, "limits.lifetime"},
		"longer than the policy": {func(w *world) draft {
			w.policy.MaxLifetime = 24 * time.Hour
			return w.draft("alice", manifest, script, 1)
		}, errs.CodeLifetimeTooLong, "*"},
		"over already": {func(w *world) draft {
			d := w.draft("alice", manifest, script, 1)
			w.now = w.now.Add(7 * 24 * time.Hour)
			return d
		}, errs.CodeExpired, "*"},
		"for a year to come": {func(w *world) draft {
			now := w.now
			w.now = now.Add(365 * 24 * time.Hour)
			d := w.draft("alice", manifest, script, 1)
			w.now = now
			return d
		}, errs.CodeNotYetValid, "predicate.not_before"},
		"for another deployment": {func(w *world) draft {
			d := w.draft("alice", manifest, script, 1)
			w.policy.Deployment = "d-" + strings.Repeat("f", 32)
			return d
		}, errs.CodeWrongDeployment, "*"},
		"not the next number": {func(w *world) draft {
			return w.draft("alice", manifest, script, 2)
		}, errs.CodeVersionTaken, "predicate.version"},
		"a number that is taken": {func(w *world) draft {
			w.submitted(1)
			w.now = w.now.Add(time.Second)
			return w.draft("alice", manifest, script, 1)
		}, errs.CodeVersionTaken, "predicate.version"},
		"signed by a reviewer only": {func(w *world) draft {
			return w.draft("bob", manifest, script, 1)
		}, errs.CodeSignerRole, "*"},
		"signed by a stranger": {func(w *world) draft {
			return w.draft("stranger", manifest, script, 1)
		}, errs.CodeSignerUnknown, "*"},
		"signed by somebody else": {func(w *world) draft {
			d := w.draft("alice", manifest, script, 1)
			d.signature = w.sign("bob", d.statement)
			return d
		}, errs.CodeAuthorMissing, "*"},
		"signature over something else": {func(w *world) draft {
			d := w.draft("alice", manifest, script, 1)
			d.signature = w.sign("alice", w.draft("alice", manifest, script, 2).statement)
			return d
		}, errs.CodeSignatureInvalid, "*"},
		"forbidden capability": {func(w *world) draft {
			w.policy.Forbidden = []string{signing.CapFSRead}
			return w.draft("alice", manifest, script, 1)
		}, errs.CodeCapabilityForbidden, "*"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			d := c.make(w)
			before, err := w.db.LatestNumber(w.ctx, "extra")
			w.ok(err)
			_, err = w.submit(d)
			w.wantCode(err, c.code, c.field)
			after, err := w.db.LatestNumber(w.ctx, "extra")
			w.ok(err)
			if before != after {
				t.Fatal("something was stored")
			}
		})
	}
}

// Who approves once more is told whether anybody else is needed.
func TestApprovedTwiceSaysWhatIsNeeded(t *testing.T) {
	w := newWorld(t, nil)
	hint := func(err error, code errs.Code, want string) {
		t.Helper()
		if e, ok := errs.As(err); !ok || e.Code != code || !strings.Contains(e.Hint, want) {
			t.Errorf("%v, hint %q; want %s and %q", err, e.Hint, code, want)
		}
	}
	l, err := w.approve(w.submitted(1), "bob")
	w.ok(err)
	_, err = w.approve(l, "bob")
	hint(err, errs.CodeConflict, "one more reviewer is needed")
	w.change(func(p *signing.Policy) { p.Reviewers = 1 })
	_, err = w.approve(l, "bob")
	hint(err, errs.CodeConflict, "all the approvals that it needs")
	l, err = w.approve(w.submitted(2), "bob")
	w.ok(err)
	_, err = w.approve(l, "bob")
	hint(err, errs.CodeTransitionNotAllowed, "all the approvals that it needs")
}

func TestReviewRefuses(t *testing.T) {
	type args struct {
		digest    string
		verdict   review.Verdict
		comment   string
		signature []byte
	}
	sign := func(who string) func(*world, review.Life) args {
		return func(w *world, l review.Life) args {
			return args{l.Version.Digest, review.VerdictApprove, "", w.sign(who, l.Version.Statement)}
		}
	}
	plain := func(v review.Verdict, comment string, signature []byte) func(*world, review.Life) args {
		return func(_ *world, l review.Life) args { return args{l.Version.Digest, v, comment, signature} }
	}
	for name, c := range map[string]struct {
		make  func(*world, review.Life) args
		code  errs.Code
		field string
	}{
		"the author":               {sign("alice"), errs.CodeSignerRole, "signature"},
		"the author's other key":   {sign("alice-2"), errs.CodeSignerRole, "signature"},
		"a stranger":               {sign("stranger"), errs.CodeSignerUnknown, "signature"},
		"another author":           {sign("dave"), errs.CodeSignerRole, "*"},
		"an operator":              {sign("olga"), errs.CodeSignerRole, "*"},
		"the same person twice":    {sign("bob"), errs.CodeConflict, "signature"},
		"no signature":             {plain(review.VerdictApprove, "", nil), errs.CodeBadInput, "signature"},
		"no signature file":        {plain(review.VerdictApprove, "", []byte("{}")), errs.CodeSignatureMalformed, "*"},
		"a huge signature file":    {plain(review.VerdictApprove, "", make([]byte, signing.MaxSignatureFileBytes+1)), errs.CodeTooLarge, "signature"},
		"reject without a word":    {plain(review.VerdictReject, " \n", nil), errs.CodeBadInput, "comment"},
		"reject with a signature":  {plain(review.VerdictReject, "no", []byte("x")), errs.CodeBadInput, "signature"},
		"changes without a word":   {plain(review.VerdictRequestChanges, "", nil), errs.CodeBadInput, "comment"},
		"a comment too long":       {plain(review.VerdictReject, strings.Repeat("x", review.MaxCommentBytes+1), nil), errs.CodeTooLarge, "comment"},
		"a comment with an escape": {plain(review.VerdictReject, "\x1b[2J", nil), errs.CodeBadInput, "comment"},
		"a comment not in UTF-8":   {plain(review.VerdictReject, "\xff", nil), errs.CodeBadInput, "comment"},
		"no verdict":               {plain("", "x", nil), errs.CodeBadInput, "verdict"},
		"no such version": {func(w *world, l review.Life) args {
			return args{hooks.Digest(nil), review.VerdictReject, "no", nil}
		}, errs.CodeNotFound, "*"},
		"no digest": {func(w *world, l review.Life) args {
			return args{"../x", review.VerdictReject, "no", nil}
		}, errs.CodeNotFound, "digest"},
		"over": {func(w *world, l review.Life) args {
			w.now = w.now.Add(7 * 24 * time.Hour)
			return sign("carol")(w, l)
		}, errs.CodeExpired, "*"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			l, err := w.approve(w.submitted(1), "bob")
			w.ok(err)
			a := c.make(w, l)
			_, err = w.s.Review(w.ctx, as(auth.RoleReviewer), a.digest, a.verdict, a.comment, a.signature)
			w.wantCode(err, c.code, c.field)
			after, err := w.db.Life(w.ctx, l.Version.Digest)
			w.ok(err)
			if d := cmp.Diff(l, after); d != "" {
				t.Fatalf("something was stored: %s", d)
			}
		})
	}
}

func TestRejectAndRequestChanges(t *testing.T) {
	w := newWorld(t, nil)
	l := w.submitted(1)
	say := func(v review.Verdict) (err error) {
		l, err = w.s.Review(w.ctx, as(auth.RoleReviewer), l.Version.Digest, v, "because", nil)
		return err
	}
	digest := l.Version.Digest
	w.ok(say(review.VerdictRequestChanges))
	if l.State() != hooks.StateChangesRequested {
		t.Fatalf("it is %s", l.State())
	}
	l, err := w.approve(l, "bob") // may still be convinced
	w.ok(err)
	w.ok(say(review.VerdictReject))
	if l.State() != hooks.StateRejected || len(l.Reviews) != 3 {
		t.Fatalf("it is %s with %d reviews", l.State(), len(l.Reviews))
	}
	_, err = w.approve(l, "carol")
	w.wantCode(err, errs.CodeTransitionNotAllowed, "*")
	if e, _ := errs.As(err); e.Hint == "" {
		t.Fatal("the refusal does not say what to do")
	}
	_, err = w.s.Review(w.ctx, as(auth.RoleReviewer), digest, review.VerdictReject, "again", nil)
	w.wantCode(err, errs.CodeTransitionNotAllowed, "*")
	// A new version begins without approvals.
	if next := w.submitted(2); len(next.Version.Signatures) != 1 || len(next.Reviews) != 0 {
		t.Fatalf("version 2 has %d signatures", len(next.Version.Signatures))
	}
}

func TestRolesAreAskedFirst(t *testing.T) {
	w := newWorld(t, nil)
	l := w.approved(1)
	d := w.draft("alice", manifest, script, 2)
	session := as(auth.RoleAdmin)
	session.Kind = auth.TokenSession
	_, err := w.s.Submit(w.ctx, session, d.manifest, d.script, d.statement, d.signature) // goes with a key
	w.wantCode(err, errs.CodeForbidden, "*")
	for name, p := range map[string]auth.Principal{
		"viewer": as(auth.RoleViewer), "nobody": {User: "nobody", Kind: auth.TokenAPI},
	} {
		_, err := w.s.Submit(w.ctx, p, d.manifest, d.script, d.statement, d.signature)
		w.wantCode(err, errs.CodeForbidden, "*")
		_, err = w.s.Review(w.ctx, p, l.Version.Digest, review.VerdictReject, "no", nil)
		w.wantCode(err, errs.CodeForbidden, "*")
		_, err = w.s.Activate(w.ctx, p, l.Version.Digest, 1, w.now.Add(time.Hour), hooks.Rollout{})
		w.wantCode(err, errs.CodeForbidden, "*")
		_, err = w.s.Disable(w.ctx, p, l.Version.Digest, "no")
		w.wantCode(err, errs.CodeForbidden, "*")
		if got := w.audited(); len(got) < 4 || got[len(got)-1] != "hooks.disable forbidden" {
			t.Fatalf("%s: audited %v", name, got)
		}
	}
	// One role does not do the work of another.
	_, err = w.s.Activate(w.ctx, as(auth.RoleAuthor, auth.RoleReviewer), l.Version.Digest, 1, w.now.Add(time.Hour), hooks.Rollout{})
	w.wantCode(err, errs.CodeForbidden, "*")
	_, err = w.s.Review(w.ctx, as(auth.RoleOperator), l.Version.Digest, review.VerdictReject, "no", nil)
	w.wantCode(err, errs.CodeForbidden, "*")
}

func TestActivateKeepsWithinTheSignedBounds(t *testing.T) {
	w := newWorld(t, nil)
	l := w.approved(1)
	hour := start.Add(time.Hour)
	for name, c := range map[string]struct {
		quantity int64
		deadline time.Time
		rollout  hooks.Rollout
		field    string
	}{
		"no quantity":        {0, hour, hooks.Rollout{}, "quantity"},
		"negative":           {-1, hour, hooks.Rollout{}, "quantity"},
		"more than signed":   {101, hour, hooks.Rollout{}, "quantity"},
		"no deadline":        {1, time.Time{}, hooks.Rollout{}, "deadline"},
		"deadline now":       {1, start, hooks.Rollout{}, "deadline"},
		"deadline too late":  {1, start.Add(7*24*time.Hour + time.Second), hooks.Rollout{}, "deadline"},
		"percent over":       {1, hour, hooks.Rollout{Percent: 51}, "percent"},
		"percent negative":   {1, hour, hooks.Rollout{Percent: -1}, "percent"},
		"per minute over":    {1, hour, hooks.Rollout{PerMinute: 6001}, "per_minute"},
		"per minute negativ": {1, hour, hooks.Rollout{PerMinute: -1}, "per_minute"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.s.Activate(w.ctx, as(auth.RoleOperator), l.Version.Digest, c.quantity, c.deadline, c.rollout)
			w.wantCode(err, errs.CodeBoundExceeded, c.field)
		})
	}
	l, err := w.s.Activate(w.ctx, as(auth.RoleOperator), l.Version.Digest, 100, start.Add(7*24*time.Hour), hooks.Rollout{Percent: 50, PerMinute: 6000})
	w.ok(err)
	_, err = w.activate(l, 3)
	w.wantCode(err, errs.CodeTransitionNotAllowed, "*")
}

// TestActivateVerifiesAgain: what stands in the store proves nothing.
func TestActivateVerifiesAgain(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(w *world)
		code  errs.Code
	}{
		"a reviewer left the policy": {func(w *world) {
			w.policy.Persons = slices.DeleteFunc(w.policy.Persons, func(p signing.Person) bool { return p.Name == "carol" })
		}, errs.CodeThresholdNotMet},
		"the policy asks for more": {func(w *world) { w.policy.Needs[signing.CapFSRead] = 3 }, errs.CodeThresholdNotMet},
		"the window is over":       {func(w *world) { w.now = start.Add(7 * 24 * time.Hour) }, errs.CodeExpired},
		"the window is not open":   {func(w *world) { w.now = start.Add(-time.Second) }, errs.CodeNotYetValid},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			l := w.approved(1)
			c.spoil(w)
			_, err := w.activate(l, 1)
			w.wantCode(err, c.code, "*")
		})
	}
}

func TestANewerVersionSupersedes(t *testing.T) {
	w := newWorld(t, nil)
	first := w.approved(1)
	_, err := w.activate(first, 3)
	w.ok(err)
	second, err := w.activate(w.approved(2), 3)
	w.ok(err)
	first, err = w.db.Life(w.ctx, first.Version.Digest)
	w.ok(err)
	if first.State() != hooks.StateSuperseded || second.State() != hooks.StateActive {
		t.Fatalf("they are %s and %s", first.State(), second.State())
	}
}

// lease takes a lease for a job of that id.
func (w *world) lease(version, id string) {
	w.Helper()
	w.ok(w.db.Lease(w.ctx, jobs.Job{ID: id, PeerID: "peer of " + id, OriginalID: id, Version: version, CreatedAt: w.now}, w.now))
}

// TestTheLedgerGoesOn: started again, a version counts what it brought before.
func TestTheLedgerGoesOn(t *testing.T) {
	w := newWorld(t, nil)
	l, err := w.activate(w.approved(1), 2)
	w.ok(err)
	v := l.Version.Digest
	for _, lease := range []string{"a", "b"} {
		w.lease(v, lease)
	}
	received := jobs.Decision{Status: jobs.Succeeded, Outcome: hooks.OutcomeReceived}
	_, err = w.db.Settle(w.ctx, "a", received, &collector.Result{ID: "a", Fields: make([]byte, 10), Bytes: 10}, w.now)
	w.ok(err)
	_, err = w.s.Disable(w.ctx, as(auth.RoleOperator), v, "a pause")
	w.ok(err)
	_, err = w.activate(l, 2)
	w.wantCode(err, errs.CodeQuantityReached, "quantity")
	l, err = w.activate(l, 3)
	w.ok(err)
	if got := l.Activation.Ledger; got.Issued != 2 || got.Leased != 1 || got.Received != 1 || got.Bytes != 10 {
		t.Fatalf("ledger %+v", got)
	}
}

func TestTooManyFailuresNeedMoreQuantity(t *testing.T) {
	w := newWorld(t, nil)
	l, err := w.activate(w.approved(1), 1)
	w.ok(err)
	v := l.Version.Digest
	for i := range 13 {
		lease := string(rune('a' + i))
		w.lease(v, lease)
		_, err := w.db.Settle(w.ctx, lease, jobs.Decision{Status: jobs.Failed, Outcome: hooks.OutcomeFailed}, nil, w.now)
		w.ok(err)
	}
	_, err = w.s.Disable(w.ctx, as(auth.RoleOperator), v, "it fails")
	w.ok(err)
	_, err = w.activate(l, 1)
	w.wantCode(err, errs.CodeErrorRate, "quantity")
	_, err = w.activate(l, 2)
	w.ok(err)
}

func TestSoloNeedsNobodyElse(t *testing.T) {
	w := newWorld(t, func(p *signing.Policy) { p.Profile, p.Reviewers = signing.ProfileSolo, 0 })
	l := w.submitted(1)
	if l.State() != hooks.StateApproved {
		t.Fatalf("it is %s", l.State())
	}
	_, err := w.activate(l, 1)
	w.ok(err)
}

// TestTwoReviewersAtOnce: whoever comes last makes it approved, even when
// nobody is last.
func TestTwoReviewersAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	l := w.submitted(1)
	files := [][]byte{w.sign("bob", l.Version.Statement), w.sign("carol", l.Version.Statement)}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			_, err := w.s.Review(w.ctx, as(auth.RoleReviewer), l.Version.Digest, review.VerdictApprove, "", files[i%2])
			if err != nil && !errs.Is(err, errs.CodeConflict) && !errs.Is(err, errs.CodeTransitionNotAllowed) {
				t.Errorf("review: %v", err)
			}
		})
	}
	wg.Wait()
	l, err := w.db.Life(w.ctx, l.Version.Digest)
	w.ok(err)
	if l.State() != hooks.StateApproved || len(l.Version.Signatures) != 3 || len(l.Reviews) != 2 {
		t.Fatalf("it is %s with %d signatures", l.State(), len(l.Version.Signatures))
	}
}

// TestSixteenSubmitAtOnce: one number, one version.
func TestSixteenSubmitAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	var drafts []draft
	for i := range 16 {
		drafts = append(drafts, w.draft("alice", manifest, script+strings.Repeat("\n", i), 1))
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for _, d := range drafts {
		wg.Go(func() {
			_, err := w.submit(d)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if !errs.Is(err, errs.CodeVersionTaken) {
				t.Errorf("submit: %v", err)
			}
		})
	}
	wg.Wait()
	if won != 1 || len(w.audited()) != 1 {
		t.Fatalf("%d versions, audited %v", won, w.audited())
	}
}

func TestSubmitKeepsTheVeryBytes(t *testing.T) {
	w := newWorld(t, nil)
	d := w.draft("alice", manifest, script, 1)
	l, err := w.submit(d)
	w.ok(err)
	if !bytes.Equal(l.Version.Statement, d.statement) || !bytes.Equal(l.Version.Script, d.script) ||
		!bytes.Equal(l.Version.Manifest, d.manifest) || !bytes.Equal(l.Version.Signatures[0], d.signature) {
		t.Fatal("other bytes were stored")
	}
}
