package httpapi

import (
	"encoding/json"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzCheckJSON: whatever is let through is one JSON value in UTF-8, which
// encoding/json reads as well.
func FuzzCheckJSON(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `[]`, `null`, `{"a":{"b":[1,"x",null,true]}}`, `{"a":1,"a":2}`, `{"A":1}`, "{\"a\":\"\xff\"}", `{} {}`, `[[[[[[[[[[]]]]]]]]]]`, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if checkJSON(b) != nil {
			return
		}
		var v any
		if err := json.Unmarshal(b, &v); err != nil || !utf8.Valid(b) {
			t.Errorf("%q was let through: %v", b, err)
		}
	})
}

func TestLimitsAreBounded(t *testing.T) {
	now := time.Unix(0, 0)
	l := newLimits(func() time.Time { return now }, 1, 2)
	for i := range 3 * maxLimiters {
		l.allow(string(rune(i)))
	}
	if len(l.byKey) != maxLimiters || l.order.Len() != maxLimiters {
		t.Errorf("%d limiters, %d in order", len(l.byKey), l.order.Len())
	}
	for i, want := range []bool{true, true, false} {
		if got := l.allow("x"); got != want {
			t.Errorf("event %d of a burst of 2: %v", i, got)
		}
	}
	now = now.Add(time.Second)
	for i, want := range []bool{true, false} {
		if got := l.allow("x"); got != want {
			t.Errorf("event %d a second later: %v", i, got)
		}
	}
}

func TestAddressKey(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.7:1234":          "192.0.2.7",
		"[::ffff:192.0.2.7]:1":    "192.0.2.7",
		"[2001:db8:1:2:3::4]:1":   "2001:db8:1:2::/64",
		"[fe80::1%eth0]:1":        "fe80::/64",
		"somewhere":               "somewhere",
		"name.example:80":         "name.example",
		"[2001:db8:1:2:ffff::]:9": "2001:db8:1:2::/64",
	} {
		if got := addressKey(remote); got != want {
			t.Errorf("%s: %q, want %q", remote, got, want)
		}
	}
}
