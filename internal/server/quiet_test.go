package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"hookline/internal/errs"
)

// A store that is away fills no log; nothing else is left out.
func TestTheLogDoesNotRepeatTheStoresTrouble(t *testing.T) {
	var out safeBuffer
	log := newQuiet(slog.New(slog.NewTextHandler(&out, nil))).With("part", "test")
	away := errs.New(errs.CodeUnavailable, "the store is away").WithDetail("a secret place")
	for i := range 100 {
		log.Warn("the sweep was not complete", "error", errors.Join(away, fmt.Errorf("other")))
		log.Warn("cannot match", "id", i, "error", fmt.Errorf("match: %w", away))
		log.Info("a peer's call ended", "peer", i, "error", away)
		log.Warn("other", "error", errs.New(errs.CodeConflict, "x"))
	}
	for text, want := range map[string]int{"the sweep": 1, "cannot match": 1, "call ended": quietInfo, "msg=other": 100, "part=test": 100 + 2 + quietInfo} {
		if n := strings.Count(out.String(), text); n != want {
			t.Errorf("%q stands %d times in the log, want %d", text, n, want)
		}
	}

	// A minute later it is said again, with what was left out.
	record := slog.NewRecord(time.Now().Add(quietWindow), slog.LevelWarn, "cannot match", 0)
	record.AddAttrs(slog.Any("error", fmt.Errorf("match: %w", away)))
	if err := log.Handler().Handle(context.Background(), record); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "left_out=99") {
		t.Errorf("the log does not say what it left out:\n%s", out.String())
	}
}

// However many different errors there are, little is kept.
func TestTheQuietLogIsBounded(t *testing.T) {
	s := &said{kinds: map[string]*kind{}}
	for i := range 10 * quietKinds {
		s.admit(fmt.Sprint(i), 1, time.Unix(0, 0))
	}
	if len(s.kinds) > quietKinds {
		t.Errorf("%d kinds are kept", len(s.kinds))
	}
}
