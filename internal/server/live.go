package server

import (
	"context"
	"sync"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/jobs"
	"hookline/internal/web/live"
	"hookline/review"
	"hookline/store"
)

const (
	maxUnderWay   = 4096 // hook jobs whose original is remembered
	maxSuperseded = 1000 // active activations that are looked at for one that another supersedes
)

// told is the store, which says to open pages what was changed in it. Whoever
// changes something does it through told, so that no change is forgotten.
type told struct {
	store.Store
	hub      *live.Hub
	underWay *underWay
}

func newTold(db store.Store, hub *live.Hub) told { return told{db, hub, &underWay{}} }

// underWay remembers the topics of jobs that are out, since a store stamps
// them by their id alone. The zero value is ready.
type underWay struct {
	mu  sync.Mutex
	all map[string][]string
}

func (u *underWay) add(id string, topics []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.all == nil || len(u.all) >= maxUnderWay {
		u.all = map[string][]string{}
	}
	u.all[id] = topics
}

func (u *underWay) of(id string) []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if topics, ok := u.all[id]; ok {
		return topics
	}
	return []string{live.Job(id)}
}

func (u *underWay) remove(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.all, id)
}

// topicsOf are the topics of a job that is new or has ended.
func topicsOf(j jobs.Job) []string {
	topics := []string{live.Overview, live.Job(j.ID)}
	add := func(id string, topic func(string) string) {
		if id != "" {
			topics = append(topics, topic(id))
		}
	}
	add(j.PeerID, live.Peer)
	add(j.ProblemID, live.Problem)
	add(j.OriginalID, live.Job)
	add(j.Version, live.Version)
	add(j.Hook, live.Hook)
	return topics
}

// AddReport tells of a report that is new.
func (t told) AddReport(ctx context.Context, j jobs.Job, p collector.Problem) (bool, error) {
	created, err := t.Store.AddReport(ctx, j, p)
	if err == nil && created {
		t.hub.Publish(topicsOf(j)...)
	}
	return created, err
}

// Lease tells of a hook job.
func (t told) Lease(ctx context.Context, j jobs.Job, now time.Time) error {
	err := t.Store.Lease(ctx, j, now)
	if err == nil {
		t.underWay.add(j.ID, []string{live.Job(j.ID), live.Job(j.OriginalID)})
		t.hub.Publish(topicsOf(j)...)
	}
	return err
}

// MarkSent tells of a job that was sent.
func (t told) MarkSent(ctx context.Context, id string, now time.Time) (bool, error) {
	first, err := t.Store.MarkSent(ctx, id, now)
	if err == nil && first {
		t.hub.Publish(t.underWay.of(id)...)
	}
	return first, err
}

// MarkAcked tells of jobs that peers have.
func (t told) MarkAcked(ctx context.Context, acks []collector.Ack) error {
	err := t.Store.MarkAcked(ctx, acks)
	if err == nil {
		for _, a := range acks {
			t.hub.Publish(t.underWay.of(a.JobID)...)
		}
	}
	return err
}

// Settle tells of a hook job that ended.
func (t told) Settle(ctx context.Context, id string, d jobs.Decision, r *collector.Result, now time.Time) (collector.Settlement, error) {
	s, err := t.Store.Settle(ctx, id, d, r, now)
	t.settled(s, err)
	return s, err
}

// RecoverLease tells of a hook job that ended.
func (t told) RecoverLease(ctx context.Context, lost jobs.Job, now time.Time) (collector.Settlement, error) {
	s, err := t.Store.RecoverLease(ctx, lost, now)
	t.settled(s, err)
	return s, err
}

func (t told) settled(s collector.Settlement, err error) {
	if err == nil && s.OK {
		t.underWay.remove(s.Job.ID)
		t.hub.Publish(topicsOf(s.Job)...)
	}
}

// Mend does not say what it finished: the lists that people watch look anew.
func (t told) Mend(ctx context.Context, before time.Time, limit int) (int, error) {
	n, err := t.Store.Mend(ctx, before, limit)
	if n > 0 {
		t.hub.Publish(live.Overview, live.Reviews)
	}
	return n, err
}

// ChangeState tells of an activation that expired or was paused.
func (t told) ChangeState(ctx context.Context, version string, from, to hooks.State, reason string, now time.Time) (bool, error) {
	ok, err := t.Store.ChangeState(ctx, version, from, to, reason, now)
	if err == nil && ok {
		t.version(ctx, version)
	}
	return ok, err
}

