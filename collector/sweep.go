package collector

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobs"
)

// Pace of the background work.
const (
	SweepEvery = 2 * time.Second
	workers    = 8
	pageSize   = 200
	// leaseGrace is how old a lease, or anything else that some backends store in
	// several steps, must be before the running sweep takes it for left behind.
	leaseGrace = time.Minute
)

// Run recovers, then matches and sweeps until ctx is over. It returns the
// error of the recovery, or nil once everything that it started has ended.
// Where the store is away the sweep does what the recovery could not.
func (c *Collector) Run(ctx context.Context) error {
	if err := c.Recover(ctx); errs.Away(err) {
		c.warn(ctx, "the recovery was not complete; the sweep goes on with it", "error", err)
	} else if err != nil {
		return err
	}
	var all sync.WaitGroup
	for range workers {
		all.Go(func() { c.work(ctx) })
	}
	all.Go(func() { c.stampLoop(ctx) })
	all.Go(func() { c.sweepLoop(ctx) })
	all.Wait()
	return nil
}

// work takes tasks until ctx is over.
func (c *Collector) work(ctx context.Context) {
	for ctx.Err() == nil {
		t, ok, ready := c.queue.take()
		if ok {
			if err := c.do(ctx, t); err != nil && ctx.Err() == nil {
				c.warn(ctx, "cannot match", "id", t.id, "error", err)
				if errs.Away(err) {
					c.queue.putOff(t)
				}
			}
			continue
		}
		select {
		case <-ready:
		case <-ctx.Done():
		}
	}
}

func (c *Collector) do(ctx context.Context, t task) error {
	switch t.kind {
	case taskPeer:
		return errors.Join(c.Resume(ctx, t.id), c.MatchPeer(ctx, t.id))
	case taskVersion:
		return c.MatchActivation(ctx, t.id)
	default:
		j, err := c.Queries.Job(ctx, t.id)
		if err != nil {
			return err
		}
		return c.MatchOriginal(ctx, j)
	}
}

// stampLoop stamps acknowledgements until ctx is over. One write at a time,
// so that however many peers answer, others find the store free.
func (c *Collector) stampLoop(ctx context.Context) {
	for ctx.Err() == nil {
		all, ready := c.acks.take()
		if len(all) > 0 {
			if err := c.Jobs.MarkAcked(ctx, all); err != nil && ctx.Err() == nil {
				c.warn(ctx, "cannot stamp acknowledgements", "jobs", len(all), "error", err)
			}
			continue
		}
		select {
		case <-ready:
		case <-ctx.Done():
		}
	}
}

func (c *Collector) sweepLoop(ctx context.Context) {
	tick := c.Tick
	if tick == nil {
		t := time.NewTicker(SweepEvery)
		defer t.Stop()
		tick = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		if err := c.Sweep(ctx); err != nil && ctx.Err() == nil {
			c.warn(ctx, "the sweep was not complete", "error", err)
		}
	}
}

// Recover puts right what a crash left, from the jobs, which are the only
// truth: a lease without a job gets a failed one under its id (code
// lost-before-store), so that a stalled sender collides and never sends; a
// lease whose job is decided is settled with that decision; overdue jobs time
// out; what else was left half done is finished (Repairs.Mend); activations
// past a bound expire. It may run at any time, on any server, and any number
// of times.
func (c *Collector) Recover(ctx context.Context) error { return c.repair(ctx, 0) }

// Sweep is Recover for a running server, which leaves what is youngest to those
// who began it, and asks what waits in the backlog. Each step is tried, the
// errors are joined; while the store is away the rest waits for the next sweep.
func (c *Collector) Sweep(ctx context.Context) error {
	return inTurn(ctx,
		func(ctx context.Context) error { return c.repair(ctx, leaseGrace) },
		func(context.Context) error { c.queue.bringBack(); return nil },
		c.askBacklog)
}

func (c *Collector) repair(ctx context.Context, grace time.Duration) error {
	c.sweeping.Lock()
	defer c.sweeping.Unlock()
	return inTurn(ctx, c.repairOverdue,
		func(ctx context.Context) error { return c.repairLeases(ctx, grace) },
		func(ctx context.Context) error { return c.mend(ctx, grace) },
		c.repairActive)
}

// mend finishes what was left half done besides leases, and is as old as the
// grace or older. What began meanwhile is not among it, so it comes to an end.
func (c *Collector) mend(ctx context.Context, grace time.Duration) error {
	before := c.now().Add(time.Millisecond - grace)
	for {
		n, err := c.Repairs.Mend(ctx, before, pageSize)
		if err != nil || n < pageSize {
			return err
		}
	}
}

