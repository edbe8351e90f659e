package collector

import (
	"context"
	"math/rand/v2"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobs"
)

// MaxChunkBytes is the largest chunk of an upload.
const MaxChunkBytes = 64 << 10

// How long an upload waits for room that other uploads have reserved.
const (
	reserveFirstWait = 20 * time.Millisecond
	reserveLongWait  = 500 * time.Millisecond
	reservePatience  = 5 * time.Second
)

// Upload brings the new fields of one hook job: Write for each chunk, then
// Commit; Abort in any case at the end (it does nothing after Commit). It is
// for one goroutine. Nothing is stored before Commit.
type Upload struct {
	// Denied is how many calls of the run were refused; set it before Commit.
	Denied int64

	c      *Collector
	ctx    context.Context // the stream's, for the whole upload
	job    jobs.Job
	pred   hooks.Predicate
	buf    []byte
	room   int64 // reserved on the lease, by this upload and those that broke off
	locked bool
	judged bool // the job may be decided: its reservation is for Settle to end
}

// NewUpload starts an upload for a job of this peer. A job that is decided
// already, or is past its deadline and therefore decided now, takes no bytes:
// Decided tells, Write drops what comes, and Commit returns the decision.
// errs.CodeNotFound for a job that is not this peer's; errs.CodeUnavailable
// while another upload of the same job is under way. ctx must live as long as
// the upload.
func (c *Collector) NewUpload(ctx context.Context, peerID, jobID string) (*Upload, error) {
	j, err := c.hookJob(ctx, peerID, jobID)
	if err != nil {
		return nil, err
	}
	u := &Upload{c: c, ctx: ctx, job: j}
	if j.Overdue(c.now()) {
		if u.job, err = c.end(ctx, j, timedOut()); err != nil {
			return nil, err
		}
	}
	if u.job.Final() {
		return u, nil
	}
	if !c.uploads.lock(jobID) {
		return nil, errs.New(errs.CodeUnavailable, "another upload of this job is under way").WithHint("try again shortly")
	}
	u.locked = true
	if err := u.open(); err != nil {
		u.Abort(ctx)
		return nil, err
	}
	return u, nil
}

// open reads what the upload is held against.
func (u *Upload) open() error {
	s, err := u.c.Signed(u.ctx, u.job.Version)
	if err != nil {
		return err
	}
	st, err := hooks.ParseStatement(s.Statement)
	u.pred = st.Predicate
	return err
}

// reserved reads what broken uploads have left reserved on a lease: the next
// one uses it up before it reserves more.
func (c *Collector) reserved(ctx context.Context, lease string) (int64, error) {
	list, err := c.Repairs.Leases(ctx, lease[:len(lease)-1], 1) // the first id not below the prefix
	if err != nil || len(list) == 0 || list[0].ID != lease {
		return 0, err
	}
	return list[0].Reserved, nil
}

// Decided reports whether the job was decided, and how: bytes are in vain.
func (u *Upload) Decided() (jobs.Job, bool) { return u.job, u.job.Final() }

// Write takes the next chunk (at most 64 KiB). One chunk alone reserves
// nothing, since Commit holds it against the activation's bytes when it
// settles; with the second, what has come is reserved. Where the signed
// max_result_bytes is passed, or the activation's bytes have run out, the job
// is decided as failed, nothing is kept, and the error says so; in the second
// case the activation expires with reason size. Where only other uploads are
// in the way it waits a few seconds, then answers errs.CodeRateLimited: the
// job stays pending, and the peer may try again.
func (u *Upload) Write(chunk []byte) error {
	if len(chunk) > MaxChunkBytes {
		return errs.New(errs.CodeTooLarge, "a chunk is at most %d bytes", MaxChunkBytes)
	}
	if u.job.Final() || len(chunk) == 0 {
		return nil
	}
	total := int64(len(u.buf) + len(chunk))
	if most := min(u.pred.MaxResultBytes, hooks.MaxResultBytes); total > most {
		return u.cut(errs.New(errs.CodeResultTooBig, "the result is longer than the signed %d bytes", most))
	}
	if len(u.buf) > 0 {
		if err := u.reserve(total); err != nil {
			return err
		}
	}
	u.buf = append(u.buf, chunk...)
	return nil
}

// cut ends the job for good; the cause is what the peer hears.
func (u *Upload) cut(cause error) error {
	u.buf = nil
	if err := u.settle(failed(cause), nil); err != nil {
		return err
	}
	return cause
}

// reserve makes sure that total bytes are reserved on the lease.
func (u *Upload) reserve(total int64) (err error) {
	if u.room == 0 {
		if u.room, err = u.c.reserved(u.ctx, u.job.ID); err != nil {
			return err
		}
	}
	if total <= u.room {
		return nil
	}
	err = u.patiently(u.ctx, func() error {
		return u.c.Activations.Reserve(u.ctx, u.job.Version, u.job.ID, total-u.room)
	})
	if errs.Is(err, errs.CodeNotFound) {
		return u.leaseGone()
	}
	if err == nil {
		u.room = total
	}
	return err
}

