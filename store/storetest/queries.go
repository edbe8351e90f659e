package storetest

import (
	"context"
	"strings"
	"sync"
	"time"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/jobs"
	"hookline/internal/querylog"
)

func queryTests() []test {
	return []test{
		{"reads and writes are written down", queryLog},
		{"each to whom it belongs", queryLogs},
		{"facts", facts},
	}
}

// marker is a value that no log of queries may show.
const marker = "m4rk3r"

func queryLog(k *kit) {
	k.peer(marker)
	k.peer("other")
	k.filed(marker, crashed)
	v := k.version(marker, 1)
	for _, c := range []struct {
		name string
		rows int64 // at least
		run  func(ctx context.Context) error
	}{
		{"one that is there", 1, func(ctx context.Context) error { _, err := k.Peer(ctx, marker); return err }},
		{"a list", 2, func(ctx context.Context) error { _, err := k.Peers(ctx, "", 10); return err }},
		{"a list that is narrowed", 1, func(ctx context.Context) error {
			_, err := k.Jobs(ctx, jobs.Filter{PeerID: marker, Limit: 10})
			return err
		}},
		{"one of several queries", 1, func(ctx context.Context) error { _, err := k.Life(ctx, v.Digest); return err }},
		{"counts", 1, func(ctx context.Context) error {
			_, err := k.CountJobs(ctx, jobs.Filter{PeerID: marker}, []time.Time{k.clock().Add(-time.Hour), k.clock().Add(time.Hour)}, 10)
			return err
		}},
		{"a list of nothing", 0, func(ctx context.Context) error {
			_, err := k.Jobs(ctx, jobs.Filter{PeerID: marker, Limit: 10, Until: time.Unix(1, 0)})
			return err
		}},
		{"a machine's change", 0, func(ctx context.Context) error {
			_, err := k.Connect(ctx, marker, marker, enroll.Hello{Version: marker}, k.clock())
			return err
		}},
		{"a person's change", 0, func(ctx context.Context) error {
			return k.SetLabels(ctx, marker, []string{marker}, k.grant(auth.PeersRead))
		}},
		{"a change that is refused", 0, func(ctx context.Context) error {
			k.refused(k.ChangeUser(ctx, marker, auth.UserChange{}, k.grant(auth.UsersManage)), "not-found")
			return nil
		}},
	} {
		ctx, log := querylog.With(k.ctx)
		k.must(c.run(ctx))
		queries, rows, took := log.Sum()
		if queries == 0 || rows < c.rows || took <= 0 {
			k.Errorf("%s: %d queries, %d rows in %v", c.name, queries, rows, took)
		}
		for _, e := range log.Entries() {
			if e.Query == "" || strings.Contains(e.Query, marker) {
				k.Errorf("%s: the query %q", c.name, e.Query)
			}
		}
	}
}

// Requests at once, of which each has a log of its own.
func queryLogs(k *kit) {
	k.peer("a")
	j := k.filed("a", crashed)
	ctx, log := querylog.With(k.ctx)
	_, err := k.Job(ctx, j.ID)
	k.must(err)
	want, rows, _ := log.Sum()
	ctx, wrote := querylog.With(k.ctx)
	_, err = k.Connect(ctx, "a", "server", enroll.Hello{}, k.clock())
	k.must(err)
	written, _, _ := wrote.Sum()
	var mu sync.Mutex
	k.winners(race(func(i int) error {
		ctx, log := querylog.With(k.ctx)
		if i%2 == 1 { // others write meanwhile
			_, err := k.Connect(ctx, "a", "server", enroll.Hello{Facts: hooks.Facts{}}, k.clock())
			return err
		}
		_, err := k.Job(ctx, j.ID)
		mu.Lock()
		defer mu.Unlock()
		if n, r, _ := log.Sum(); n != want || r != rows {
			k.Errorf("%d queries and %d rows, alone %d and %d", n, r, want, rows)
		}
		return err
	}))
	k.must(k.PutSession(k.ctx, k.session("s"))) // by somebody who does not want to know
	reads, _, _ := log.Sum()
	writes, _, _ := wrote.Sum()
	if reads != want || writes != written {
		k.Errorf("the queries of others were added to a log: %d and %d, before %d and %d", reads, writes, want, written)
	}
}

func facts(k *kit) {
	f, err := k.Facts(k.ctx)
	k.must(err)
	if f.Kind == "" || f.Address == "" || f.Schema == "" || f.Server == "" {
		k.Errorf("the facts are %+v", f)
	}
}