// inTurn tries every step and joins their errors, but asks a store that is
// away only once.
func inTurn(ctx context.Context, steps ...func(context.Context) error) error {
	var broken []error
	for _, step := range steps {
		err := step(ctx)
		if errs.Away(err) && len(broken) == 0 {
			return err // as it is, with what the log wants to know
		}
		if err != nil {
			broken = append(broken, err)
		}
		if errs.Away(err) {
			break
		}
	}
	return errors.Join(broken...)
}

// repairOverdue fails what nobody answered, whether or not anybody looks.
func (c *Collector) repairOverdue(ctx context.Context) error {
	after := ""
	for {
		list, err := c.Repairs.Overdue(ctx, c.now(), after, pageSize)
		if err != nil {
			return err
		}
		for _, j := range list {
			if _, err := c.end(ctx, j, timedOut()); err != nil {
				return err
			}
		}
		if len(list) < pageSize {
			return nil
		}
		after = list[len(list)-1].ID
	}
}

func (c *Collector) repairLeases(ctx context.Context, grace time.Duration) (err error) {
	doubtful := c.inDoubt.take()
	defer func() {
		if err != nil {
			c.inDoubt.add(doubtful...)
		}
	}()
	return c.eachLease(ctx, func(l Lease) error {
		if grace > 0 && c.now().Sub(l.TakenAt) < grace && !slices.Contains(doubtful, l.ID) {
			return nil
		}
		return c.repairLease(ctx, l)
	})
}

// eachLease does something with every lease that is out, page by page, until
// it fails.
func (c *Collector) eachLease(ctx context.Context, do func(Lease) error) error {
	after := ""
	for {
		list, err := c.Repairs.Leases(ctx, after, pageSize)
		if err != nil {
			return err
		}
		for _, l := range list {
			if err := do(l); err != nil {
				return err
			}
		}
		if len(list) < pageSize {
			return nil
		}
		after = list[len(list)-1].ID
	}
}

// repairLease looks before it writes: nearly every lease that is out belongs
// to a job under way.
func (c *Collector) repairLease(ctx context.Context, l Lease) error {
	j, err := c.Queries.Job(ctx, l.ID)
	switch {
	case errs.Is(err, errs.CodeNotFound):
		j, err = c.lost(ctx, l)
	case err == nil && !j.Final():
		return nil
	}
	if err != nil {
		return err
	}
	s, err := c.Repairs.RecoverLease(ctx, j, c.now())
	if err == nil && s.OK {
		c.askLater(s.Job)
	}
	return err
}

// lost is the failed job of a lease that has none.
func (c *Collector) lost(ctx context.Context, l Lease) (jobs.Job, error) {
	a, err := c.Queries.Activation(ctx, l.Version)
	return jobs.Job{
		ID: l.ID, Workload: jobs.WorkHook, Status: jobs.Failed, TriggeredBy: "recovery",
		CreatedAt: l.TakenAt, Deadline: l.TakenAt, CompletedAt: c.now(), Outcome: hooks.OutcomeCancelled,
		FailedCode: string(errs.CodeLostLease), FailedText: "the server stopped between lease and job",
		Hook: a.Hook, Version: l.Version, Slot: l.ID,
	}, err
}

// repairActive concludes activations past their deadline, and those that a
// crash left past another bound.
func (c *Collector) repairActive(ctx context.Context) error {
	acts, err := c.active(ctx)
	if err != nil {
		return err
	}
	for _, a := range acts {
		to, reason := Conclude(a, c.now())
		if to == "" {
			continue
		}
		if _, err := c.Activations.ChangeState(ctx, a.Digest, a.State, to, string(reason), c.now()); err != nil {
			return err
		}
	}
	return nil
}

// askBacklog asks what waits. Where tasks were dropped from the full queue it
// looks for their originals in the store, through every active version.
func (c *Collector) askBacklog(ctx context.Context) error {
	if c.queue.wasFull() {
		acts, err := c.active(ctx)
		if err != nil {
			c.queue.markFull()
			return err
		}
		for _, a := range acts {
			c.backlog.markStale(a.Digest)
		}
	}
	var broken []error
	for _, version := range c.backlog.versions() {
		if c.backlog.rescan(version) {
			err := c.MatchActivation(ctx, version)
			if errs.Away(err) {
				c.backlog.markStale(version)
			}
			broken = append(broken, err)
			continue
		}
		broken = append(broken, c.drain(ctx, version))
	}
	return errors.Join(broken...)
}
