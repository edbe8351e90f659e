package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hookline/internal/errs"
	"hookline/internal/waitfor"
)

func TestHashes(t *testing.T) {
	h := newHash("a password", cost{})
	s := h.String()
	if !strings.HasPrefix(s, "$argon2id$v=19$m=65536,t=3,p=4$") {
		t.Fatalf("it is %s", s)
	}
	if again := newHash("a password", cost{}).String(); again == s {
		t.Error("two hashes have one salt")
	}
	read, err := parseHash(s)
	if err != nil || !read.matches("a password") || read.matches("a passwore") || read.matches("") {
		t.Errorf("read back: %v", err)
	}
	if noHash(cost{}).matches("") {
		t.Error("a password is nobody's")
	}
}

// The reference implementation's own test vector.
func TestArgon2idIsTheReferences(t *testing.T) {
	h, err := parseHash("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	if err != nil || !h.matches("password") {
		t.Errorf("its password does not match: %v", err)
	}
}

func TestBadHashes(t *testing.T) {
	good := "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	if _, err := parseHash(good); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]string{
		"empty": "", "plain": "password", "argon2i": strings.Replace(good, "argon2id", "argon2i", 1), "old version": strings.Replace(good, "v=19", "v=16", 1),
		"order": strings.Replace(good, "m=65536,t=3", "t=3,m=65536", 1), "zero": strings.Replace(good, "t=3", "t=03", 1), "no time": strings.Replace(good, "t=3", "t=0", 1),
		"much memory": strings.Replace(good, "65536", "9999999", 1), "much time": strings.Replace(good, "t=3", "t=99", 1), "many threads": strings.Replace(good, "p=4", "p=99", 1),
		"little memory": strings.Replace(good, "65536", "31", 1), "padding": good + "=", "more": good + "$x", "newline": good + "\n", "before": " " + good,
		"loose bits": strings.Replace(good, "HQ$", "HR$", 1), "short salt": strings.Replace(good, "c29tZXNhbHQ", "c29t", 1), "short key": good[:len(good)-30],
		"long salt": strings.Replace(good, "c29tZXNhbHQ", strings.Repeat("c29t", 24), 1), "alphabet": strings.Replace(good, "CTFh", "CT-_", 1),
	} {
		if _, err := parseHash(s); !errs.Is(err, errs.CodeInternal) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzParseHash: what it reads it writes the same, and asks for no more than
// the bounds.
func FuzzParseHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzYWx0$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc=")
	f.Add("$argon2i$v=19$m=65536,t=3,p=4$$")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := parseHash(s)
		if err != nil {
			return
		}
		if h.String() != s {
			t.Errorf("%q becomes %q", s, h.String())
		}
		if h.memory > maxHashMemory || h.time > maxHashTime || h.threads > maxHashThreads || h.memory < 8 || h.time < 1 || h.threads < 1 {
			t.Errorf("%q is out of bounds", s)
		}
	})
}

func TestCommonPasswordsAreRefused(t *testing.T) {
	for _, p := range common() {
		if len(p) < MinPasswordBytes {
			t.Errorf("%q is too short to be in the list", p)
		}
		if _, err := checkPassword("bob", strings.ToUpper(p)); err == nil {
			t.Errorf("%q is taken", p)
		}
	}
	for _, word := range commonWords() {
		if _, err := checkPassword("bob", "2026 "+word+" !!!!!!!!"); err == nil {
			t.Errorf("%q is taken", word)
		}
	}
	for _, p := range []string{"correct horse battery", "passwords are long", "bob and alice met in May", "58120047713942", "ＰＡＳＳ ｗｏｒｄ", "日本語のパスワード"} {
		if _, err := checkPassword("bob", p); err != nil {
			t.Errorf("%q: %v", p, err)
		}
	}
}

// No more than two hashes at a time, whatever asks; who does not want to wait
// any more leaves, and the queue has an end.
func TestHashesWaitTheirTurn(t *testing.T) {
	var h hasher
	var now, most atomic.Int64
	var wg sync.WaitGroup
	hold, holding := make(chan struct{}), make(chan struct{}, maxHashing)
	for range maxHashing {
		wg.Go(func() {
			if err := h.do(t.Context(), func() { holding <- struct{}{}; <-hold }); err != nil {
				t.Error(err)
			}
		})
	}
	for range maxHashing {
		<-holding
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if err := h.do(gone, func() { t.Error("it ran") }); !errs.Is(err, errs.CodeUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("who left: %v", err)
	}
	var refused atomic.Int64
	for range maxWaiting + 10 {
		wg.Go(func() {
			err := h.do(t.Context(), func() {
				if n := now.Add(1); n > most.Load() {
					most.Store(n)
				}
				now.Add(-1)
			})
			if errs.Is(err, errs.CodeUnavailable) {
				refused.Add(1)
			}
		})
	}
	waitfor.True(t, 10*time.Second, "the queue is full", func() bool { return refused.Load() == 10 })
	close(hold)
	wg.Wait()
	if most.Load() > maxHashing || refused.Load() != 10 {
		t.Errorf("%d at a time, %d refused", most.Load(), refused.Load())
	}
}

func TestTries(t *testing.T) {
	start := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	sliding, fixed := rule{most: 2, within: time.Minute}, rule{most: 2, within: time.Minute, fixed: true}
	for _, c := range []struct {
		name string
		rule rule
		at   []time.Duration
		ok   []bool
	}{
		{"two, then locked for the time since the last", sliding, []time.Duration{0, 50 * time.Second, 60 * time.Second, 110*time.Second - 1, 110 * time.Second}, []bool{true, true, false, false, true}},
		{"fixed: since the first", fixed, []time.Duration{0, 50 * time.Second, 60*time.Second - 1, 60 * time.Second, 61 * time.Second, 62 * time.Second}, []bool{true, true, false, true, true, false}},
	} {
		var tr tries
		for i, d := range c.at {
			if _, ok := tr.take("k", start.Add(d), c.rule); ok != c.ok[i] {
				t.Errorf("%s: try %d is %v", c.name, i, ok)
			}
		}
	}
	var tr tries
	for range 5 {
		if _, ok := tr.take("k", start, fixed); !ok {
			t.Error("what was given back counts")
		}
		tr.giveBack("k")
	}
}

// However many keys come, memory has a bound, and the newest stay.
func TestTriesAreBounded(t *testing.T) {
	var tr tries
	r := rule{most: 1, within: time.Hour}
	start := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for i := range maxTried + 50 {
		tr.take(fmt.Sprint(i), start.Add(time.Duration(i)), r)
	}
	if len(tr.byKey) != maxTried {
		t.Errorf("%d keys", len(tr.byKey))
	}
	if _, ok := tr.take(fmt.Sprint(maxTried+49), start, r); ok {
		t.Error("the newest was forgotten")
	}
	if _, ok := tr.take("0", start, r); !ok {
		t.Error("the oldest was kept")
	}
}

func TestAddressKeys(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1", "192.0.2.1": "192.0.2.1", "[::ffff:192.0.2.1]:80": "192.0.2.1",
		"[2001:db8:1:2:3::4]:80": "2001:db8:1:2::/64", "2001:db8:1:2:ffff::4": "2001:db8:1:2::/64", "[fe80::1%eth0]:80": "fe80::/64",
		"": "an unknown address", "@": "an unknown address",
	} {
		if got := addressKey(address); got != want {
			t.Errorf("%q is %q, want %q", address, got, want)
		}
	}
}
