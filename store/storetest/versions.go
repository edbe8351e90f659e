package storetest

import (
	"slices"
	"strconv"
	"time"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/review"
)

func versionTests() []test {
	return []test{
		{"life of a version", life},
		{"numbers and digests are taken once", versionTaken},
		{"a key approves once", approveOnce},
		{"reviews are conditional on the state", reviewState},
		{"reviews of a version are capped", reviewCap},
		{"newest of each hook", newestVersions},
		{"versions of a hook", versionsOf},
	}
}

func (k *kit) life(digest string) review.Life {
	k.Helper()
	l, err := k.Life(k.ctx, digest)
	k.must(err)
	return l
}

func life(k *kit) {
	v := k.version("taint", 1)
	same(k, k.life(v.Digest), review.Life{Version: v})
	comment := review.Review{ID: k.id(), Version: v.Digest, User: "carol", Verdict: review.VerdictRequestChanges, Comment: "why?", At: k.clock()}
	k.must(k.AddReview(k.ctx, comment, hooks.StateSubmitted, hooks.StateChangesRequested, k.grant(auth.HooksReview)))
	bob, dave := k.approval(v.Digest, "bob"), k.approval(v.Digest, "dave")
	k.must(k.AddReview(k.ctx, bob, hooks.StateChangesRequested, hooks.StateChangesRequested, k.grant(auth.HooksReview)))
	k.must(k.AddReview(k.ctx, dave, hooks.StateChangesRequested, hooks.StateApproved, k.grant(auth.HooksReview)))
	v.State = hooks.StateApproved
	v.Signatures = append(v.Signatures, bob.Signature, dave.Signature)
	want := review.Life{Version: v, Reviews: []review.Review{comment, bob, dave}}
	same(k, k.life(v.Digest), want)
	a := k.activation(v, 3)
	k.must(k.Activate(k.ctx, a, hooks.StateApproved, k.grant(auth.HooksActivate)))
	want.Activation = &a
	same(k, k.life(v.Digest), want)
	if len(k.entries()) != 5 {
		k.Errorf("%d audit entries of five actions", len(k.entries()))
	}
	_, err := k.Life(k.ctx, "none")
	k.refused(err, errs.CodeNotFound)
}

func versionTaken(k *kit) {
	v := k.version("taint", 1)
	for name, change := range map[string]func(*review.Version){
		"number": func(v *review.Version) { v.Digest = "other" },
		"digest": func(v *review.Version) { v.Number = 2 },
		"hook":   func(v *review.Version) { v.Hook = "other" },
	} {
		twin := v
		twin.Signatures = [][]byte{[]byte("thief")}
		change(&twin)
		err := k.AddVersion(k.ctx, twin, k.grant(auth.HooksSubmit))
		if !errs.Is(err, errs.CodeVersionTaken) {
			k.Errorf("another %s only: %v", name, err)
		}
	}
	same(k, k.life(v.Digest), review.Life{Version: v})
	n, err := k.LatestNumber(k.ctx, "taint")
	if err != nil || n != 1 {
		k.Errorf("latest number %d, %v", n, err)
	}
	if n, err := k.LatestNumber(k.ctx, "other"); err != nil || n != 0 {
		k.Errorf("latest number of no hook: %d, %v", n, err)
	}
}

