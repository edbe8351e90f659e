package kit

import (
	"strings"
	"time"
	"unicode/utf8"

	"hookline/hooks"
	"hookline/internal/errs"
)

// Ended tells whether a version that was active is so no more, nor paused.
func Ended(a hooks.Activation) bool {
	return a.State != hooks.StateActive && a.State != hooks.StatePaused
}

// EndOf says why a version does not run, where it is the server that ended
// it and gave a code; people give theirs in words. "" where it runs.
func EndOf(a hooks.Activation) string {
	switch errs.Code(a.Reason) { //nolint:exhaustive // others are words already
	case errs.CodeQuantityReached:
		return "all results that were asked for are in"
	case errs.CodeBytesReached:
		return "it has brought as many bytes as it may"
	case errs.CodeDeadlineReached:
		return "its time is over"
	case errs.CodeErrorRate:
		return "too many runs failed"
	}
	return a.Reason
}

// Deadline is until when a version runs; of one that has ended, pages show when
// it did, and why. Exports have the deadline. nil was never active.
func Deadline(a *hooks.Activation) Cell {
	if a == nil {
		return Text("")
	}
	c := Time(a.Deadline)
	if !Ended(*a) {
		return c
	}
	c.word, c.since = "ended", a.ChangedAt
	if why := EndOf(*a); why != "" {
		return c.With(brief(why, 80))
	}
	return c.With(string(a.State))
}

// Word is what stands before a moment.
func (c Cell) Word() string { return c.word }

// Moment is what a page shows of a time.
func (c Cell) Moment() time.Time {
	if c.word != "" {
		return c.since
	}
	return c.At
}

// brief is a text on one line, of at most so many characters.
func brief(s string, most int) string {
	if s = strings.Join(strings.Fields(s), " "); utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most-1]) + "…"
	}
	return s
}
