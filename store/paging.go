package store

import (
	"fmt"
	"time"
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
