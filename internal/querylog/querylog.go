// Package querylog counts what one request asked of the store. Whoever wants
// to know puts a Log into the context; the stores add to the one that they
// find there.
package querylog

import (
	"context"
	"sync"
	"time"
)

// maxEntries and maxText cap what is kept; what is over them is only counted.
const (
	maxEntries = 200
	maxText    = 2000
)

// Entry is one query as the store ran it.
type Entry struct {
	Query string // SQL, or the command in JSON, without the values
	Rows  int64  // read
	Took  time.Duration
}

// Log is what was asked. Its zero value is ready; it may be used by several
// goroutines at once.
type Log struct {
	mu      sync.Mutex
	entries []Entry
	total   Entry
	count   int64
}

type key struct{}

// With gives a context whose queries are written to a new log.
func With(ctx context.Context) (context.Context, *Log) {
	l := &Log{}
	return context.WithValue(ctx, key{}, l), l
}

// From is the log of a context; nil where nobody wants to know.
func From(ctx context.Context) *Log {
	l, _ := ctx.Value(key{}).(*Log)
	return l
}

// Add writes a query down. A nil log takes nothing.
func (l *Log) Add(e Entry) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	l.total.Rows += e.Rows
	l.total.Took += e.Took
	if len(l.entries) < maxEntries {
		e.Query = e.Query[:min(maxText, len(e.Query))]
		l.entries = append(l.entries, e)
	}
}

// Sum is how many queries there were, the rows that they read, and how long
// they took together.
func (l *Log) Sum() (queries, rows int64, took time.Duration) {
	if l == nil {
		return 0, 0, 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count, l.total.Rows, l.total.Took
}

// Entries are the first queries, in their order.
func (l *Log) Entries() []Entry {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Entry(nil), l.entries...)
}