// version tells of a version that people see otherwise now. The hook that it
// belongs to has to be looked up; where that fails its page stays as it is.
func (t told) version(ctx context.Context, digest string) {
	topics := []string{live.Overview, live.Reviews, live.Version(digest)}
	if life, err := t.Life(ctx, digest); err == nil {
		topics = append(topics, live.Hook(life.Version.Hook))
	}
	t.hub.Publish(topics...)
}

// AddVersion tells of a version that waits for reviewers.
func (t told) AddVersion(ctx context.Context, v review.Version, g auth.Grant) error {
	err := t.Store.AddVersion(ctx, v, g)
	if err == nil {
		t.hub.Publish(live.Overview, live.Reviews, live.Version(v.Digest), live.Hook(v.Hook))
	}
	return err
}

// AddReview tells of a reviewer's word.
func (t told) AddReview(ctx context.Context, r review.Review, from, to hooks.State, g auth.Grant) error {
	err := t.Store.AddReview(ctx, r, from, to, g)
	if err == nil {
		t.version(ctx, r.Version)
	}
	return err
}

// always is later than any deadline.
func always() time.Time { return time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC) }

// Activate tells of a version that became active, or has other bounds, and of
// the one that it supersedes.
func (t told) Activate(ctx context.Context, a hooks.Activation, from hooks.State, g auth.Grant) error {
	topics := []string{live.Overview, live.Reviews, live.Version(a.Digest), live.Hook(a.Hook)}
	if active, err := t.ActivePast(ctx, always(), maxSuperseded); err == nil {
		for _, other := range active {
			if other.Hook == a.Hook && other.Digest != a.Digest {
				topics = append(topics, live.Version(other.Digest))
			}
		}
	}
	err := t.Store.Activate(ctx, a, from, g)
	if err == nil {
		t.hub.Publish(topics...)
	}
	return err
}

// Stop tells of an activation that was disabled or paused.
func (t told) Stop(ctx context.Context, digest string, from, to hooks.State, reason string, at time.Time, g auth.Grant) error {
	err := t.Store.Stop(ctx, digest, from, to, reason, at, g)
	if err == nil {
		t.version(ctx, digest)
	}
	return err
}

// Revoke tells of a version that is closed for ever.
func (t told) Revoke(ctx context.Context, digest string, from hooks.State, reason string, at time.Time, g auth.Grant) error {
	err := t.Store.Revoke(ctx, digest, from, reason, at, g)
	if err == nil {
		t.version(ctx, digest)
	}
	return err
}

// AddComment tells of a comment.
func (t told) AddComment(ctx context.Context, c review.Comment, g auth.Grant) error {
	err := t.Store.AddComment(ctx, c, g)
	if err == nil {
		t.version(ctx, c.Version)
	}
	return err
}

// ResolveThread tells of a thread that is settled, or open again.
func (t told) ResolveThread(ctx context.Context, digest, id, by string, at time.Time, g auth.Grant) error {
	err := t.Store.ResolveThread(ctx, digest, id, by, at, g)
	if err == nil {
		t.version(ctx, digest)
	}
	return err
}

// AddPeer tells of a machine that enrolled.
func (t told) AddPeer(ctx context.Context, p enroll.Peer) error {
	err := t.Store.AddPeer(ctx, p)
	if err == nil {
		t.hub.Publish(live.Overview, live.Peers, live.Peer(p.ID))
	}
	return err
}

// Connect tells of a machine that is there.
func (t told) Connect(ctx context.Context, id, server string, h enroll.Hello, now time.Time) (int64, error) {
	epoch, err := t.Store.Connect(ctx, id, server, h, now)
	if err == nil {
		t.hub.Publish(live.Overview, live.Peers, live.Peer(id))
	}
	return epoch, err
}

// Disconnect tells of a machine that left.
func (t told) Disconnect(ctx context.Context, id string, epoch int64, now time.Time) (bool, error) {
	ok, err := t.Store.Disconnect(ctx, id, epoch, now)
	if err == nil && ok {
		t.hub.Publish(live.Overview, live.Peers, live.Peer(id))
	}
	return ok, err
}

// SetLabels tells of a machine's labels.
func (t told) SetLabels(ctx context.Context, id string, labels []string, g auth.Grant) error {
	err := t.Store.SetLabels(ctx, id, labels, g)
	if err == nil {
		t.hub.Publish(live.Peers, live.Peer(id))
	}
	return err
}
