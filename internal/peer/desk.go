package peer

import (
	"context"
	"sync"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/guardwire"
	"hookline/internal/jobpb"
)

// Bounds of what is kept in memory. What does not fit is dropped: the guard
// says it again.
const (
	maxFiles   = 16 // reports of up to 1 MiB
	maxUploads = 16
	maxNotes   = 64 // acknowledgements, claims and refusals that wait for the stream
	maxEnds    = 64
	maxRunning = 8         // jobs of the server that the guard has
	forgetJob  = time.Hour // after its deadline, should the guard never end it
)

// desk is what is under way between the guard and the server. It outlives
// sessions.
type desk struct {
	ready   chan struct{}             // closed when the first state is there
	files   *queue[guardwire.File]    // reports
	uploads *queue[guardwire.Message] // ends with new fields
	wake    chan struct{}             // something for the stream's sender
	mu      sync.Mutex
	state   *guardwire.State
	changed bool // the state, since the last hello
	notes   []*jobpb.PeerMessage
	ends    map[string]*end      // ends without fields, until they are settled
	running map[string]time.Time // job id → deadline
}

// end is one job's end and whether this session has said it.
type end struct {
	msg  *jobpb.PeerMessage
	said bool
}

func newDesk() *desk {
	return &desk{
		ready: make(chan struct{}), wake: make(chan struct{}, 1),
		files: newQueue[guardwire.File](maxFiles), uploads: newQueue[guardwire.Message](maxUploads),
		ends: map[string]*end{}, running: map[string]time.Time{},
	}
}

// take sorts in one message of the guard.
func (d *desk) take(m guardwire.Message) error {
	switch m.Kind {
	case guardwire.KindState:
		d.setState(m.State)
	case guardwire.KindFile:
		d.files.add(m.File.ID, *m.File)
	case guardwire.KindAck:
		d.note(&jobpb.PeerMessage{Body: &jobpb.PeerMessage_Ack{Ack: &jobpb.Ack{JobId: m.JobID}}})
	case guardwire.KindClaim:
		d.note(&jobpb.PeerMessage{Body: &jobpb.PeerMessage_Claim{
			Claim: &jobpb.Claim{Version: m.Claim.Version, OriginalId: m.Claim.OriginalID},
		}})
	case guardwire.KindFinish:
		d.finish(m)
	default:
		return errs.New(errs.CodeBadInput, "the guard may not say %s", m.Kind).At("kind")
	}
	return nil
}

func (d *desk) setState(s *guardwire.State) {
	d.mu.Lock()
	first := d.state == nil
	d.state, d.changed = s, true
	d.mu.Unlock()
	if first {
		close(d.ready)
	}
	d.wakeUp()
}

func (d *desk) wakeUp() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// note queues a message that is said once.
func (d *desk) note(m *jobpb.PeerMessage) {
	d.mu.Lock()
	if len(d.notes) < maxNotes {
		d.notes = append(d.notes, m)
	}
	d.mu.Unlock()
	d.wakeUp()
}

func (d *desk) finish(m guardwire.Message) {
	d.mu.Lock()
	delete(d.running, m.JobID)
	if m.Finish.Outcome != hooks.OutcomeReceived && d.ends[m.JobID] == nil && len(d.ends) < maxEnds {
		d.ends[m.JobID] = &end{msg: finished(m.JobID, m.Code, m.Reason, *m.Finish)}
	}
	d.mu.Unlock()
	if m.Finish.Outcome == hooks.OutcomeReceived {
		d.uploads.add(m.JobID, m)
		return
	}
	d.wakeUp()
}

func finished(job, code, reason string, f guardwire.Finish) *jobpb.PeerMessage {
	return &jobpb.PeerMessage{Body: &jobpb.PeerMessage_Finished{Finished: &jobpb.Finished{
		JobId: job, Outcome: string(f.Outcome), Code: code,
		Reason: jobpb.Printable(reason, maxReason), HookError: f.HookError, Denied: uint32(f.Denied),
	}}}
}

// hello is the first message of a new stream, in which every open end is said
// again. Acknowledgements and claims of the stream before are forgotten: the
// server does not wait for the ones, and the guard repeats the others.
func (d *desk) hello(version string) *jobpb.PeerMessage {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.changed, d.notes = false, nil
	for _, e := range d.ends {
		e.said = false
	}
	return &jobpb.PeerMessage{Body: &jobpb.PeerMessage_Hello{Hello: &jobpb.Hello{
		Protocol: jobpb.Protocol, PredicateLevel: hooks.PredicateLevel, Version: version, State: d.wireState(),
	}}}
}

func (d *desk) wireState() *jobpb.State {
	f := d.state.Facts
	return &jobpb.State{
		Facts:       &jobpb.Facts{Os: f.OS, Release: f.Release, Kernel: f.Kernel, Arch: f.Arch},
		SendReports: d.state.SendReports, AllowHooks: d.state.AllowHooks,
	}
}

// say returns what the stream has to say now.
func (d *desk) say() []*jobpb.PeerMessage {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []*jobpb.PeerMessage
	if d.changed {
		d.changed = false
		out = append(out, &jobpb.PeerMessage{Body: &jobpb.PeerMessage_State{State: d.wireState()}})
	}
	out = append(out, d.notes...) // an acknowledgement goes before its job's end
	d.notes = nil
	for _, e := range d.ends {
		if !e.said {
			e.said = true
			out = append(out, e.msg)
		}
	}
	return out
}

// settled forgets an end; false where there is none of that job, so that a
// server cannot end what the guard has not ended.
func (d *desk) settled(job string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.ends[job]
	delete(d.ends, job)
	return ok
}

// start notes a job that goes to the guard. The code says why it may not,
// "again" that the guard has it already.
func (d *desk) start(job string, deadline, now time.Time) (code errs.Code, again bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.running[job]; ok {
		return "", true
	}
	for id, t := range d.running {
		if now.After(t.Add(forgetJob)) {
			delete(d.running, id)
		}
	}
	if len(d.running) >= maxRunning {
		return errs.CodePeerBusy, false
	}
	d.running[job] = deadline
	return "", false
}

func (d *desk) isRunning(job string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.running[job]
	return ok
}

// queue is a bounded line of things to deliver, each under its id once.
type queue[T any] struct {
	limit int
	wake  chan struct{}
	mu    sync.Mutex
	order []string
	items map[string]T
}

func newQueue[T any](limit int) *queue[T] {
	return &queue[T]{limit: limit, wake: make(chan struct{}, 1), items: map[string]T{}}
}

func (q *queue[T]) add(id string, item T) {
	q.mu.Lock()
	if _, ok := q.items[id]; !ok && len(q.items) < q.limit {
		q.items[id] = item
		q.order = append(q.order, id)
	}
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// head waits for the first of the line, which stays there.
func (q *queue[T]) head(ctx context.Context) (string, T, error) {
	for {
		q.mu.Lock()
		if len(q.order) > 0 {
			id := q.order[0]
			item := q.items[id]
			q.mu.Unlock()
			return id, item, nil
		}
		q.mu.Unlock()
		select {
		case <-q.wake:
		case <-ctx.Done():
			var none T
			return "", none, ctx.Err()
		}
	}
}

// pass takes the head away, or puts it to the end where it is to be tried again.
func (q *queue[T]) pass(id string, again bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.order) == 0 || q.order[0] != id {
		return
	}
	q.order = q.order[1:]
	if again {
		q.order = append(q.order, id)
		return
	}
	delete(q.items, id)
}
