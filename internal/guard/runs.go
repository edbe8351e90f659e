package guard

import (
	"context"
	"errors"
	"strings"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/guardwire"
	"hookline/sandbox"
)

// Causes of a cancelled run.
var (
	errStopping  = errors.New("the guard stopped")
	errCancelled = errors.New("the server cancelled the job")
	errOptedOut  = errors.New("the owner withdrew the permission")
)

// onRun takes one hook job: decide, record, count, and start it. It waits for
// nothing but the disk, and for the rate of refusals.
func (g *Guard) onRun(ctx context.Context, m guardwire.Message) error {
	if !validID(m.JobID) {
		return errs.New(errs.CodeBadInput, "the job id %.40q is no UUID", m.JobID).At("job_id")
	}
	if g.known(m.JobID) {
		g.send(guardwire.Message{Kind: guardwire.KindAck, JobID: m.JobID})
		g.pump()
		return nil
	}
	q, refusal := g.admit(ctx, m)
	// Acknowledged only now: the server must not see a job taken that a full
	// disk, or a crash, could still make this peer forget.
	g.send(guardwire.Message{Kind: guardwire.KindAck, JobID: m.JobID})
	if refusal == nil {
		g.start(q)
		return nil
	}
	g.finish(refused(q, refusal))
	// A server that keeps sending what is refused is slowed down.
	return g.refusals.Wait(ctx)
}

// known reports whether this job was taken before.
func (g *Guard) known(jobID string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, running := g.running[jobID]
	if g.outbox.has(jobID) {
		delete(g.outbox.sent, jobID) // the server asks: answer again
	}
	return running || g.outbox.has(jobID) || g.recent.seen[jobID]
}

// admit decides and, where the run may start, counts it on disk. The decision
// is in the record when admit returns; the error is the refusal.
func (g *Guard) admit(ctx context.Context, m guardwire.Message) (*inquiry, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	q := &inquiry{
		jobID: m.JobID, run: *m.Run, config: g.config, pin: g.pin, trusted: g.trusted,
		full:  g.remembered.of(g.pin.Anchor.Deployment).Full,
		state: &g.ledger.now, shelf: g.shelf, running: len(g.running), now: g.now(), floor: g.floor(),
	}
	refusal := q.decide()
	switch {
	case refusal == nil:
		q.box = g.open(g.setting(q), q.task().Wanted())
		if err := g.countAndRecord(q); err != nil {
			refusal, q.refusedBy = err, checkDisk
			g.runs.Go(q.box.close)
			break
		}
		// From here on it can be stopped. A stream that breaks does not end the
		// run, nor does the network side.
		r := &underWay{q: q}
		r.ctx, r.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
		g.running[q.jobID] = r
		return q, nil
	case errs.Is(refusal, errs.CodeWaitsForOwner):
		if err := g.ledger.update(func(s *State) { s.ask(q.question()) }); err != nil {
			refusal, q.refusedBy = err, checkDisk
		}
	}
	if err := g.record.AppendForeign(decided(q, refusal)); err != nil {
		g.opts.Log.Error("cannot record a decision", "job", q.jobID, "error", err)
	}
	return q, refusal
}

// countAndRecord counts a run and records its decision, both on disk before it
// returns. They are written at the same time, since each waits for the disk
// alone; a run that only one of them knows does not start.
func (g *Guard) countAndRecord(q *inquiry) error {
	p, head := q.predicate(), g.record.Head()
	r := Running{Pair: q.pair(), JobID: q.jobID, Hook: p.Hook}
	recorded := g.recordAside(decided(q, nil))
	err := g.ledger.update(func(s *State) {
		s.expire(q.now)
		s.begin(r, p.Version, q.question().NotAfter, q.now)
		s.Record = head
	})
	unrecorded := <-recorded
	if unrecorded != nil && err == nil {
		// That it was counted stays, that it is under way does not.
		err = g.ledger.update(func(s *State) { s.end(q.jobID) })
	}
	return errors.Join(unrecorded, err)
}

