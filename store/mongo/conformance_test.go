package mongo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/event"

	"hookline/collector"
	"hookline/internal/jobs"
	"hookline/internal/wiretest"
	"hookline/store/storetest"
)

func TestConformance(t *testing.T) {
	server := wiretest.Server(t)
	if !wiretest.Real() {
		fewerWalks(t, "10") // FerretDB looks through a collection for whatever is asked of it but an id
	}
	sent := newSeen()
	conform(t, server, sent.monitor())
	d := opened(t, wiretest.In(t, server, "queries"), Options{Monitor: sent.monitor()})
	everyQuery(t, d)
	t.Run("commands and operators", sent.checkDocumented)
	t.Run("indexes", sent.checkIndexes)
	t.Run("plans", func(t *testing.T) { sent.checkExplained(t, d) })
	if !partly() {
		t.Run("docs", sent.checkTables)
	}
	t.Log("backend:", wiretest.Describe(t, server))
}

// fewerWalks sets how many random walks a test makes.
func fewerWalks(t *testing.T, n string) {
	t.Helper()
	checks := flag.Lookup("rapid.checks")
	was := checks.Value.String()
	noError(t, checks.Value.Set(n))
	t.Cleanup(func() { _ = checks.Value.Set(was) })
}

// conform runs the suite, each test on a database of its own.
func conform(t *testing.T, server string, monitor *event.CommandMonitor) {
	storetest.Run(t, func(t *testing.T, dir string) storetest.Store {
		t.Helper()
		name := sha256.Sum256([]byte(dir)) // the same dir is the same database
		s := &apart{t: t, address: wiretest.In(t, server, hex.EncodeToString(name[:8])), options: Options{Monitor: monitor}}
		noError(t, s.open(s.address))
		return s
	})
}

// apart is a store whose steps and commands the suite can stop at.
type apart struct {
	*DB
	t       *testing.T
	address string
	options Options
	way     *cutter
}

func (s *apart) open(address string) (err error) {
	s.way = &cutter{}
	s.options.Dial = s.way.dial
	s.DB, err = Open(s.t.Context(), address, s.options)
	return err
}

// Cut opens the store again, so that it soon gives up the search for another
// server. A busy machine may not open it as soon: then it is tried again.
func (s *apart) Cut(n int, lost bool) (reached func() bool) {
	s.t.Helper()
	noError(s.t, s.DB.Close())
	err := s.open(wiretest.With(s.address, "serverSelectionTimeoutMS", "100"))
	for range 50 {
		if err == nil {
			return s.way.Cut(n, lost)
		}
		err = s.open(wiretest.With(s.address, "serverSelectionTimeoutMS", "100"))
	}
	s.t.Fatal(err)
	return nil
}

// Close does not wait for a server that nothing reaches any more: a process
// that was killed does not say goodbye.
func (s *apart) Close() error {
	if !s.way.isCut() {
		return s.DB.Close()
	}
	var closing sync.WaitGroup
	d := s.DB
	closing.Go(func() { _ = d.Close() })
	s.t.Cleanup(closing.Wait)
	return nil
}

func (s *apart) LeaseSteps(j jobs.Job, now time.Time) []storetest.Step {
	return stepsOf(s.leaseSteps(j, now))
}

func (s *apart) SettleSteps(id string, c jobs.Decision, r *collector.Result, now time.Time) []storetest.Step {
	return stepsOf((&settling{d: s.DB, id: id, decision: c, result: r, now: now}).steps())
}

func stepsOf(steps []step) []storetest.Step {
	out := make([]storetest.Step, len(steps))
	for i, s := range steps {
		out[i] = func(ctx context.Context) error { return s(ctx) }
	}
	return out
}
