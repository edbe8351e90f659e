package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/store"
)

// Settle decides a job. A result goes through four updates, in this order: its
// bytes are reserved, and stay so, so that nothing can refuse it any more; the job is
// decided, and takes the result into its own document; the result goes to
// hook_results, where it shows; the lease ends and is counted. Any other
// decision needs the second and the last.
func (d *DB) Settle(ctx context.Context, id string, c jobs.Decision, r *collector.Result, now time.Time) (collector.Settlement, error) {
	s := &settling{d: d, id: id, decision: c, result: r, now: now}
	if err := collector.CheckDecision(id, c, r); err != nil {
		return collector.Settlement{}, err
	}
	if err := run(ctx, s.steps()); err != nil {
		return collector.Settlement{}, err
	}
	return s.settlement, nil
}

// settling is a Settle under way.
type settling struct {
	d        *DB
	id       string
	decision jobs.Decision
	result   *collector.Result
	now      time.Time

	lease      *activationDoc // with the lease, as last seen
	over       bool           // the job was decided before: nothing is left to do
	settlement collector.Settlement
}

func (s *settling) steps() []step {
	all := []step{s.unlessOver(s.decide)}
	if s.result != nil {
		all = []step{s.reserve, s.unlessOver(s.decide), s.unlessOver(s.show)}
	}
	return append(all, s.unlessOver(s.end))
}

func (s *settling) unlessOver(next step) step {
	return func(ctx context.Context) error {
		if s.over {
			return nil
		}
		return next(ctx)
	}
}

// reserve takes all bytes of the result, once more where an upload has some
// already: what is too much ends with the lease. A try that broke off earlier
// has done so before, and is not repeated for ever.
func (s *settling) reserve(ctx context.Context) error {
	if !nameable(s.id) {
		return store.NoJob(s.id)
	}
	doc, err := s.d.reserveToSettle(ctx, s.result.Version, s.id, s.result.Bytes,
		condition{Key: leaseField(s.id, "reserved"), Value: m{{Key: "$lte", Value: s.result.Bytes}}})
	if err == nil {
		s.lease = &doc
	}
	if none(err) {
		return s.reserveRest(ctx)
	}
	return err
}

// reserveRest looks at what the lease has and takes what it lacks, if anything.
func (s *settling) reserveRest(ctx context.Context) error {
	for range maxTries {
		if err := s.look(ctx); err != nil || s.over {
			return err
		}
		have := s.lease.Leases[s.id].Reserved
		lack := max(0, s.result.Bytes-have)
		if lack > s.lease.Room {
			return collector.WhyNoBytes(s.lease.activation(), s.result.Bytes)
		}
		doc, err := s.d.reserveToSettle(ctx, s.result.Version, s.id, lack, condition{Key: leaseField(s.id, "reserved"), Value: have})
		if err == nil {
			s.lease = &doc
			return nil
		}
		if !none(err) {
			return err
		}
	}
	return busy(s.result.Version)
}

// look reads the job, which may be decided already, and its lease.
func (s *settling) look(ctx context.Context) error {
	j, err := s.d.hookJob(ctx, s.id)
	if err != nil {
		return err
	}
	doc, err := s.d.activationDoc(ctx, j.Version)
	if err != nil {
		return err
	}
	s.lease = &doc
	if j.Final() {
		s.over, s.settlement = true, collector.Settlement{Job: j, Activation: doc.activation()}
		return nil
	}
	if _, out := doc.Leases[s.id]; !out || j.Version != s.result.Version {
		return errs.New(errs.CodeConflict, "cannot store the result of job %s: it has no lease of version %s", s.id, s.result.Version)
	}
	return nil
}

// decide is the one decision about a job: the first that finds it pending. A
// result goes into the job's document with it.
func (s *settling) decide(ctx context.Context) error {
	set := m{
		{Key: "status", Value: s.decision.Status},
		{Key: "outcome", Value: s.decision.Outcome},
		{Key: "failed_code", Value: s.decision.Code},
		{Key: "failed_text", Value: s.decision.Text},
		{Key: "hook_error", Value: s.decision.HookError},
		{Key: "completed_at", Value: s.now},
		{Key: "place", Value: "job/" + s.id},
	}
	if s.decision.Status == jobs.Failed {
		set = append(set, condition{Key: "slot", Value: "job/" + s.id})
	}
	if s.decision.Denied > 0 {
		set = append(set, condition{Key: "denied", Value: s.decision.Denied})
	}
	if s.result != nil {
		set = append(set, condition{Key: "bytes", Value: s.result.Bytes}, condition{Key: "todo", Value: todoShow},
			condition{Key: "result", Value: newResultDoc(*s.result)})
	}
	was, err := modify[jobDoc](ctx, s.d, s.d.jobs,
		m{{Key: "_id", Value: s.id}, {Key: "status", Value: jobs.Pending}, {Key: "workload", Value: jobs.WorkHook}},
		m{{Key: "$set", Value: set}}, options.Before)
	switch {
	case none(err):
		return s.decidedBefore(ctx)
	case err != nil:
		return err
	}
	s.settlement.OK = true
	s.settlement.Job, err = s.decided(was)
	return err
}

// decided is the job as the decision has left it.
func (s *settling) decided(was jobDoc) (jobs.Job, error) {
	was.Status, was.Outcome, was.CompletedAt = s.decision.Status, s.decision.Outcome, s.now.UTC().Truncate(time.Millisecond)
	was.FailedCode, was.FailedText, was.HookError = s.decision.Code, s.decision.Text, s.decision.HookError
	was.Denied = s.decision.Denied
	if s.result != nil {
		was.Bytes = s.result.Bytes
	}
	return was.job()
}