// recordAside writes an entry while the caller waits for another write.
func (g *Guard) recordAside(e Entry) <-chan error {
	done := make(chan error, 1)
	go func() { done <- g.record.Append(e) }()
	return done
}

func decided(q *inquiry, refusal error) Entry {
	e := q.entry()
	switch {
	case refusal == nil:
		e.Decision = "run"
	case errs.Is(refusal, errs.CodeWaitsForOwner):
		e.Decision, e.Ending, e.Ask = "deferred", hooks.EndingDeferred, askID(q.pair())
	default:
		e.Decision, e.Ending = "refused", hooks.EndingRefused
	}
	if q.verified != nil && e.Decision != "refused" {
		p := q.predicate()
		e.As, e.May = string(p.As), &p.Capabilities
	}
	if refusal != nil {
		e.Check, e.Code, e.Reason = q.refusedBy, string(errs.CodeOf(refusal)), reasonOf(refusal)
	}
	return e
}

// reasonOf is what may be said about an error outside: coded errors as they
// are, others not at all.
func reasonOf(err error) string {
	if e, ok := errs.As(err); ok && e.Code != errs.CodeInternal {
		return cut(e.Error(), 500)
	}
	return "internal error"
}

func cut(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.ToValidUTF8(s, "")
}

func refused(q *inquiry, refusal error) guardwire.Message {
	outcome := hooks.OutcomeRefused
	if errs.Is(refusal, errs.CodeWaitsForOwner) {
		outcome = hooks.OutcomeDeferred
	}
	return guardwire.Message{
		Kind: guardwire.KindFinish, JobID: q.jobID, Code: string(errs.CodeOf(refusal)), Reason: reasonOf(refusal),
		Finish: &guardwire.Finish{Outcome: outcome},
	}
}

// start runs an admitted hook in the background.
func (g *Guard) start(q *inquiry) {
	g.mu.Lock()
	r := g.running[q.jobID]
	g.mu.Unlock()
	g.runs.Go(func() {
		defer r.cancel(nil)
		g.execute(r.ctx, q)
	})
}

// underWay is a run that was counted and has not ended.
type underWay struct {
	q      *inquiry
	ctx    context.Context //nolint:containedctx // it lives as long as the run, and admit makes it
	cancel context.CancelCauseFunc
}

// task is what the sandbox is to do, but for what it may know of the machine.
func (q *inquiry) task() sandbox.Task {
	return sandbox.Task{
		Script: q.verified.Script(), Predicate: q.predicate(), Report: q.original.Report, Now: q.now, Filer: q.original.filer(),
	}
}

func (g *Guard) execute(ctx context.Context, q *inquiry) {
	task := q.task()
	task.Report, task.Facts, task.Redact = task.Report.Clone(), g.opts.Facts, g.opts.Redact
	out, err := q.box.run(ctx, task)
	m := g.conclude(ctx, q, out, err)
	entry := ended(q, out, m)
	g.mu.Lock()
	defer g.mu.Unlock()
	// The last moment before anything leaves: the owner may have said no
	// while the hook ran, and what cannot be recorded stays here.
	if g.config.AllowHooks == HooksNo {
		m, entry = g.withhold(q, entry, errs.New(errs.CodeNotOptedIn, "the owner withdrew the permission while the hook ran"))
	} else if err := g.stillVerified(q); err != nil {
		m, entry = g.withhold(q, entry, err)
	}
	recorded := g.recordAside(entry)
	m = g.keepEnd(m)
	if err := <-recorded; err != nil {
		g.opts.Log.Error("cannot record an outcome", "job", q.jobID, "error", err)
		m, _ = g.withhold(q, entry, err)
		m = g.keepEnd(m)
	} else if string(m.Finish.Outcome) != entry.Outcome {
		// It could not be kept, so it does not leave after all.
		_, entry = g.withhold(q, entry, errs.New(errs.Code(m.Code), "%s", m.Reason))
		g.note(entry)
	}
	g.settle(m)
}

