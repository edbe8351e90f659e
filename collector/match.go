package collector

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"hookline/hooks"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobs"
)

// Bounds of one look into the store.
const (
	maxActive        = 1000 // active activations looked at
	originalsPerPeer = 20   // newest originals of one peer that match one version
	peersAtOnce      = 200
)

// farAhead is later than any deadline: a policy bounds lifetimes to 14 days.
const farAhead = 30 * 24 * time.Hour

// MatchOriginal asks the peer of an original job for every active version
// that matches it. Refusals are the normal case and no error; errors are the
// store's.
func (c *Collector) MatchOriginal(ctx context.Context, original jobs.Job) error {
	acts, err := c.Activations.ActiveByKeys(ctx, hooks.MatchKeys(original.Report))
	if err != nil || len(acts) == 0 {
		return err
	}
	peer, err := c.Peers.Peer(ctx, original.PeerID)
	if err != nil {
		return err
	}
	var broken []error
	for _, a := range acts {
		o, err := c.offer(ctx, a)
		if err == nil {
			err = c.try(ctx, o, peer, original, false)
		}
		broken = append(broken, uncoded(err))
	}
	return errors.Join(broken...)
}

// try asks once, after the owner's yes where it is claimed. A refusal that may
// pass by itself puts the original into the backlog; the refusal is returned.
func (c *Collector) try(ctx context.Context, o offer, peer enroll.Peer, original jobs.Job, claimed bool) error {
	q, err := c.question(ctx, o, peer, original)
	if err == nil {
		q.claimed = claimed
		err = c.ask(ctx, q)
	}
	if passes(err) {
		c.backlog.add(o.act.Digest, candidate{original: original.ID, peer: peer.ID, created: original.CreatedAt, claimed: claimed})
	}
	return err
}

// passes reports whether a refusal may be gone a little later while the peer
// stays connected. What ends with a new hello is left to it.
func passes(err error) bool {
	switch errs.CodeOf(err) {
	case errs.CodeRateLimited, errs.CodePeerBusy, errs.CodeLeasesOut, errs.CodeInternal, errs.CodeUnavailable, errs.CodeStorageFull:
		return true
	case errs.CodeQuantityReached: // leases that are out may come back
		return true
	default:
		return false
	}
}

// versionWide reports whether a refusal stands for every other original of
// the same version too.
func versionWide(err error) bool {
	switch errs.CodeOf(err) {
	case errs.CodeHookNotActive, errs.CodeDeadlineReached, errs.CodeQuantityReached, errs.CodeLeasesOut,
		errs.CodeRateLimited, errs.CodeExpired, errs.CodeNotYetValid, errs.CodeBytesReached:
		return true
	default:
		return false
	}
}

// uncoded keeps the errors that are nobody's answer.
func uncoded(err error) error {
	if err == nil {
		return nil
	}
	switch errs.CodeOf(err) {
	case errs.CodeInternal, errs.CodeUnavailable, errs.CodeStorageFull:
		return err
	default:
		return nil
	}
}

