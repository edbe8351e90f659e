package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"hookline/internal/errs"
)

// What a store in trouble makes every part of the server say, for each peer,
// request and sweep, is written a few times in a window; the rest is counted,
// and told with the next line of its kind.
const (
	quietWindow  = time.Minute
	quietWarning = 1  // lines of one kind in a window
	quietInfo    = 20 // of what the server answers to peers
	quietKinds   = 500
)

// quiet is a log handler that does not repeat itself about the store.
type quiet struct {
	slog.Handler

	said *said
}

// said is what was written, by message and error; handlers that come of one
// another share it.
type said struct {
	mu    sync.Mutex
	kinds map[string]*kind
}

type kind struct {
	since   time.Time
	lines   int
	leftOut int
}

func newQuiet(l *slog.Logger) *slog.Logger {
	return slog.New(quiet{l.Handler(), &said{kinds: map[string]*kind{}}})
}

// Handle writes a line, or counts it.
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	cause := troubleOf(r)
	if cause == nil {
		return q.Handler.Handle(ctx, r)
	}
	most := quietWarning
	if r.Level < slog.LevelWarn {
		most = quietInfo
	}
	write, leftOut := q.said.admit(r.Message+"\x00"+cause.Error(), most, r.Time)
	if !write {
		return nil
	}
	if leftOut > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("left_out", leftOut))
	}
	return q.Handler.Handle(ctx, r)
}

// WithAttrs is the same log with more to say.
func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quiet{q.Handler.WithAttrs(attrs), q.said}
}

// WithGroup is the same log with a group.
func (q quiet) WithGroup(name string) slog.Handler {
	return quiet{q.Handler.WithGroup(name), q.said}
}

// troubleOf is the error of a line that tells of something which is away, nil
// where it tells of none.
func troubleOf(r slog.Record) (cause error) {
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok && a.Key == "error" && errs.Away(err) {
			cause = err
		}
		return cause == nil
	})
	return cause
}

// admit says whether one more line of a kind is written, and how many were not
// since the last.
func (s *said) admit(name string, most int, now time.Time) (write bool, leftOut int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[name]
	if k == nil {
		if len(s.kinds) >= quietKinds {
			clear(s.kinds)
		}
		k = &kind{since: now}
		s.kinds[name] = k
	}
	if now.Sub(k.since) >= quietWindow {
		k.since, k.lines = now, 0
	}
	if k.lines >= most {
		k.leftOut++
		return false, 0
	}
	k.lines++
	leftOut, k.leftOut = k.leftOut, 0
	return true, leftOut
}
