package archive_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/review"
	"hookline/store/archive"
)

// Comments that no server writes are neither exported nor imported.
func TestStrayComments(t *testing.T) {
	comments := func(change func(c []review.Comment) []review.Comment) memory {
		m := memory{}
		first := addVersion(m, "first", 1, hooks.StateSubmitted, nil)
		second := addVersion(m, "first", 2, hooks.StateSubmitted, nil)
		c := []review.Comment{{ID: "1", Version: first}, {ID: "2", Version: first, Parent: "1"}, {ID: "3", Version: second}}
		for _, c := range change(c) {
			m.add(archive.KindComment, archive.CommentKey(c), c, nil)
		}
		return m
	}
	export(t, comments(func(c []review.Comment) []review.Comment { return c }))
	for want, change := range map[string]func(c []review.Comment) []review.Comment{
		"there is no such version":            func(c []review.Comment) []review.Comment { c[0].Version = "none"; return c },
		"another one has the same comment id": func(c []review.Comment) []review.Comment { c[2].ID = "1"; return c },
		"answers none that starts a thread":   func(c []review.Comment) []review.Comment { return c[1:] },
		"comment \"3\" answers none":          func(c []review.Comment) []review.Comment { c[2].Parent = "1"; return c },
		"comment \"4\" answers none": func(c []review.Comment) []review.Comment {
			return append(c, review.Comment{ID: "4", Version: c[0].Version, Parent: "2"})
		},
		"has no part \"x\"": func(c []review.Comment) []review.Comment { c[0].Part = "x"; return c },
		"it is longer than people may write": func(c []review.Comment) []review.Comment {
			c[0].Text = strings.Repeat("x", review.MaxCommentBytes+1)
			return c
		},
		"cannot count -1": func(c []review.Comment) []review.Comment { c[0].Line = -1; return c },
		"its version has more than 500 comment": func(c []review.Comment) []review.Comment {
			return append(c, manyComments(c[0].Version, review.MaxComments-1)...)
		},
	} {
		_, err := archive.Export(t.Context(), comments(change), &bytes.Buffer{}, nil)
		if e, ok := errs.As(err); !ok || e.Code != errs.CodeConflict || !strings.Contains(e.Message, want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func manyComments(version string, n int) (all []review.Comment) {
	for i := range n {
		all = append(all, review.Comment{ID: fmt.Sprint("x", i), Version: version})
	}
	return all
}

// A store takes no more comments by being merged with another than it takes
// from people. MongoDB finds out when it writes.
func TestMergedCommentsAreCapped(t *testing.T) {
	b, m := inSQLite{t.TempDir()}, memory{}
	v := addVersion(m, "first", 1, hooks.StateSubmitted, nil)
	add := func(m memory, prefix string, n int) memory {
		for _, c := range manyComments(v, n) {
			c.ID = prefix + c.ID
			m.add(archive.KindComment, archive.CommentKey(c), c, nil)
		}
		return m
	}
	some, _ := export(t, add(m, "a", review.MaxComments-1))
	fill(t, b, "capped", some)
	d := b.target(t, "capped")
	defer func() { must(t, d.Close()) }()
	for _, c := range []struct {
		n    int
		code errs.Code
	}{{2, errs.CodeConflict}, {1, ""}} {
		other := memory{archive.KindVersion: m[archive.KindVersion]}
		content, _ := export(t, add(other, "b", c.n))
		_, err := archive.Import(t.Context(), d, bytes.NewReader(content), archive.ImportOptions{Merge: true}, nil)
		if errs.CodeOf(err) != c.code {
			t.Errorf("%d more: %v, want %q", c.n, err, c.code)
		}
	}
}

// One person may have approved a version with two keys, when the first was
// revoked meanwhile; with one key only once.
func TestApprovalsWithTwoKeys(t *testing.T) {
	for key, ok := range map[string]bool{"k1": false, "k2": true} {
		m := memory{}
		v := addVersion(m, "first", 1, hooks.StateSubmitted, nil)
		for i, keyID := range []string{"k1", key} {
			r := review.Review{ID: fmt.Sprint(i), Version: v, Person: "Bob", KeyID: keyID, Verdict: review.VerdictApprove, Signature: []byte("bob's")}
			m.add(archive.KindReview, archive.ReviewKey(r), r, nil)
		}
		_, err := archive.Export(t.Context(), m, &bytes.Buffer{}, nil)
		if (err == nil) != ok {
			t.Errorf("with %s again: %v", key, err)
		}
	}
}
