package store

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