// withhold turns an end into one that carries nothing.
func (g *Guard) withhold(q *inquiry, e Entry, err error) (guardwire.Message, Entry) {
	m := failed(q, err)
	e.Fields = nil
	return m, e.endedBy(m)
}

// finish keeps the end of a job until the server has confirmed it, and sends it.
func (g *Guard) finish(m guardwire.Message) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.settle(g.keepEnd(m))
}

// keepEnd puts the end of a job into the outbox, and returns what may leave
// where that fails.
func (g *Guard) keepEnd(m guardwire.Message) guardwire.Message {
	dropped, err := g.outbox.addFinish(m)
	for _, id := range dropped {
		g.noteForeign(Entry{Kind: KindDiscarded, JobID: id, Reason: "the end of this run waited too long for the server"})
	}
	if err != nil {
		g.opts.Log.Error("cannot keep the end of a run", "job", m.JobID, "error", err)
		// A result that is not kept does not leave; that it was refused may.
		m.Finish = &guardwire.Finish{Outcome: withoutResult(m.Finish.Outcome)}
		if m.Code == "" {
			m.Code, m.Reason = string(errs.CodeOf(err)), reasonOf(err)
		}
		g.outbox.hold(m)
	}
	return m
}

// settle ends a job whose end is kept: out with it, then the run is over.
func (g *Guard) settle(m guardwire.Message) {
	_, counted := g.running[m.JobID]
	delete(g.running, m.JobID)
	g.recent.add(m.JobID)
	g.pumpLocked()
	if !counted {
		return
	}
	// A crash before this is written finds the end in the outbox.
	if err := g.ledger.update(func(s *State) { s.end(m.JobID) }); err != nil {
		g.opts.Log.Error("cannot note the end of a run", "job", m.JobID, "error", err)
	}
}

func withoutResult(o hooks.Outcome) hooks.Outcome {
	if o == hooks.OutcomeReceived {
		return hooks.OutcomeFailed
	}
	return o
}

// note writes a line that nothing waits for.
func (g *Guard) note(e Entry) {
	if err := g.record.Append(e); err != nil {
		g.opts.Log.Error("cannot write to the record", "error", err)
	}
}

// noteForeign is note for what the server or the network side alone can cause.
func (g *Guard) noteForeign(e Entry) {
	if err := g.record.AppendForeign(e); err != nil {
		g.opts.Log.Error("cannot write to the record", "error", err)
	}
}

// endInterrupted ends the runs that were counted when the guard died.
func (g *Guard) endInterrupted() error {
	for _, r := range g.ledger.now.Running {
		if err := g.endRun(r); err != nil {
			return err
		}
		g.recent.add(r.JobID)
	}
	if len(g.ledger.now.Running) == 0 {
		return nil
	}
	return g.ledger.update(func(s *State) { s.Running = nil })
}

// endRun ends one such run. Where its end was kept and the guard died before
// the record had it, the record gets it now: before it leaves.
func (g *Guard) endRun(r Running) error {
	m := guardwire.Message{
		Kind: guardwire.KindFinish, JobID: r.JobID, Code: string(errs.CodeRunInterrupted),
		Reason: "the guard stopped while the hook ran", Finish: &guardwire.Finish{Outcome: hooks.OutcomeFailed},
	}
	kept := g.outbox.has(r.JobID)
	if kept {
		saved, err := g.outbox.finish(r.JobID)
		if err != nil || saved.Finish == nil {
			kept = false
		} else {
			m = saved
		}
	}
	recorded, err := g.record.hasOutcome(r.JobID)
	if err != nil {
		return err
	}
	if !recorded {
		err = g.record.Append(Entry{
			Kind: KindOutcome, JobID: r.JobID, OriginalID: r.OriginalID, Hook: r.Hook, Digest: r.Digest,
			Fields: m.Finish.Fields, Denied: m.Finish.Denied,
		}.endedBy(m))
	}
	if err == nil && !kept {
		_, err = g.outbox.addFinish(m)
	}
	return err
}

func (g *Guard) onCancel(jobID string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r, ok := g.running[jobID]; ok {
		r.cancel(errCancelled)
	}
}
