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

func commentTests() []test {
	return []test{
		{"threads", threads},
		{"a comment that belongs nowhere", strayComments},
		{"threads are settled and opened again", resolveThread},
		{"versions that wait for review", waiting},
	}
}

// newComment is a comment with every member set that may be.
func (k *kit) newComment(digest, parent string) review.Comment {
	return review.Comment{
		ID: k.id(), Version: digest, Part: review.PartScript, Line: 7, Parent: parent, User: "carol",
		Text: "why **this**?\n<script>", At: k.clock(),
	}
}

func (k *kit) comment(digest, parent string) review.Comment {
	k.Helper()
	c := k.newComment(digest, parent)
	k.must(k.AddComment(k.ctx, c, k.grant(auth.HooksReview)))
	return c
}

func (k *kit) comments(digest string) []review.Comment {
	k.Helper()
	list, err := k.Comments(k.ctx, digest)
	k.must(err)
	return list
}

func threads(k *kit) {
	v, other := k.version("taint", 1), k.version("taint", 2)
	var want []review.Comment
	first := k.comment(v.Digest, "")
	want = append(want, first)
	for i := range 4 {
		k.advance(time.Duration(i%2) * time.Second)
		k.comment(other.Digest, "")
		want = append(want, k.comment(v.Digest, []string{"", first.ID}[i%2]))
	}
	whole := review.Comment{ID: k.id(), Version: v.Digest, User: "dave", Text: "fine"}
	g := k.grant(auth.HooksReview)
	k.must(k.AddComment(k.ctx, whole, g))
	same(k, k.entries()[0], g.Entry())
	want = append(want, whole)
	same(k, k.comments(v.Digest), want)
	same(k, len(k.comments(other.Digest)), 4)
	same(k, k.comments("none"), nil)
	same(k, k.life(v.Digest), review.Life{Version: v}) // they are no reviews
	k.reopen()
	same(k, k.comments(v.Digest), want)
}

func strayComments(k *kit) {
	v, other := k.version("taint", 1), k.version("taint", 2)
	first := k.comment(v.Digest, "")
	answer := k.comment(v.Digest, first.ID)
	elsewhere := k.comment(other.Digest, "")
	n := len(k.entries())
	for _, c := range []struct {
		version, parent string
	}{{"none", ""}, {v.Digest, "none"}, {v.Digest, answer.ID}, {v.Digest, elsewhere.ID}, {"none", first.ID}} {
		err := k.AddComment(k.ctx, k.newComment(c.version, c.parent), k.grant(auth.HooksReview))
		k.refused(err, errs.CodeNotFound)
	}
	k.refused(k.AddComment(k.ctx, answer, k.grant(auth.HooksReview)), errs.CodeConflict)
	same(k, k.comments(v.Digest), []review.Comment{first, answer})
	same(k, k.comments(other.Digest), []review.Comment{elsewhere})
	same(k, len(k.entries()), n)
}

func resolveThread(k *kit) {
	v, other := k.version("taint", 1), k.version("taint", 2)
	first, second := k.comment(v.Digest, ""), k.comment(v.Digest, "")
	answer := k.comment(v.Digest, first.ID)
	k.advance(time.Minute)
	resolve := func(by string) {
		k.Helper()
		g := k.grant(auth.HooksReview)
		k.must(k.ResolveThread(k.ctx, v.Digest, first.ID, by, k.clock(), g))
		same(k, k.entries()[0], g.Entry())
		if first.ResolvedBy, first.ResolvedAt = by, k.clock(); by == "" {
			first.ResolvedAt = time.Time{}
		}
		same(k, k.comments(v.Digest), []review.Comment{first, second, answer})
		k.advance(time.Minute)
	}
	for _, by := range []string{"alice", "bob", "", "alice"} {
		resolve(by)
	}
	n := len(k.entries())
	for _, c := range []struct{ version, id string }{
		{v.Digest, "none"}, {v.Digest, answer.ID}, {other.Digest, first.ID}, {"none", first.ID},
	} {
		k.refused(k.ResolveThread(k.ctx, c.version, c.id, "bob", k.clock(), k.grant(auth.HooksReview)), errs.CodeNotFound)
	}
	same(k, k.comments(v.Digest), []review.Comment{first, second, answer})
	same(k, len(k.entries()), n)
}

