package collector

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobs"
)

// Collector does the work. Set the exported members, then call Run, which
// recovers first; the others may be called from any goroutine. One Collector
// serves one server's peers; it must not be copied after its first use.
type Collector struct {
	Activations Activations
	Jobs        Jobs
	Queries     Queries
	Repairs     Repairs
	Peers       Peers
	// Signed reads an approved version; errs.CodeNotFound where there is none.
	Signed func(ctx context.Context, version string) (Signed, error)
	Sender Sender
	Now    func() time.Time
	Log    *slog.Logger // nil: nothing is logged

	// Tick wakes the sweep; nil: a ticker of SweepEvery.
	Tick <-chan time.Time
	// Wait waits for d or until ctx is over; nil: by the wall clock. An upload
	// waits with it for other uploads' reservations.
	Wait func(ctx context.Context, d time.Duration) error

	sweeping sync.Mutex // one Sweep or Recover at a time
	queue    queue
	backlog  backlog
	rates    rates
	uploads  idSet
	sending  idSet
	acks     acks
}

// now is the clock at the precision that is stored.
func (c *Collector) now() time.Time { return c.Now().UTC().Truncate(time.Millisecond) }

// warn logs what the caller cannot return.
func (c *Collector) warn(ctx context.Context, msg string, args ...any) {
	if c.Log != nil {
		c.Log.WarnContext(ctx, msg, args...)
	}
}

// errNotYours answers for a job that does not exist and for one of another
// peer alike, so that ids tell nothing.
func errNotYours() error { return errs.New(errs.CodeNotFound, "there is no such job") }

// hookJob reads a hook job of this peer.
func (c *Collector) hookJob(ctx context.Context, peerID, jobID string) (jobs.Job, error) {
	if !validID(jobID) {
		return jobs.Job{}, errNotYours()
	}
	j, err := c.Queries.Job(ctx, jobID)
	if errs.Is(err, errs.CodeNotFound) {
		return jobs.Job{}, errNotYours()
	}
	if err != nil {
		return jobs.Job{}, err
	}
	if j.PeerID != peerID || j.Workload != jobs.WorkHook {
		return jobs.Job{}, errNotYours()
	}
	return j, nil
}

// validID accepts the one spelling of a UUIDv7.
func validID(id string) bool {
	u, err := uuid.Parse(id)
	return err == nil && u.Version() == 7 && u.String() == id
}

// FileReport stores a report under the id that the peer chose (a UUIDv7) and
// counts its problem. It is acknowledged as soon as it is stored: created is
// false where the same peer has already filed the same report under this id,
// and errs.CodeConflict where the id belongs to anything else.
//
// Matching follows in the background, see Run. Nothing waits for it: a report
// whose place in the queue was lost (queue full, crash) is matched by the
// sweep, by the next hello of its peer or by the next activation.
func (c *Collector) FileReport(ctx context.Context, peerID, id string, report hooks.Report) (j jobs.Job, created bool, err error) {
	if !validID(id) {
		return jobs.Job{}, false, errs.New(errs.CodeBadReport, "it is not a UUIDv7 in lower case").At("id")
	}
	if err := report.Validate(); err != nil {
		return jobs.Job{}, false, err
	}
	now, fp := c.now(), hooks.Fingerprint(report)
	j = jobs.Job{
		ID: id, PeerID: peerID, Workload: jobs.WorkReport, Status: jobs.Succeeded, TriggeredBy: "peer",
		CreatedAt: now, CompletedAt: now, Fingerprint: fp, ProblemID: hooks.ProblemID(fp), Report: report,
	}
	created, err = c.Jobs.AddReport(ctx, j, Problem{
		ID: j.ProblemID, Fingerprint: fp, Package: report[hooks.FieldPackage],
		Executable: report[hooks.FieldExecutablePath], Reports: 1, FirstSeen: now, LastSeen: now,
	})
	if err != nil {
		return jobs.Job{}, false, err
	}
	c.enqueue(task{kind: taskOriginal, id: id})
	return j, created, nil
}

// Acked notes that the peer's guard has the job. The stamp is stored in the
// background, so that the peer's next message does not wait for it. It only
// tells people how far a job is: one that a crash loses, or a store that
// cannot keep up, does no harm.
func (c *Collector) Acked(ctx context.Context, peerID, jobID string) error {
	j, err := c.hookJob(ctx, peerID, jobID)
	if err != nil || j.Final() || !j.AckedAt.IsZero() {
		return err
	}
	c.acks.add(Ack{JobID: jobID, At: c.now()})
	return nil
}

// Hello is what a peer's stream starts with: its unsent jobs are sent and its
// recent originals matched, in the background.
func (c *Collector) Hello(peerID string) { c.enqueue(task{kind: taskPeer, id: peerID}) }

// ActivatedVersion matches the recent originals of connected peers with a
// version that became active, in the background. It fits
// review.Service.Activated.
func (c *Collector) ActivatedVersion(version string) {
	c.enqueue(task{kind: taskVersion, id: version})
}
