package collector

import (
	"context"
	"encoding/binary"
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
	inDoubt  doubts
	closed   closed
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

// How far the time in a report's id may be from the server's clock. Lists are
// in the order of ids, so that an id of next year would stay first in all of
// them. A peer may have been away for a month.
const (
	maxIDAhead = time.Hour
	maxIDAge   = 35 * 24 * time.Hour
)

// checkID refuses a report's id that is none, or whose time cannot be true.
func (c *Collector) checkID(id string) error {
	if !validID(id) {
		return errs.New(errs.CodeBadReport, "it is not a UUIDv7 in lower case").At("id")
	}
	made, now := timeOf(id), c.now()
	if ahead := made.Sub(now); ahead > maxIDAhead || -ahead > maxIDAge {
		return errs.New(errs.CodeBadReport, "its time is %s, the server's clock says %s: it may be up to %d hour ahead, or %d days old",
			made.Format(time.RFC3339), now.Format(time.RFC3339), maxIDAhead/time.Hour, maxIDAge/(24*time.Hour)).At("id").
			WithHint("correct the clock of the machine that filed the report, or of the server, and file it again")
	}
	return nil
}

// timeOf is the time in a UUIDv7: its first 48 bits are milliseconds since 1970.
func timeOf(id string) time.Time {
	u := uuid.MustParse(id)
	var ms [8]byte
	copy(ms[2:], u[:6])
	return time.UnixMilli(int64(binary.BigEndian.Uint64(ms[:]))).UTC() //nolint:gosec // 48 bits
}

// FileReport stores a report under the id that the peer chose (a UUIDv7) and
// counts its problem. It is acknowledged as soon as it is stored: created is
// false where the same peer has already filed the same report under this id,
// and errs.CodeConflict where the id belongs to anything else. An id whose
// time is far from the server's clock is errs.CodeBadReport.
//
// Matching follows in the background, see Run. Nothing waits for it: a report
// whose place in the queue was lost (queue full, crash) is matched by the
// sweep, by the next hello of its peer or by the next activation.
func (c *Collector) FileReport(ctx context.Context, peerID, id string, report hooks.Report) (j jobs.Job, created bool, err error) {
	if err := c.checkID(id); err != nil {
		return jobs.Job{}, false, err
	}
	if err := report.Validate(); err != nil {
		return jobs.Job{}, false, err
	}
	now, fp := c.now(), hooks.Fingerprint(report)
	j = jobs.Job{
		ID: id, PeerID: peerID, Workload: jobs.WorkReport, Status: jobs.Succeeded, TriggeredBy: "peer",
		CreatedAt: now, CompletedAt: now, Fingerprint: fp, ProblemID: hooks.ProblemID(fp), Report: report,
		PackageVersion: inShort(report[hooks.FieldPackageVersion]), Release: inShort(report[hooks.FieldRelease]),
	}
	created, err = c.Jobs.AddReport(ctx, j, ProblemOf(j))
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

// Hello is what a peer's stream starts with: its unacknowledged jobs are sent and its
// recent originals matched, in the background.
func (c *Collector) Hello(peerID string) { c.enqueue(task{kind: taskPeer, id: peerID}) }

// ActivatedVersion matches the recent originals of connected peers with a
// version that became active, in the background. It fits
// review.Service.Activated.
func (c *Collector) ActivatedVersion(version string) {
	c.enqueue(task{kind: taskVersion, id: version})
}
