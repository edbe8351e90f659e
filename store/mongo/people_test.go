package mongo

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/review"
)

const tries = 3 // to sign in

// try is one after noon by some seconds, where those of the last minute count.
func (mt *meeting) try(d *DB, seconds int) bool {
	mt.Helper()
	at := noon.Add(time.Duration(seconds) * time.Second)
	ok, err := d.TrySignIn(mt.ctx, "alice", at, at.Add(-time.Minute), tries)
	noError(mt.T, err)
	return ok
}

// However others come in between, each try counts, and none too many is let
// through.
func TestTriesBetween(t *testing.T) {
	for name, c := range map[string]struct {
		had   int // tries until then
		n     int // the command before which the others come
		do    func(mt *meeting)
		ok    bool
		count int64
	}{
		"the first one":                         {0, 1, func(mt *meeting) { mt.try(mt.DB, 1) }, true, 2},
		"one more":                              {1, 2, func(mt *meeting) { mt.try(mt.DB, 1) }, true, 3},
		"the last one":                          {2, 2, func(mt *meeting) { mt.try(mt.DB, 1) }, false, 3},
		"a success, while it looks for a place": {3, 2, func(mt *meeting) { noError(mt.T, mt.SignedIn(mt.ctx, "alice", noon)) }, true, 1},
		"a success, while it looks why":         {3, 3, func(mt *meeting) { noError(mt.T, mt.SignedIn(mt.ctx, "alice", noon)) }, true, 1},
		"a success, and all tries after it": {3, 3, func(mt *meeting) {
			noError(mt.T, mt.SignedIn(mt.ctx, "alice", noon))
			for n := range tries {
				mt.try(mt.DB, n)
			}
		}, false, 3},
	} {
		t.Run(name, func(t *testing.T) {
			mt := newMeeting(t)
			noError(t, mt.AddUser(mt.ctx, auth.User{Name: "alice"}, mt.grant(auth.UsersManage)))
			for n := range c.had {
				mt.try(mt.DB, n)
			}
			mt.before(c.n, func() { c.do(mt) })
			if ok := mt.try(mt.late, 2); ok != c.ok {
				t.Errorf("let through %v, want %v", ok, c.ok)
			}
			u, err := mt.User(mt.ctx, "alice")
			noError(t, err)
			same(t, u.Failures, c.count)
			if mt.left > 0 {
				t.Errorf("%d commands are missing", mt.left)
			}
		})
	}
}

// comment is one of alice on version one.
func comment(id string) review.Comment {
	return review.Comment{ID: id, Version: "one", User: "alice", Text: id, At: noon}
}

func (mt *meeting) says(d *DB, id string) error {
	mt.Helper()
	return d.AddComment(mt.ctx, comment(id), mt.grant(auth.HooksReview))
}

// Two comments never get one number, and no version more than there are.
func TestCommentsBetween(t *testing.T) {
	for had, want := range map[int]errs.Code{0: "", 1: "", review.MaxComments - 2: "", review.MaxComments - 1: errs.CodeTooLarge} {
		t.Run(strconv.Itoa(had), func(t *testing.T) {
			mt := newMeeting(t)
			noError(t, mt.version("one", 1, 1))
			docs := []any{}
			for n := range had {
				docs = append(docs, commentDoc{ID: fmt.Sprintf("%03d", n), Version: "one", Number: int64(n)})
			}
			if had > 0 {
				_, err := mt.comments.InsertMany(mt.ctx, docs)
				noError(t, err)
			}
			mt.before(3, func() { noError(t, mt.says(mt.DB, "first")) }) // intent, version, and then the insert
			mt.want(mt.says(mt.late, "second"), want)
			all, err := mt.Comments(mt.ctx, "one")
			noError(t, err)
			if n := len(all) - had; n != 1 && want != "" || n != 2 && want == "" || len(all) > review.MaxComments {
				t.Errorf("%d comments more", n)
			}
			mt.want(mt.says(mt.DB, "first"), map[bool]errs.Code{true: errs.CodeTooLarge, false: errs.CodeConflict}[len(all) == review.MaxComments])
		})
	}
}

// Others lease, end and change an activation while somebody gives it new
// bounds.
func TestNewBoundsBetween(t *testing.T) {
	for name, c := range map[string]struct {
		do       func(mt *meeting)
		want     errs.Code
		quantity int64
		state    hooks.State
	}{
		"nobody":                 {func(*meeting) {}, "", 1, hooks.StateActive},
		"one lease":              {func(mt *meeting) { mt.lease("a") }, "", 1, hooks.StateActive},
		"more leases than fit":   {func(mt *meeting) { mt.lease("a"); mt.lease("b") }, errs.CodeBoundExceeded, 3, hooks.StateActive},
		"other bounds":           {func(mt *meeting) { mt.bounds(5) }, "", 1, hooks.StateActive},
		"other bounds and lease": {func(mt *meeting) { mt.bounds(5); mt.lease("a"); mt.lease("b") }, errs.CodeBoundExceeded, 5, hooks.StateActive},
		"it was disabled":        {func(mt *meeting) { mt.disable() }, errs.CodeConflict, 3, hooks.StateDisabled},
		"another took its place": {func(mt *meeting) { mt.activate(mt.activation("two", 2), hooks.StateApproved) }, errs.CodeConflict, 3, hooks.StateSuperseded},
	} {
		t.Run(name, func(t *testing.T) {
			mt := newMeeting(t)
			v := mt.activation("one", 1)
			mt.activate(v, hooks.StateApproved)
			v.Quantity, v.Deadline = 1, noon.Add(2*time.Hour)
			mt.before(5, func() { c.do(mt) }) // intent, mark, activation, active one, and then the update
			mt.want(mt.late.Activate(mt.ctx, v, hooks.StateActive, mt.grant(auth.HooksActivate)), c.want)
			got := mt.reads("one")
			if err := got.Ledger.Check(got.Quantity, got.MaxBytes); err != nil || got.State != c.state || got.Quantity != c.quantity {
				t.Errorf("%s with a quantity of %d, %v", got.State, got.Quantity, err)
			}
			if later := got.Deadline.Equal(v.Deadline); later != (c.want == "") {
				t.Errorf("the deadline is %v", got.Deadline)
			}
			if mt.left > 0 {
				t.Errorf("%d commands are missing", mt.left)
			}
		})
	}
}

// bounds gives version one another quantity while it is active.
func (mt *meeting) bounds(quantity int64) {
	mt.Helper()
	v := mt.reads("one")
	v.Quantity = quantity
	mt.activate(v, hooks.StateActive)
}

// A session that is stored anew while ended ones are purged stays.
func TestPurgeBesideABrowser(t *testing.T) {
	mt := newMeeting(t)
	for _, key := range []string{"gone", "goes on"} {
		noError(t, mt.PutSession(mt.ctx, auth.Session{Key: key, ExpiresAt: noon}))
	}
	later := auth.Session{Key: "goes on", Data: []byte{1}, ExpiresAt: noon.Add(time.Hour)}
	mt.before(3, func() { noError(t, mt.PutSession(mt.ctx, later)) }) // ended tokens, ended sessions, and then the end
	n, err := mt.late.PurgeTokens(mt.ctx, noon, 10)
	noError(t, err)
	same(t, n, int64(1))
	got, err := mt.Session(mt.ctx, later.Key)
	noError(t, err)
	same(t, got, later)
}