// The cap on comments holds whoever comes at once, and each that is answered
// is there. One over it changes nothing; another version still takes it.
func raceComment(k *kit) {
	v, other, grants, all := k.version("taint", 1), k.version("taint", 2), k.grants(auth.HooksReview), make([]review.Comment, racers)
	first := k.comment(v.Digest, "")
	for i := range review.MaxComments - racers/2 - 1 {
		k.comment(v.Digest, []string{"", first.ID}[i%2])
	}
	for i := range all {
		all[i] = k.newComment(v.Digest, "")
	}
	failures := race(func(i int) error { return k.AddComment(k.ctx, all[i], grants[i]) })
	same(k, k.winners(failures, errs.CodeTooLarge), racers/2)
	list := k.comments(v.Digest)
	same(k, len(list), review.MaxComments)
	for i, c := range all {
		if there := slices.ContainsFunc(list, func(o review.Comment) bool { return o.ID == c.ID }); there != (failures[i] == nil) {
			k.Errorf("comment %d: adding says %v, it is there: %v", i, failures[i], there)
		}
	}
	before := k.entries()[0]
	for _, parent := range []string{"", first.ID} {
		err := k.AddComment(k.ctx, k.newComment(v.Digest, parent), k.grant(auth.HooksReview))
		k.refused(err, errs.CodeTooLarge)
		if e, ok := errs.As(err); ok && e.Hint == "" {
			k.Errorf("%v has no hint", err)
		}
	}
	same(k, k.entries()[0], before)
	same(k, k.comments(v.Digest), list)
	k.comment(other.Digest, "")
	k.must(k.ResolveThread(k.ctx, v.Digest, first.ID, "alice", k.clock(), k.grant(auth.HooksReview)))
}

func waiting(k *kit) {
	var want []string
	for i := range 9 {
		hook := "hook" + strconv.Itoa(8-i)
		k.advance(time.Second)
		v := k.version(hook, 1)
		switch i {
		case 1:
			k.must(k.AddReview(k.ctx, k.approval(v.Digest, "bob"), hooks.StateSubmitted, hooks.StateApproved, k.grant(auth.HooksReview)))
		case 2:
			k.must(k.AddReview(k.ctx, k.approval(v.Digest, "bob"), hooks.StateSubmitted, hooks.StateRejected, k.grant(auth.HooksReview)))
		case 4:
			k.must(k.Revoke(k.ctx, v.Digest, hooks.StateSubmitted, "", k.clock(), k.grant(auth.HooksDisable)))
		case 6: // approved by one of two
			k.must(k.AddReview(k.ctx, k.approval(v.Digest, "bob"), hooks.StateSubmitted, hooks.StateSubmitted, k.grant(auth.HooksReview)))
			want = append(want, v.Digest)
		default:
			want = append(want, v.Digest)
		}
	}
	k.advance(time.Second)
	for _, hook := range []string{"z", "a", "m"} { // of one millisecond the least digest comes first
		k.version(hook, 1)
	}
	k.advance(-time.Hour) // and of an earlier one before all
	k.version("zz", 1)
	k.advance(time.Hour)
	want = slices.Concat([]string{"zz-1"}, want, []string{"a-1", "m-1", "z-1"})
	digest := func(l review.Life) string { return l.Version.Digest }
	cursor := func(l review.Life) string { return l.Version.Cursor() }
	pages(k, want, digest, cursor, func(after string, limit int) ([]review.Life, error) { return k.Waiting(k.ctx, after, limit) })
	list, err := k.Waiting(k.ctx, "", 200)
	k.must(err)
	for _, l := range list {
		same(k, l, k.life(l.Version.Digest))
	}
	for _, bad := range []string{"x", "12", "/", "1x/2"} {
		_, err := k.Waiting(k.ctx, bad, 10)
		k.refused(err, errs.CodeBadInput)
	}
}
