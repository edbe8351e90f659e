package sqlite

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"hookline/collector"
	"hookline/internal/jobs"
	"hookline/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, dir string) storetest.Store {
		t.Helper()
		d, err := Open(t.Context(), filepath.Join(dir, "hookline.db"), Options{})
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
