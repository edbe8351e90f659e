package store

import (
	"time"
	"unicode/utf8"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
)

// MaxRecordBytes caps what one record holds, in every backend, so that any
// store can be moved to any other: a document of MongoDB has at most 16 MiB,
// and a command that stores it a little more. People and peers are held to far
// less; this is the last guard.
const MaxRecordBytes = 16<<20 - 16<<10

// CheckSize refuses a record of n bytes that no store takes;
// errs.CodeTooLarge.
func CheckSize(what string, n int) error {
	if n <= MaxRecordBytes {
		return nil
	}
	return errs.New(errs.CodeTooLarge, "cannot store %s: it has %d bytes, at most %d", what, n, MaxRecordBytes).
		WithHint("store less: no record of any store is larger")
}

// CheckText refuses a text that not every store gives back exactly: one that
// is not UTF-8; errs.CodeBadInput.
func CheckText(s string) error {
	if utf8.ValidString(s) {
		return nil
	}
	return errs.New(errs.CodeBadInput, "cannot use a text in the store: it is not UTF-8").WithHint("send texts in UTF-8")
}

// MaxSessionBytes caps what a browser's session holds.
const MaxSessionBytes = 64 << 10

// CheckSession refuses one with more; errs.CodeTooLarge.
func CheckSession(s auth.Session) error {
	if n := len(s.Data); n > MaxSessionBytes {
		return errs.New(errs.CodeTooLarge, "cannot store session: it has %d bytes, at most %d", n, MaxSessionBytes).
			WithHint("keep less in a session")
	}
	return nil
}

// CheckStop refuses a state that stops nothing; errs.CodeBadInput.
func CheckStop(to hooks.State) error {
	if to == hooks.StateDisabled || to == hooks.StatePaused {
		return nil
	}
	return NoStop(to)
}

// FirstOf is a time, or another one where there is none.
func FirstOf(t, otherwise time.Time) time.Time {
	if t.IsZero() {
		return otherwise
	}
	return t
}
