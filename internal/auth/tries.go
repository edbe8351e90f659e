package auth

import (
	"sync"
	"time"
)

// tries counts tries to sign in by a key. It keeps at most maxTried keys; the
// one whose last try is oldest is forgotten for a new one. The zero value is
// ready.
type tries struct {
	mu    sync.Mutex
	byKey map[string]tried
}

type tried struct {
	n           int
	first, last time.Time
}

// maxTried bounds what is remembered of strangers and of addresses, each.
const maxTried = 10_000

// rule says when a key has had its tries: most of them, counted until no try
// came for the time, or, where it is fixed, until the time has passed since
// the first.
type rule struct {
	most   int
	within time.Duration
	fixed  bool
}

func (r rule) end(t tried) time.Time {
	if r.fixed {
		return t.first.Add(r.within)
	}
	return t.last.Add(r.within)
}

// take counts a try before it is looked at. Where the key has had its tries it
// counts nothing and says until when.
func (t *tries) take(key string, now time.Time, r rule) (until time.Time, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.byKey[key]
	if end := r.end(e); e.n > 0 && !now.Before(end) {
		e = tried{}
	}
	if e.n >= r.most {
		return r.end(e), false
	}
	if e.n == 0 {
		t.room()
		e.first = now
	}
	e.n, e.last = e.n+1, now
	if t.byKey == nil {
		t.byKey = map[string]tried{}
	}
	t.byKey[key] = e
	return time.Time{}, true
}

// giveBack takes one try back: it has succeeded.
func (t *tries) giveBack(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.byKey[key]
	if e.n--; e.n > 0 {
		t.byKey[key] = e
		return
	}
	delete(t.byKey, key)
}

// room forgets the oldest key where there is no room for another. It looks at
// all of them, which takes far less than the hash that follows.
func (t *tries) room() {
	if len(t.byKey) < maxTried {
		return
	}
	var oldest string
	var at time.Time
	for k, e := range t.byKey {
		if at.IsZero() || e.last.Before(at) {
			oldest, at = k, e.last
		}
	}
	delete(t.byKey, oldest)
}
