package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"hookline/collector"
	"hookline/internal/jobs"
	"hookline/store/storetest"
)

// Each of its stores begins as a copy of a new one, which costs a tenth of
// making it.
func TestConformance(t *testing.T) {
	empty := open(t, Options{})
	noError(t, empty.Close())
	file, err := os.ReadFile(empty.path)
	noError(t, err)
	storetest.Run(t, func(t *testing.T, dir string) storetest.Store {
		t.Helper()
		path := filepath.Join(dir, "hookline.db")
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			noError(t, os.WriteFile(path, file, 0o600))
		}
		d, err := Open(t.Context(), path, Options{})
		noError(t, err)
		return apart{d}
	})
}

// apart commits the parts of Lease and Settle one by one, as DB never does.
type apart struct{ *DB }

func (a apart) step(run func(context.Context, *tx) error) storetest.Step {
	return func(ctx context.Context) error {
		return a.write(ctx, func(t *tx) error { return run(ctx, t) })
	}
}

func (a apart) LeaseSteps(j jobs.Job, now time.Time) []storetest.Step {
	return []storetest.Step{
		a.step(func(ctx context.Context, t *tx) error { return takeLease(ctx, t, j.Version, j.ID, now) }),
		a.step(func(ctx context.Context, t *tx) error { return addHookJob(ctx, t, j) }),
	}
}

func (a apart) SettleSteps(id string, d jobs.Decision, r *collector.Result, now time.Time) []storetest.Step {
	return []storetest.Step{
		a.step(func(ctx context.Context, t *tx) error {
			_, _, err := decide(ctx, t, id, d, r, now)
			return err
		}),
		a.step(func(ctx context.Context, t *tx) error {
			j, err := hookJob(ctx, t, id)
			if err == nil {
				_, _, err = settleLease(ctx, t, j, now)
			}
			return err
		}),
	}
}
