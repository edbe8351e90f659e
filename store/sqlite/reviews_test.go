package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/review"
	"hookline/store"
)

// Signatures are stored with their review and as a file of the version; all
// of it together stays within a record.
func TestReviewsStayWithinARecord(t *testing.T) {
	d, err := Open(t.Context(), filepath.Join(t.TempDir(), "hookline.db"), Options{})
	noError(t, err)
	t.Cleanup(func() { noError(t, d.Close()) })
	gate := &auth.Gate{Accounts: d, Log: d, Now: time.Now}
	grant := func(p auth.Permission) auth.Grant {
		g, err := gate.Authorize(t.Context(), auth.Principal{User: "admin", Roles: []auth.Role{auth.RoleAdmin}, Kind: auth.TokenAPI}, p, "", "")
		noError(t, err)
		return g
	}
	noError(t, d.AddVersion(t.Context(), review.Version{Digest: "v", Hook: "h", Number: 1, State: hooks.StateSubmitted}, grant(auth.HooksSubmit)))
	approve := func(person string) error {
		return d.AddReview(t.Context(), review.Review{
			ID: person, Version: "v", Person: person, KeyID: person, Verdict: review.VerdictApprove, Signature: make([]byte, store.MaxRecordBytes/5),
		}, hooks.StateSubmitted, hooks.StateSubmitted, grant(auth.HooksReview))
	}
	noError(t, approve("bob"))
	noError(t, approve("carol"))
	before, err := d.Life(t.Context(), "v")
	noError(t, err)
	if err := approve("dave"); !errs.Is(err, errs.CodeTooLarge) {
		t.Errorf("got %v", err)
	}
	after, err := d.Life(t.Context(), "v")
	noError(t, err)
	if len(before.Reviews) != 2 || len(after.Reviews) != 2 || len(after.Version.Signatures) != 2 {
		t.Errorf("%d reviews, then %d, with %d signature files", len(before.Reviews), len(after.Reviews), len(after.Version.Signatures))
	}
}