// patiently repeats what others' reservations stand in the way of, for a few
// seconds. Who has to wait holds nothing meanwhile, so that two never wait for
// each other. What can never fit ends the job.
func (u *Upload) patiently(ctx context.Context, try func() error) error {
	c, patience := u.c, u.c.now().Add(reservePatience)
	for wait := reserveFirstWait; ; wait = min(2*wait, reserveLongWait) {
		err := try()
		switch {
		case errs.Is(err, errs.CodeBytesReached):
			return u.outOfBytes(err)
		case !errs.Is(err, errs.CodeRateLimited) || !c.now().Before(patience):
			return err
		}
		if err := u.release(ctx); err != nil {
			return err
		}
		// Those who met each other must not come back together.
		spread := rand.N(wait / 2) //nolint:gosec // no secret
		if err := c.wait(ctx, wait/2+spread); err != nil {
			return err
		}
	}
}

// release gives the reservation back.
func (u *Upload) release(ctx context.Context) error {
	if u.room == 0 {
		return nil
	}
	err := u.c.Activations.Reserve(ctx, u.job.Version, u.job.ID, -u.room)
	if err == nil || errs.Is(err, errs.CodeNotFound) { // the lease may be settled
		u.room, err = 0, nil
	}
	return err
}

// outOfBytes keeps nothing of the result and expires the activation.
func (u *Upload) outOfBytes(cause error) error {
	cause = u.cut(cause)
	to, err := hooks.Next(hooks.StateActive, hooks.EventExpire)
	if err != nil {
		return err
	}
	ctx, reason := context.WithoutCancel(u.ctx), string(errs.CodeBytesReached)
	if _, err := u.c.Activations.ChangeState(ctx, u.job.Version, hooks.StateActive, to, reason, u.c.now()); err != nil {
		return err
	}
	return cause
}

// leaseGone happens where the job was decided meanwhile, by its deadline.
func (u *Upload) leaseGone() error {
	j, err := u.c.Queries.Job(u.ctx, u.job.ID)
	if err != nil {
		return err
	}
	u.job, u.buf = j, nil
	if !j.Final() {
		return errs.New(errs.CodeInternal, "job %s is pending without a lease", j.ID)
	}
	return nil
}

// wait is Wait, by the wall clock where none was given.
func (c *Collector) wait(ctx context.Context, d time.Duration) error {
	if c.Wait != nil {
		return c.Wait(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Commit checks the fields against the signed declaration and the original
// report again, and settles the job with them. The job that it returns is the
// answer, whatever it says: received; empty where there is no field; failed
// where a field may not be; or the decision that was there before. Errors are
// those of Write; after any other the job may still be pending, and the peer
// sends the same again.
func (u *Upload) Commit(ctx context.Context) (jobs.Job, error) {
	defer u.Abort(ctx)
	if u.job.Final() {
		return u.job, nil
	}
	original, err := u.c.Queries.Job(ctx, u.job.OriginalID)
	if err != nil {
		return jobs.Job{}, err
	}
	d, r := u.judge(original)
	err = u.patiently(ctx, func() error {
		if u.job.Overdue(u.c.now()) {
			d, r = timedOut(), nil
		}
		return u.settle(d, r)
	})
	return u.job, err
}

// settle ends the job. A refusal leaves it pending; after any other error
// nobody knows.
func (u *Upload) settle(d jobs.Decision, r *Result) error {
	d.Denied = count(u.Denied)
	j, err := u.c.settle(u.ctx, u.job.ID, d, r)
	switch {
	case err == nil:
		u.job = j
	case !errs.Is(err, errs.CodeRateLimited) && !errs.Is(err, errs.CodeBytesReached):
		u.judged = true
	}
	return err
}

// judge decides on the bytes, and makes the result where they are one.
func (u *Upload) judge(original jobs.Job) (jobs.Decision, *Result) {
	f, err := hooks.ParseFields(u.buf, u.pred.Fields)
	if err == nil && len(f) == 0 {
		return jobs.Decision{Status: jobs.Succeeded, Outcome: hooks.OutcomeEmpty}, nil
	}
	if err == nil {
		err = hooks.CheckNew(f, u.pred, original.Report)
	}
	if err != nil {
		return failed(err), nil
	}
	return jobs.Decision{Status: jobs.Succeeded, Outcome: hooks.OutcomeReceived}, &Result{
		ID: u.job.ID, JobID: original.ID, Hook: u.job.Hook, Version: u.job.Version, PeerID: u.job.PeerID,
		ProblemID: original.ProblemID, Level: u.pred.Level, Package: inShort(original.Report[hooks.FieldPackage]), Fields: u.buf, Bytes: int64(len(u.buf)), CreatedAt: u.c.now(),
	}
}

// Abort gives the upload up, and what it had reserved back. The job stays
// pending until its deadline, so that the peer can upload again.
func (u *Upload) Abort(ctx context.Context) {
	if !u.locked {
		return
	}
	u.locked = false
	defer u.c.uploads.unlock(u.job.ID)
	if u.judged || u.job.Final() {
		return
	}
	if err := u.release(context.WithoutCancel(ctx)); err != nil {
		u.c.warn(ctx, "a reservation stays with its lease", "job", u.job.ID, "error", err)
	}
}
