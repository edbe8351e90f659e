package server

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

// endedTokens is a store in which so many tokens have ended.
type endedTokens struct {
	left   int64
	broken error
	passes []int64
	before []time.Time
	done   chan struct{}
}

func (e *endedTokens) PurgeTokens(_ context.Context, before time.Time, limit int) (int64, error) {
	defer func() { e.done <- struct{}{} }()
	if e.broken != nil {
		return 0, e.broken
	}
	n := min(e.left, int64(limit))
	e.left -= n
	e.passes, e.before = append(e.passes, n), append(e.before, before)
	return n, nil
}

func TestEndedTokensAreDeletedInPasses(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	var log safeBuffer
	s := &Server{cfg: Config{Now: func() time.Time { return now }}, log: slog.New(slog.NewJSONHandler(&log, nil))}
	ctx, cancel := context.WithCancel(t.Context())
	e, tick, over := &endedTokens{left: 2*purgeMost + 7, done: make(chan struct{})}, make(chan time.Time), make(chan struct{})
	go func() {
		s.purgeLoop(ctx, e, tick)
		close(over)
	}()
	<-e.done // the first is at the start
	for range 3 {
		tick <- now
		<-e.done
	}
	if want := []int64{purgeMost, purgeMost, 7, 0}; !slices.Equal(e.passes, want) || !e.before[0].Equal(now.Add(-purgeAfter)) {
		t.Errorf("passes %v, want %v, before %s", e.passes, want, e.before[0])
	}
	e.broken = errors.New("out of order") // nobody asks before the next tick
	for range 2 {                         // after the second the first has been logged
		tick <- now
		<-e.done
	}
	cancel()
	<-over
	if !strings.Contains(log.String(), "out of order") {
		t.Errorf("log: %s", log.String())
	}
}