// decidedBefore answers with the decision that is there. What this one has
// reserved ends with the lease.
func (s *settling) decidedBefore(ctx context.Context) error {
	j, err := s.d.hookJob(ctx, s.id)
	switch {
	case err != nil:
		return err
	case !j.Final(): // reads are of what a majority has
		return errs.New(errs.CodeUnavailable, "cannot tell yet how job %s was decided", s.id).WithHint("try again")
	}
	a, err := s.d.Activation(ctx, j.Version)
	s.over, s.settlement = true, collector.Settlement{Job: j, Activation: a}
	return err
}

// show puts the result where results are read.
func (s *settling) show(ctx context.Context) error {
	return s.d.showResult(ctx, newResultDoc(*s.result))
}

// showResult is idempotent: a job has one result.
func (d *DB) showResult(ctx context.Context, r resultDoc) error {
	_, err := d.results.InsertOne(ctx, r)
	if duplicate(err) {
		return nil
	}
	return d.failed(err)
}

func (s *settling) end(ctx context.Context) error {
	a, _, err := s.d.endLease(ctx, s.settlement.Job, s.lease, s.now)
	s.settlement.Activation = a
	return err
}

// outcomeFields has each outcome's count in the ledger.
var outcomeFields = map[hooks.Outcome]string{
	hooks.OutcomeReceived:  "received",
	hooks.OutcomeEmpty:     "empty",
	hooks.OutcomeFailed:    "failed",
	hooks.OutcomeRefused:   "refused",
	hooks.OutcomeDeferred:  "deferred",
	hooks.OutcomeCancelled: "cancelled",
	hooks.OutcomeTimedOut:  "timed_out",
}

// endLease removes the lease of a decided job, counts its outcome, and ends
// the activation where that was the last that it needed. ok is false where the
// lease is gone. seen is the activation as the caller has seen it, if it has;
// otherwise the lease is supposed to have reserved nothing.
func (d *DB) endLease(ctx context.Context, j jobs.Job, seen *activationDoc, now time.Time) (a hooks.Activation, ok bool, err error) {
	for try := range maxTries {
		var foreseen ending
		if try < 2 { // if its bounds change all the time, the end is decided afterwards
			foreseen = foresee(j, seen, now)
		}
		doc, err := changed[activationDoc](ctx, d, d.activations, endFilter(j, seen, foreseen), endUpdate(j, seen, foreseen, now))
		if err == nil {
			a, err := d.conclude(ctx, doc.activation(), now)
			return a, true, err
		}
		if !none(err) {
			return a, false, err
		}
		there, err := d.activationDoc(ctx, j.Version)
		if err != nil {
			return a, false, err
		}
		l, out := there.Leases[j.ID]
		if !out {
			return there.activation(), false, nil
		}
		if lack := j.Bytes - l.Reserved; lack > there.Room {
			return a, false, collector.WhyNoBytes(there.activation(), j.Bytes)
		}
		seen = &there
	}
	return a, false, busy(j.Version)
}

// ending is a move out of active that comes with the end of a lease; the zero
// ending is none.
type ending struct {
	to     hooks.State
	reason errs.Code
}

// foresee says where the activation goes with the end of this lease, as far as
// seen can tell.
func foresee(j jobs.Job, seen *activationDoc, now time.Time) ending {
	if seen == nil {
		return ending{}
	}
	a := seen.activation()
	a.Ledger.Settle(j.Outcome, j.Bytes)
	to, reason := collector.Conclude(a, now)
	return ending{to, reason}
}

// endFilter finds the activation while the lease has what seen says. An end
// that is foreseen holds as long as the bounds are those that were seen: counts
// only rise.
func endFilter(j jobs.Job, seen *activationDoc, foreseen ending) m {
	reserved := seen.reserved(j.ID)
	filter := m{{Key: "_id", Value: j.Version}, {Key: leaseField(j.ID, "reserved"), Value: reserved}}
	if j.Bytes > reserved {
		filter = append(filter, condition{Key: "room", Value: m{{Key: "$gte", Value: j.Bytes - reserved}}})
	}
	if foreseen.to == "" {
		return filter
	}
	return append(filter, condition{Key: "state", Value: seen.State}, condition{Key: "quantity", Value: seen.Quantity},
		condition{Key: "deadline", Value: seen.Deadline})
}

func endUpdate(j jobs.Job, seen *activationDoc, foreseen ending, now time.Time) m {
	reserved := seen.reserved(j.ID)
	count, known := outcomeFields[j.Outcome]
	if !known { // as in hooks.Ledger.Settle: the sum holds whatever is said
		count = outcomeFields[hooks.OutcomeFailed]
	}
	inc := m{
		{Key: "ledger.leased", Value: -1},
		{Key: "ledger." + count, Value: 1},
		{Key: "ledger.reserved", Value: -reserved},
		{Key: "ledger.bytes", Value: j.Bytes},
		{Key: "room", Value: reserved - j.Bytes},
	}
	if j.Outcome != hooks.OutcomeReceived {
		inc = append(inc, condition{Key: "open", Value: 1})
	}
	update := m{{Key: "$inc", Value: inc}, {Key: "$unset", Value: m{{Key: leaseField(j.ID), Value: ""}}}}
	if foreseen.to != "" {
		update = append(update, condition{Key: "$set", Value: stateChange(j.Version, foreseen.to, string(foreseen.reason), now)})
	}
	return update
}

// reserved is what a lease has; nothing where nobody has looked.
func (d *activationDoc) reserved(lease string) int64 {
	if d == nil {
		return 0
	}
	return d.Leases[lease].Reserved
}
