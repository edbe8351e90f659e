package review_test

import (
	"strings"
	"testing"
	"time"

	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/review"
)

func TestComments(t *testing.T) {
	w := newWorld(t, nil)
	l := w.submitted(1)
	v := l.Version.Digest
	first, err := w.s.Comment(w.ctx, as(auth.RoleReviewer), v, review.PartScript, 1, "", "why *this*?")
	w.ok(err)
	w.now = w.now.Add(time.Second)
	// An answer is about what its thread is about, whatever it says itself.
	answer, err := w.s.Comment(w.ctx, as(auth.RoleAuthor), v, review.PartManifest, 7, first.ID, "because")
	w.ok(err)
	if answer.Part != review.PartScript || answer.Line != 1 || answer.Parent != first.ID || answer.User != "user-author" {
		t.Errorf("%+v", answer)
	}
	_, err = w.s.Comment(w.ctx, as(auth.RoleOperator), v, review.PartWhole, 0, "", "all of it\n\nis fine")
	w.ok(err)
	if e := w.newest(); e.Action != string(auth.HooksComment) || e.Detail != "comment" || e.Target != "version/"+v {
		t.Errorf("audited %+v", e)
	}
	// Whoever may comment may settle a thread, and open it again.
	w.ok(w.s.Resolve(w.ctx, as(auth.RoleAuthor), v, first.ID, false))
	if got := w.comments(v); len(got) != 3 || got[0].ResolvedBy != "user-author" || !got[0].ResolvedAt.Equal(w.now) {
		t.Errorf("%+v", got)
	}
	w.ok(w.s.Resolve(w.ctx, as(auth.RoleReviewer), v, first.ID, true))
	if got := w.comments(v); got[0].ResolvedBy != "" {
		t.Errorf("%+v", got[0])
	}
	// In any state, an end too.
	_, err = w.s.Review(w.ctx, as(auth.RoleReviewer), v, review.VerdictReject, "no", nil)
	w.ok(err)
	_, err = w.s.Comment(w.ctx, as(auth.RoleAuthor), v, review.PartWhole, 0, "", "a pity")
	w.ok(err)
}

func (w *world) comments(v string) []review.Comment {
	w.Helper()
	list, err := w.db.Comments(w.ctx, v)
	w.ok(err)
	return list
}

func TestCommentRefuses(t *testing.T) {
	w := newWorld(t, nil)
	v := w.submitted(1).Version.Digest
	w.now = w.now.Add(time.Second)
	other := w.submitted(2).Version.Digest
	thread, err := w.s.Comment(w.ctx, as(auth.RoleReviewer), v, review.PartWhole, 0, "", "one")
	w.ok(err)
	answer, err := w.s.Comment(w.ctx, as(auth.RoleReviewer), v, review.PartWhole, 0, thread.ID, "two")
	w.ok(err)
	long := strings.Repeat("x", review.MaxCommentBytes+1)
	for name, c := range map[string]struct {
		role         auth.Role
		digest       string
		part         review.Part
		line         int64
		parent, text string
		code         errs.Code
		field        string
	}{
		"a viewer":                {auth.RoleViewer, v, "", 0, "", "x", errs.CodeForbidden, "*"},
		"nothing":                 {auth.RoleAuthor, v, "", 0, "", " \n\t", errs.CodeBadInput, "text"},
		"too long":                {auth.RoleAuthor, v, "", 0, "", long, errs.CodeTooLarge, "text"},
		"no text":                 {auth.RoleAuthor, v, "", 0, "", "a\xff", errs.CodeBadInput, "text"},
		"a null":                  {auth.RoleAuthor, v, "", 0, "", "a\x00", errs.CodeBadInput, "text"},
		"an escape":               {auth.RoleAuthor, v, "", 0, "", "\x1b[2J", errs.CodeBadInput, "text"},
		"a line of the whole":     {auth.RoleAuthor, v, "", 1, "", "x", errs.CodeBadInput, "line"},
		"line 0":                  {auth.RoleAuthor, v, review.PartScript, 0, "", "x", errs.CodeBadInput, "line"},
		"a negative line":         {auth.RoleAuthor, v, review.PartScript, -1, "", "x", errs.CodeBadInput, "line"},
		"behind the script":       {auth.RoleAuthor, v, review.PartScript, 2, "", "x", errs.CodeBadInput, "line"},
		"behind the manifest":     {auth.RoleAuthor, v, review.PartManifest, 10, "", "x", errs.CodeBadInput, "line"},
		"another part":            {auth.RoleAuthor, v, "statement", 1, "", "x", errs.CodeBadInput, "part"},
		"an answer to an answer":  {auth.RoleAuthor, v, "", 0, answer.ID, "x", errs.CodeNotFound, "*"},
		"of another version":      {auth.RoleAuthor, other, "", 0, thread.ID, "x", errs.CodeNotFound, "*"},
		"no thread":               {auth.RoleAuthor, v, "", 0, "../x", "x", errs.CodeNotFound, "*"},
		"no version":              {auth.RoleAuthor, strings.Repeat("0", 64), "", 0, "", "x", errs.CodeNotFound, "*"},
		"no digest":               {auth.RoleAuthor, "x", "", 0, "", "x", errs.CodeNotFound, "digest"},
		"the last line is a line": {auth.RoleAuthor, v, review.PartManifest, 9, "", "x", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			before := len(w.comments(v))
			_, err := w.s.Comment(w.ctx, as(c.role), c.digest, c.part, c.line, c.parent, c.text)
			if c.code == "" {
				w.ok(err)
				return
			}
			w.wantCode(err, c.code, c.field)
			if after := len(w.comments(v)); after != before {
				t.Errorf("%d comments, %d before", after, before)
			}
		})
	}
	w.wantCode(w.s.Resolve(w.ctx, as(auth.RoleViewer), v, thread.ID, false), errs.CodeForbidden, "*")
	w.wantCode(w.s.Resolve(w.ctx, as(auth.RoleAuthor), v, answer.ID, false), errs.CodeNotFound, "*")
	w.wantCode(w.s.Resolve(w.ctx, as(auth.RoleAuthor), other, thread.ID, false), errs.CodeNotFound, "*")
	w.wantCode(w.s.Resolve(w.ctx, as(auth.RoleAuthor), "x", thread.ID, false), errs.CodeNotFound, "digest")
}
