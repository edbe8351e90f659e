package store

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"hookline/internal/enroll"
	"hookline/internal/errs"
)

// Page sizes: what a person's list may ask for, and what repairs may.
const (
	MaxPage   = 200
	MaxRepair = 10_000
)

// Page clamps a wish for rows to 1..most; no wish means 50.
func Page(limit, most int) int {
	if limit <= 0 {
		return min(50, most)
	}
	return min(limit, most)
}

// Last sorts after every id.
const Last = "\U0010ffff"

// Before is the upper end of a newest-first list, so that its first page is a
// search too: what comes after the page before, or everything.
func Before(after string) string {
	if after == "" {
		return Last
	}
	return after
}

// IDAt is the least id, in the form of a UUIDv7, of something made at t: the
// bound of a span of time in lists that are in the order of ids.
func IDAt(t time.Time) string {
	ms := max(t.UnixMilli(), 0)
	hex := fmt.Sprintf("%012x", ms)
	return hex[:8] + "-" + hex[8:12] + "-0000-0000-000000000000"
}

// Span is the bounds of one page of a list in the order of ids: those above
// low (inclusive: they are times) and below high, where the page before ended.
// ascending tells on which side of it the page is.
func Span(from, until time.Time, after string, ascending bool) (low, high string) {
	low, high = "", Last
	if !from.IsZero() {
		low = IDAt(from)
	}
	if !until.IsZero() {
		high = IDAt(until)
	}
	switch {
	case after == "":
	case ascending:
		low = max(low, after+"\x00") // behind it
	default:
		high = min(high, after)
	}
	return low, high
}

// MaxSpans is the most spans of time that one chart has.
const MaxSpans = 400

// CheckSpans refuses the bounds of spans that do not rise (errs.CodeBadInput),
// and more than MaxSpans (errs.CodeTooLarge).
func CheckSpans(times []time.Time) error {
	if n := len(times) - 1; n > MaxSpans {
		return errs.New(errs.CodeTooLarge, "cannot count in %d spans of time, at most %d", n, MaxSpans).WithHint("count in longer ones")
	}
	for i := 1; i < len(times); i++ {
		if !times[i].After(times[i-1]) {
			return errs.New(errs.CodeBadInput, "cannot count between %v and %v: times must rise", times[i-1], times[i]).
				WithHint("give the times from the oldest to the newest")
		}
	}
	return nil
}

// PeerCursor takes the cursor of a list of peers apart: the name or the time in
// milliseconds that the list is sorted by, and the id. It is not for "", the
// first page. errs.CodeBadInput.
func PeerCursor(f enroll.PeerFilter) (name string, seen int64, id string, err error) {
	at := strings.LastIndexByte(f.After, '/') // names may have one, ids have none
	switch {
	case f.Sort == enroll.ByID || f.Sort == "":
		return "", 0, f.After, nil
	case at < 0:
		return "", 0, "", badCursor("peers", f.After)
	case f.Sort == enroll.ByName:
		return f.After[:at], 0, f.After[at+1:], nil
	}
	if seen, err = strconv.ParseInt(f.After[:at], 10, 64); err != nil {
		return "", 0, "", badCursor("peers", f.After)
	}
	return "", max(seen, 0), f.After[at+1:], nil // 0 is never
}

// WaitingCursor takes the cursor of the versions that wait for review apart:
// when the last one was submitted, in milliseconds since 1970, and its digest.
// It is not for "", the first page. errs.CodeBadInput.
func WaitingCursor(after string) (submitted int64, digest string, err error) {
	number, digest, ok := strings.Cut(after, "/")
	submitted, err = strconv.ParseInt(number, 10, 64)
	if !ok || err != nil {
		return 0, "", badCursor("versions", after)
	}
	return max(submitted, 0), digest, nil // 0 is never
}

func badCursor(of, after string) *errs.Error {
	return errs.New(errs.CodeBadInput, "cannot list %s from %q", of, after).At("after").
		WithHint("use the cursor of the page before")
}