// ask makes the checks, stores lease and job, and sends it, in this order. A
// crash in between leaves a job that was not sent: the peer's next hello sends
// it.
func (c *Collector) ask(ctx context.Context, q *question) error {
	if err := q.refusal(); err != nil {
		return err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	version := q.act.Digest
	if !c.rates.take(version, q.act.Rollout.PerMinute, q.now) {
		return errs.New(errs.CodeRateLimited, "the minute has had its %d leases", q.act.Rollout.PerMinute)
	}
	j := q.job(id.String())
	c.sending.lock(j.ID)
	defer c.sending.unlock(j.ID)
	if err := c.Jobs.Lease(ctx, j, q.now); err != nil {
		c.rates.giveBack(version)
		c.doubt(j, err)
		return err
	}
	return c.send(ctx, j, q.signed)
}

// doubt looks after a job that a store which was away may have stored, whole
// or half: a whole one is sent as after a hello, for the peer, whose stream
// goes on, says none.
func (c *Collector) doubt(j jobs.Job, err error) {
	if errs.Away(err) {
		c.inDoubt.add(j.ID)
		c.queue.putOff(task{kind: taskPeer, id: j.PeerID})
	}
}

// job is the hook job that the question asks for.
func (q *question) job(id string) jobs.Job {
	trigger := "match"
	if q.claimed {
		trigger = "claim"
	}
	return jobs.Job{
		ID: id, PeerID: q.peer.ID, Workload: jobs.WorkHook, Status: jobs.Pending, TriggeredBy: trigger,
		CreatedAt: q.now, Deadline: jobs.DeadlineOf(q.now, q.act.Deadline), ProblemID: q.original.ProblemID,
		OriginalID: q.original.ID, Hook: q.act.Hook, Version: q.act.Digest,
		Slot: jobs.OpenSlot(q.act.Digest, q.original.ID),
	}
}

// send hands a stored job to its peer, and only then stamps it: the peer does
// not wait for the stamp. The caller has locked the job in sending until it is
// stamped, so that a hello does not send it again. A peer that is not there
// fails the job at once; after any other error the job stays unsent, for
// Resume or its deadline.
func (c *Collector) send(ctx context.Context, j jobs.Job, s Signed) error {
	if j.Overdue(c.now()) {
		_, err := c.end(ctx, j, timedOut())
		return err
	}
	if text, ok := c.closed.why(j.Version); ok {
		_, err := c.end(ctx, j, cancelled(errs.CodeRevoked, text))
		return err
	}
	err := c.Sender.Send(ctx, Dispatch{Job: j, Statement: s.Statement, Script: s.Script, Signatures: s.Signatures})
	if errs.Is(err, errs.CodePeerNotConnected) {
		_, endErr := c.end(ctx, j, cancelled(errs.CodePeerNotConnected, "the peer was not connected when the job was sent"))
		return errors.Join(err, endErr)
	}
	if err != nil {
		return err
	}
	_, err = c.Jobs.MarkSent(ctx, j.ID, c.now())
	return err
}

// Resume sends a peer's stored jobs that it has not acknowledged, oldest
// first: those never sent, and those sent on a stream before the present one,
// which broke before the peer could say that it has them. A peer knows a job
// by its id and runs it once. One never sent whose version is not active any
// more is cancelled, one past its deadline has timed out.
func (c *Collector) Resume(ctx context.Context, peerID string) error {
	unacked, err := c.Peers.Unacked(ctx, peerID, 4*jobs.MaxHooksPerPeer)
	if err != nil || len(unacked) == 0 {
		return err
	}
	peer, err := c.Peers.Peer(ctx, peerID)
	if err != nil {
		return err
	}
	for _, j := range unacked {
		if err := uncoded(c.resume(ctx, j, peer.Connection.Seen)); err != nil {
			return err
		}
	}
	return nil
}

func (c *Collector) resume(ctx context.Context, j jobs.Job, connected time.Time) error {
	if !c.sending.lock(j.ID) {
		return nil
	}
	defer c.sending.unlock(j.ID)
	j, err := c.Queries.Job(ctx, j.ID) // it may have been sent since it was listed
	sent := err == nil && !j.SentAt.IsZero()
	if err != nil || j.Final() || !j.AckedAt.IsZero() || sent && !j.SentAt.Before(connected) {
		return err
	}
	a, err := c.Queries.Activation(ctx, j.Version)
	if err != nil {
		return err
	}
	if a.State != hooks.StateActive && sent {
		return nil // the peer may have it: its answer or the deadline ends it
	}
	if a.State != hooks.StateActive {
		_, err := c.end(ctx, j, cancelled(errs.CodeHookNotActive, "the version became "+string(a.State)+" before the job was sent"))
		return err
	}
	s, err := c.Signed(ctx, j.Version)
	if err != nil {
		return err
	}
	if s.Refused != nil {
		_, err := c.end(ctx, j, cancelled(s.Refused.Code, clean(s.Refused.Error(), maxReasonBytes)))
		return err
	}
	return c.send(ctx, j, s)
}

// Claim asks again for a version and original that the peer had deferred: its
// owner said yes. The same checks are made, and a new job is sent; a refusal
// says why not. One that may pass, such as for a peer with no free slot, is
// asked again from the backlog, or when the peer repeats its claim.
func (c *Collector) Claim(ctx context.Context, peerID, version, originalID string) error {
	if !validID(originalID) {
		return errNotYours()
	}
	original, err := c.Queries.Job(ctx, originalID)
	if errs.Is(err, errs.CodeNotFound) || err == nil && (original.PeerID != peerID || original.Workload == jobs.WorkHook) {
		return errNotYours()
	}
	if err != nil {
		return err
	}
	peer, err := c.Peers.Peer(ctx, peerID)
	if err != nil {
		return err
	}
	a, err := c.Queries.Activation(ctx, version)
	if errs.Is(err, errs.CodeNotFound) {
		return errs.New(errs.CodeHookNotActive, "the version is not active")
	}
	if err != nil {
		return err
	}
	o, err := c.offer(ctx, a)
	if err != nil {
		return err
	}
	return c.try(ctx, o, peer, original, true)
}

// active lists the active activations, the next to end first.
func (c *Collector) active(ctx context.Context) ([]hooks.Activation, error) {
	return c.Activations.ActivePast(ctx, c.now().Add(farAhead), maxActive)
}

// MatchPeer asks a connected peer about its newest originals, newest first,
// for each active version in turn, so that many reports of one problem do not
// hide another. Its hello brings it here.
func (c *Collector) MatchPeer(ctx context.Context, peerID string) error {
	if !c.Sender.Connected(peerID) {
		return nil
	}
	acts, err := c.active(ctx)
	if err != nil || len(acts) == 0 {
		return err
	}
	peer, err := c.Peers.Peer(ctx, peerID)
	if err != nil {
		return err
	}
	for _, a := range acts {
		if err := c.matchPeer(ctx, a, peer); err != nil {
			return err
		}
	}
	return nil
}

func (c *Collector) matchPeer(ctx context.Context, a hooks.Activation, peer enroll.Peer) error {
	originals, err := c.Peers.Originals(ctx, peer.ID, a.Keys, originalsPerPeer)
	if err != nil || len(originals) == 0 {
		return err
	}
	o, err := c.offer(ctx, a)
	if err != nil {
		return err
	}
	for _, original := range originals {
		if err := uncoded(c.try(ctx, o, peer, original, false)); err != nil {
			return err
		}
	}
	return nil
}

// MatchActivation asks the connected peers about their recent originals that
// match the version, newest first, at the rollout's rate: what has no room
// now waits in the backlog. Where more than the backlog holds match, they are
// asked in portions, and the sweep goes on with the rest: what was asked
// before drops out, so that each look comes further.
func (c *Collector) MatchActivation(ctx context.Context, version string) error {
	a, err := c.Queries.Activation(ctx, version)
	if err != nil || a.State != hooks.StateActive {
		return err
	}
	after := ""
	for {
		peers, err := c.Peers.Peers(ctx, after, peersAtOnce)
		if err != nil {
			return err
		}
		for _, p := range peers {
			if room, err := c.gather(ctx, a, p.ID); err != nil || !room {
				return err
			}
		}
		if len(peers) < peersAtOnce {
			return c.drain(ctx, version)
		}
		after = peers[len(peers)-1].ID
	}
}

// gather puts one connected peer's matching originals into the backlog. Where
// it is full, some are asked first; room is false where that did not help.
func (c *Collector) gather(ctx context.Context, a hooks.Activation, peerID string) (room bool, err error) {
	if !c.Sender.Connected(peerID) {
		return true, nil
	}
	originals, err := c.Peers.Originals(ctx, peerID, a.Keys, originalsPerPeer)
	if err != nil {
		return false, err
	}
	all := make([]candidate, 0, len(originals))
	for _, j := range originals {
		all = append(all, candidate{original: j.ID, peer: peerID, created: j.CreatedAt})
	}
	if c.backlog.add(a.Digest, all...) {
		return true, nil
	}
	if err := c.drain(ctx, a.Digest); err != nil {
		return false, err
	}
	return c.backlog.add(a.Digest, all...), nil
}

// drain asks what waits for a version until something stands against all.
func (c *Collector) drain(ctx context.Context, version string) error {
	waiting, stale := c.backlog.take(version)
	if stale {
		c.backlog.markStale(version)
	}
	for i, w := range waiting {
		err := c.askWaiting(ctx, version, w)
		if errs.Is(err, errs.CodeHookNotActive) || errs.Is(err, errs.CodeRevoked) {
			return nil // what waits goes with the version
		}
		if versionWide(err) || uncoded(err) != nil {
			c.backlog.add(version, waiting[i:]...)
			return uncoded(err)
		}
	}
	return nil
}

// askWaiting reads everything anew: the backlog may be minutes old.
func (c *Collector) askWaiting(ctx context.Context, version string, w candidate) error {
	if !c.Sender.Connected(w.peer) {
		return nil
	}
	a, err := c.Queries.Activation(ctx, version)
	if err != nil {
		return err
	}
	o, err := c.offer(ctx, a)
	if err != nil {
		return err
	}
	original, err := c.Queries.Job(ctx, w.original)
	if err != nil {
		return err
	}
	peer, err := c.Peers.Peer(ctx, w.peer)
	if err != nil {
		return err
	}
	return c.try(ctx, o, peer, original, w.claimed)
}
