package mongo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"hookline/collector"
	"hookline/internal/jobs"
	"hookline/internal/wiretest"
	"hookline/store/storetest"
)

func TestConformance(t *testing.T) {
	server := wiretest.Server(t)
	// A cut is noticed by the search for another server.
	server = wiretest.With(server, "serverSelectionTimeoutMS", "100")
	storetest.Run(t, func(t *testing.T, dir string) storetest.Store {
		t.Helper()
		name := sha256.Sum256([]byte(dir)) // the same dir is the same database
		way := &cutter{}
		d, err := Open(t.Context(), wiretest.In(t, server, hex.EncodeToString(name[:8])), Options{Dial: way.dial})
		noError(t, err)
		return apart{d, way}
	})
	t.Log("backend:", wiretest.Describe(t, server))
}

// apart is a store whose steps and commands the suite can stop at.
type apart struct {
	*DB
	way *cutter
}

func (s apart) Cut(n int, lost bool) (reached func() bool) { return s.way.Cut(n, lost) }

func (s apart) LeaseSteps(j jobs.Job, now time.Time) []storetest.Step {
	return stepsOf(s.leaseSteps(j, now))
}

func (s apart) SettleSteps(id string, c jobs.Decision, r *collector.Result, now time.Time) []storetest.Step {
	return stepsOf((&settling{d: s.DB, id: id, decision: c, result: r, now: now}).steps())
}

func stepsOf(steps []step) []storetest.Step {
	out := make([]storetest.Step, len(steps))
	for i, s := range steps {
		out[i] = func(ctx context.Context) error { return s(ctx) }
	}
	return out
}