func approveOnce(k *kit) {
	v := k.version("taint", 1)
	k.must(k.AddReview(k.ctx, k.approval(v.Digest, "bob"), hooks.StateSubmitted, hooks.StateSubmitted, k.grant(auth.HooksReview)))
	again := k.AddReview(k.ctx, k.approval(v.Digest, "bob"), hooks.StateSubmitted, hooks.StateApproved, k.grant(auth.HooksReview))
	k.refused(again, errs.CodeConflict)
	l := k.life(v.Digest)
	if l.State() != hooks.StateSubmitted || len(l.Reviews) != 1 || len(l.Version.Signatures) != 2 {
		k.Errorf("after a second approval of one person: %s, %d reviews, %d signatures", l.State(), len(l.Reviews), len(l.Version.Signatures))
	}
	// The first may be void by now; whose approvals count, the rules say.
	other := k.approval(v.Digest, "bob")
	other.KeyID = "key-bob-2"
	k.must(k.AddReview(k.ctx, other, hooks.StateSubmitted, hooks.StateSubmitted, k.grant(auth.HooksReview)))
	other.ID = k.id()
	k.refused(k.AddReview(k.ctx, other, hooks.StateSubmitted, hooks.StateSubmitted, k.grant(auth.HooksReview)), errs.CodeConflict)
	for range 2 { // anybody may ask for changes more than once
		r := k.approval(v.Digest, "bob")
		r.Verdict, r.Signature = review.VerdictRequestChanges, nil
		k.must(k.AddReview(k.ctx, r, hooks.StateSubmitted, hooks.StateSubmitted, k.grant(auth.HooksReview)))
	}
}

func reviewState(k *kit) {
	v := k.version("taint", 1)
	k.refused(k.AddReview(k.ctx, k.approval(v.Digest, "bob"), hooks.StateApproved, hooks.StateApproved, k.grant(auth.HooksReview)), errs.CodeConflict)
	k.refused(k.AddReview(k.ctx, k.approval("none", "bob"), hooks.StateSubmitted, hooks.StateApproved, k.grant(auth.HooksReview)), errs.CodeNotFound)
	same(k, k.life(v.Digest), review.Life{Version: v})
}

// The one over the cap changes nothing, whoever sends it.
func reviewCap(k *kit) {
	v := k.version("taint", 1)
	for range review.MaxReviews {
		r := k.approval(v.Digest, "")
		r.Verdict, r.Comment, r.Signature = review.VerdictRequestChanges, "", nil
		k.must(k.AddReview(k.ctx, r, hooks.StateSubmitted, hooks.StateSubmitted, k.grant(auth.HooksReview)))
	}
	before := k.entries()[0]
	err := k.AddReview(k.ctx, k.approval(v.Digest, "bob"), hooks.StateSubmitted, hooks.StateApproved, k.grant(auth.HooksReview))
	k.refused(err, errs.CodeTooLarge)
	l := k.life(v.Digest)
	if l.State() != hooks.StateSubmitted || len(l.Reviews) != review.MaxReviews || len(l.Version.Signatures) != 1 {
		k.Errorf("after one review too many: %s, %d reviews, %d signatures", l.State(), len(l.Reviews), len(l.Version.Signatures))
	}
	same(k, k.entries()[0], before)
}

func newestVersions(k *kit) {
	var want []string
	for _, hook := range []string{"a", "a-b", "b", "c", "z0"} {
		k.version(hook, 1)
		k.version(hook, 3)
		k.version(hook, 2) // a late one is not the newest
		want = append(want, hook+"-3")
	}
	digest := func(l review.Life) string { return l.Version.Digest }
	hook := func(l review.Life) string { return l.Version.Hook }
	pages(k, want, digest, hook, func(after string, limit int) ([]review.Life, error) { return k.Hooks(k.ctx, after, limit) })
	if n, err := k.LatestNumber(k.ctx, "a"); err != nil || n != 3 {
		k.Errorf("latest number %d, %v", n, err)
	}
}

func versionsOf(k *kit) {
	var want []string
	for n := range int64(7) {
		want = append(want, k.version("taint", n+1).Digest)
		k.version("other", n+1)
		k.advance(time.Second)
	}
	slices.Reverse(want)
	digest := func(l review.Life) string { return l.Version.Digest }
	number := func(l review.Life) string { return strconv.FormatInt(l.Version.Number, 10) }
	pages(k, want, digest, number, func(after string, limit int) ([]review.Life, error) {
		below, _ := strconv.ParseInt("0"+after, 10, 64)
		return k.VersionsOf(k.ctx, "taint", below, limit)
	})
}
