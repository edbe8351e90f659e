package mongo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/wiretest"
	"hookline/review"
	"hookline/store"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// acting is a fresh store and one who may do everything.
type acting struct {
	*testing.T
	*DB
	ctx context.Context
}

func newActing(t *testing.T) acting {
	return acting{t, opened(t, wiretest.Address(t), Options{}), t.Context()}
}

func (a acting) grant(p auth.Permission) auth.Grant {
	a.Helper()
	gate := &auth.Gate{Accounts: a, Log: a, Now: func() time.Time { return noon }}
	g, err := gate.Authorize(a.ctx, auth.Principal{User: "admin", Roles: []auth.Role{auth.RoleAdmin}, Kind: auth.TokenAPI}, p, "target", "")
	noError(a.T, err)
	return g
}

func (a acting) outcomes() (outcomes []string) {
	a.Helper()
	entries, err := a.Entries(a.ctx, auth.EntryFilter{})
	noError(a.T, err)
	for _, e := range entries {
		outcomes = append(outcomes, e.Outcome)
	}
	return outcomes
}

func (a acting) want(err error, code errs.Code) {
	a.Helper()
	if errs.CodeOf(err) != code {
		a.Errorf("got %v (%s), want %s", err, errs.CodeOf(err), code)
	}
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// version stores a version whose script has n bytes.
func (a acting) version(digest string, number int64, n int) error {
	return a.AddVersion(a.ctx, review.Version{
		Digest: digest, Hook: "taint", Number: number, State: hooks.StateSubmitted, Script: bytes.Repeat([]byte("x"), n),
		Signatures: [][]byte{{1}}, SubmittedBy: "alice", SubmittedAt: noon,
	}, a.grant(auth.HooksSubmit))
}

func (a acting) review(digest string, signature []byte, to hooks.State) error {
	return a.AddReview(a.ctx, review.Review{
		ID: rowID(len(signature)), Version: digest, Person: "bob", Verdict: review.VerdictApprove, Signature: signature, At: noon,
	}, hooks.StateSubmitted, to, a.grant(auth.HooksReview))
}

func rowID(n int) string { return string(rune('a' + n%26)) }

// activation stores an approved version and returns what activates it.
func (a acting) activation(digest string, number int64) hooks.Activation {
	a.Helper()
	noError(a.T, a.version(digest, number, 1))
	noError(a.T, a.review(digest, []byte{2}, hooks.StateApproved))
	return hooks.Activation{
		Digest: digest, Hook: "taint", State: hooks.StateActive, Keys: []string{"k"}, Quantity: 3,
		Deadline: noon.Add(time.Hour), MaxBytes: 10, CreatedAt: noon, ChangedAt: noon.Add(time.Duration(number) * time.Minute),
	}
}

func (a acting) activate(v hooks.Activation, from hooks.State) {
	a.Helper()
	noError(a.T, a.Activate(a.ctx, v, from, a.grant(auth.HooksActivate)))
}

func (a acting) reads(digest string) hooks.Activation {
	a.Helper()
	v, err := a.Activation(a.ctx, digest)
	noError(a.T, err)
	return v
}

func TestVersionsThatNoDocumentHolds(t *testing.T) {
	a := newActing(t)
	a.want(a.version("huge", 1, 16<<20), errs.CodeTooLarge)
	_, err := a.Life(a.ctx, "huge")
	a.want(err, errs.CodeNotFound)
	same(t, a.outcomes(), []string(nil))
	// A review's signature is stored twice: with the review, and as a file of the version.
	v := newVersionDoc(review.Version{Digest: "big", State: hooks.StateSubmitted, Script: make([]byte, store.MaxRecordBytes-10_000)})
	for n, code := range map[int]errs.Code{4_000: "", 5_000: errs.CodeTooLarge} {
		r := review.Review{ID: "r", Verdict: review.VerdictApprove, Signature: make([]byte, n)}
		if err := mayReview(v, r, hooks.StateSubmitted, hooks.StateApproved); errs.CodeOf(err) != code {
			t.Errorf("a signature of %d bytes: %v", n, err)
		}
	}
}

func TestActionsLeaveTheirOutcome(t *testing.T) {
	a := newActing(t)
	lost := errors.New("the answer is lost")
	noError(t, a.AddUser(a.ctx, auth.User{Name: "alice"}, a.grant(auth.UsersManage)))
	for _, c := range []struct {
		name    string
		fails   error
		changes bool
		begun   []string // before Mend
		mended  []string
	}{
		{"done", nil, true, []string{"ok"}, []string{"ok"}},
		{"refused", errs.New(errs.CodeConflict, "no"), false, nil, nil},
		{"lost but done", lost, true, []string{"begun"}, []string{"ok"}},
		{"lost", lost, false, []string{"begun"}, []string{"unknown"}},
		{"no server", errs.New(errs.CodeUnavailable, "no server"), false, []string{"begun"}, []string{"unknown"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := a.audit.DeleteMany(a.ctx, m{})
			noError(t, err)
			ctx, leave := context.WithCancel(a.ctx)
			err = a.audited(ctx, a.grant(auth.UsersManage), where(a.users, "alice"), func(ctx context.Context, entry string) error {
				leave() // who asked has gone: the action goes on
				if c.changes {
					_, err := a.change(ctx, a.users, byID("alice"), m{{Key: "$set", Value: m{{Key: "audit", Value: entry}}}})
					noError(t, err)
				}
				return c.fails
			})
			if !errors.Is(err, c.fails) {
				t.Errorf("got %v, want %v", err, c.fails)
			}
			same(t, a.outcomes(), c.begun)
			_, err = a.Mend(a.ctx, noon.Add(time.Minute), 100)
			noError(t, err)
			same(t, a.outcomes(), c.mended)
		})
	}
}

func TestActionOfOneWhoHasLeft(t *testing.T) {
	a := newActing(t)
	g := a.grant(auth.UsersManage)
	ctx, leave := context.WithCancel(a.ctx)
	leave()
	if err := a.AddUser(ctx, auth.User{Name: "alice"}, g); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	same(t, a.outcomes(), []string(nil))
	_, err := a.User(a.ctx, "alice")
	a.want(err, errs.CodeNotFound)
}

// What is sent twice meets its own trace and is no refusal.
func TestActionsThatAreSentTwice(t *testing.T) {
	a := newActing(t)
	v := a.activation("one", 1)
	doc := userDoc{Name: "alice", Roles: []auth.Role{auth.RoleViewer}, Audit: "entry"}
	taken := errs.New(errs.CodeConflict, "taken")
	noError(t, a.add(a.ctx, a.users, doc, "alice", "entry", taken))
	noError(t, a.add(a.ctx, a.users, doc, "alice", "entry", taken))
	a.want(a.add(a.ctx, a.users, doc, "alice", "other", taken), errs.CodeConflict)
	for _, from := range []hooks.State{hooks.StateApproved, hooks.StateDisabled} {
		entry := "entry " + string(from)
		noError(t, a.DB.activate(a.ctx, v, from, entry))
		noError(t, a.DB.activate(a.ctx, v, from, entry))
		noError(t, a.Stop(a.ctx, v.Digest, hooks.StateActive, hooks.StateDisabled, "", noon, a.grant(auth.HooksDisable)))
	}
}

// A server that stops before it has deleted a token that was removed leaves
// one that opens nothing and is in no list, until it is purged.
func TestRemovedTokenIsDead(t *testing.T) {
	a := newActing(t)
	login := auth.Token{ID: "login", Kind: auth.TokenLogin, Hash: sha256.Sum256([]byte("login")), User: "alice", ExpiresAt: noon.Add(time.Hour)}
	noError(t, a.AddToken(a.ctx, login, a.grant(auth.LoginCreate)))
	if ok, err := a.markRemoved(a.ctx, login.ID, noon, "entry"); !ok || err != nil { // and the server stops
		t.Fatal(ok, err)
	}
	_, err := a.TokenByHash(a.ctx, login.Hash)
	a.want(err, errs.CodeNotFound)
	_, err = a.Token(a.ctx, login.ID)
	a.want(err, errs.CodeNotFound)
	for _, user := range []string{"alice", ""} {
		left, err := a.Tokens(a.ctx, user, "", 10)
		noError(t, err)
		same(t, left, []auth.Token(nil))
	}
	a.want(a.SpendToken(a.ctx, login.ID), errs.CodeNotFound)
	a.want(a.RemoveToken(a.ctx, login.ID, a.grant(auth.TokensCreate)), errs.CodeNotFound)
	n, err := a.PurgeTokens(a.ctx, noon, 10)
	noError(t, err)
	same(t, n, int64(1))
}

// Nothing is left of a token that was removed without a stop.
func TestRemovedTokenIsGone(t *testing.T) {
	a := newActing(t)
	noError(t, a.AddToken(a.ctx, auth.Token{ID: "api"}, a.grant(auth.TokensCreate)))
	noError(t, a.RemoveToken(a.ctx, "api", a.grant(auth.TokensCreate)))
	n, err := a.tokens.CountDocuments(a.ctx, m{})
	noError(t, err)
	same(t, n, int64(0))
	same(t, a.outcomes(), []string{"ok", "ok"})
}

// The version that was superseded for nothing becomes active again, unless
// another one is by then.
func TestSupersededForNothing(t *testing.T) {
	a := newActing(t)
	first, second, third := a.activation("one", 1), a.activation("two", 2), a.activation("three", 3)
	a.activate(first, hooks.StateApproved)
	before := a.reads("one")
	other, ok, err := a.supersede(a.ctx, second, "entry")
	noError(t, err)
	if got := a.reads("one"); !ok || got.State != hooks.StateSuperseded || got.Reason != "superseded by two" {
		t.Errorf("superseded %v, %+v", ok, got)
	}
	noError(t, a.putBack(a.ctx, other, second.Digest))
	same(t, a.reads("one"), before)
	other, _, err = a.supersede(a.ctx, second, "entry")
	noError(t, err)
	a.activate(third, hooks.StateApproved)
	superseded := a.reads("one")
	noError(t, a.putBack(a.ctx, other, second.Digest))
	same(t, a.reads("one"), superseded)
	same(t, a.reads("three").State, hooks.StateActive)
	// Nor does it come back when that one was disabled: nobody asked for it.
	_, err = a.ChangeState(a.ctx, "three", hooks.StateActive, hooks.StateDisabled, "noisy", third.ChangedAt)
	noError(t, err)
	noError(t, a.putBack(a.ctx, other, second.Digest))
	same(t, a.reads("one"), superseded)
}

// Between the look and the update others may do anything.
func TestActiveSlotTakenMeanwhile(t *testing.T) {
	a := newActing(t)
	first, second := a.activation("one", 1), a.activation("two", 2)
	begin, err := a.mayActivate(a.ctx, second, hooks.StateApproved)
	noError(t, err)
	a.activate(first, hooks.StateApproved)
	meanwhile := func(take taker) {
		t.Helper()
		if err := a.taken(a.ctx, second, "entry", take(a.ctx, "entry")); !errors.Is(err, errOthers) {
			t.Errorf("got %v", err)
		}
		same(t, a.reads("one").State, hooks.StateActive)
	}
	meanwhile(begin)
	a.activate(second, hooks.StateApproved)
	a.activate(first, hooks.StateSuperseded)
	goOn, err := a.mayActivate(a.ctx, second, hooks.StateSuperseded)
	noError(t, err)
	meanwhile(goOn)
	ok, err := a.ChangeState(a.ctx, "two", hooks.StateSuperseded, hooks.StateDisabled, "", noon)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	meanwhile(goOn)
}
