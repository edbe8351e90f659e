package review

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"hookline/internal/auth"
	"hookline/internal/errs"
)

// NoLine is a line that no part of a version has, for what cannot be read as
// one: Comment refuses it where a line counts.
const NoLine int64 = -1

// Comment adds what somebody says about a version, in whatever state it is:
// about the whole, about a line (from 1) of its script or manifest, or, with
// parent, an answer in the thread which that comment starts; an answer is about
// what its thread is about. text is Markdown, at most MaxCommentBytes.
//
// Comments decide nothing: to request changes or to reject is Review.
func (s *Service) Comment(ctx context.Context, p auth.Principal, digest string, part Part, line int64, parent, text string) (Comment, error) {
	if err := checkDigest(digest); err != nil {
		return Comment{}, err
	}
	c := Comment{Version: digest, Part: part, Line: line, Parent: parent, User: p.User, Text: text, At: s.now()}
	grant, err := s.Gate.Authorize(ctx, p, auth.HooksComment, target(digest), c.place())
	if err != nil {
		return Comment{}, err
	}
	if err := needText("text", text, MaxCommentBytes); err != nil {
		return Comment{}, err
	}
	life, err := s.Versions.Life(ctx, digest)
	if err != nil {
		return Comment{}, err
	}
	if parent != "" {
		thread, err := s.thread(ctx, digest, parent)
		if err != nil {
			return Comment{}, err
		}
		c.Part, c.Line = thread.Part, thread.Line
	} else if err := checkPlace(life.Version, part, line); err != nil {
		return Comment{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Comment{}, fmt.Errorf("make a comment id: %w", err)
	}
	c.ID = id.String()
	if err := s.Changes.AddComment(ctx, c, grant); err != nil {
		return Comment{}, err
	}
	return c, nil
}

// place says in the audit log what a comment is about.
func (c Comment) place() string {
	switch {
	case c.Parent != "":
		return "answer " + c.Parent
	case c.Part == PartWhole:
		return "comment"
	}
	return fmt.Sprintf("comment on line %d of the %s", c.Line, c.Part)
}

// Resolve says that a thread is settled, or, with open, that it is not.
// Whoever may comment may say so, the author too.
func (s *Service) Resolve(ctx context.Context, p auth.Principal, digest, thread string, open bool) error {
	if err := checkDigest(digest); err != nil {
		return err
	}
	what, by := "resolve ", p.User
	if open {
		what, by = "reopen ", ""
	}
	grant, err := s.Gate.Authorize(ctx, p, auth.HooksComment, target(digest), what+thread)
	if err != nil {
		return err
	}
	if _, err := s.thread(ctx, digest, thread); err != nil {
		return err
	}
	return s.Changes.ResolveThread(ctx, digest, thread, by, s.now(), grant)
}

// thread is the first comment of a thread of the version.
func (s *Service) thread(ctx context.Context, digest, id string) (Comment, error) {
	all, err := s.Versions.Comments(ctx, digest)
	if err != nil {
		return Comment{}, err
	}
	i := slices.IndexFunc(all, func(c Comment) bool { return c.ID == id && c.Parent == "" })
	if i < 0 {
		return Comment{}, errs.New(errs.CodeNotFound, "there is no such thread on this version").At("parent").
			WithHint("look at the version's comments again")
	}
	return all[i], nil
}

// checkPlace refuses a line that the part has not.
func checkPlace(v Version, part Part, line int64) error {
	var text []byte
	switch part {
	case PartWhole:
		if line != 0 {
			return errs.New(errs.CodeBadInput, "a comment on the whole has no line").At("line")
		}
		return nil
	case PartScript:
		text = v.Script
	case PartManifest:
		text = v.Manifest
	default:
		return errs.New(errs.CodeBadInput, "it is neither script nor manifest").At("part")
	}
	if n := lines(text); line < 1 || line > n {
		return errs.New(errs.CodeBadInput, "the %s has lines 1 to %d", part, n).At("line")
	}
	return nil
}

// lines counts the lines of a text as pages number them.
func lines(text []byte) int64 {
	n := int64(0)
	for i, b := range text {
		if b == '\n' || i == len(text)-1 {
			n++
		}
	}
	return n
}
