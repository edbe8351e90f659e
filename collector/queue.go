package collector

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of what waits in memory. What is over them is not lost, only found
// again from the store.
const (
	maxQueue   = 4096
	maxBacklog = 5000 // of one version
	maxStamps  = 256  // of one write
	maxPutOff  = 1024 // tasks that wait for the store, and jobs in doubt
)

type taskKind int

const (
	taskOriginal taskKind = iota // match one new report
	taskPeer                     // a peer said hello
	taskVersion                  // a version became active
)

type task struct {
	kind taskKind
	id   string
}

// queue holds tasks for the workers, each once. It keeps ids, not reports,
// so that its memory is bounded by its length.
type queue struct {
	mu     sync.Mutex
	tasks  []task
	queued map[task]bool
	ready  chan struct{}
	full   bool   // a task was dropped since the last sweep
	off    []task // put off until the store is back
}

// add reports whether the task has a place.
func (q *queue) add(t task) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.queued[t] {
		return true
	}
	if len(q.tasks) >= maxQueue {
		q.full = true
		return false
	}
	if q.queued == nil {
		q.queued = map[task]bool{}
	}
	q.queued[t] = true
	q.tasks = append(q.tasks, t)
	q.wake()
	return true
}

// wake tells one waiting worker; the caller holds mu.
func (q *queue) wake() {
	select {
	case q.signal() <- struct{}{}:
	default:
	}
}

// signal makes the channel on first use; the caller holds mu.
func (q *queue) signal() chan struct{} {
	if q.ready == nil {
		q.ready = make(chan struct{}, 1)
	}
	return q.ready
}

// take returns the oldest task; where there is none, the channel that tells
// of the next.
func (q *queue) take() (task, bool, <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.tasks) == 0 {
		return task{}, false, q.signal()
	}
	t := q.tasks[0]
	q.tasks = q.tasks[1:]
	delete(q.queued, t)
	if len(q.tasks) > 0 {
		q.wake()
	}
	return t, true, nil
}

// putOff keeps a task for when the store is back.
func (q *queue) putOff(t task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case slices.Contains(q.off, t):
	case len(q.off) >= maxPutOff:
		q.full = true
	default:
		q.off = append(q.off, t)
	}
}

// bringBack queues what was put off.
func (q *queue) bringBack() {
	q.mu.Lock()
	off := q.off
	q.off = nil
	q.mu.Unlock()
	for _, t := range off {
		q.add(t)
	}
}

// markFull has the next sweep look into the store.
func (q *queue) markFull() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.full = true
}

// wasFull tells whether tasks were dropped since it was asked last.
func (q *queue) wasFull() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	full := q.full
	q.full = false
	return full
}

func (c *Collector) enqueue(t task) {
	if !c.queue.add(t) && t.kind == taskVersion {
		c.backlog.markStale(t.id)
	}
}

// candidate is an original that a version may be asked about.
type candidate struct {
	original string
	peer     string
	created  time.Time
	claimed  bool // the owner of the peer said yes
}

// backlog holds, per version, the originals that could not be asked when
// their turn came: rate reached, peer busy, all leases out. The sweep asks
// them, newest first, as room comes.
type backlog struct {
	mu    sync.Mutex
	piles map[string]*pile
}

type pile struct {
	waiting map[string]candidate // by original
	stale   bool                 // some were dropped: look into the store when these are done
}

func (b *backlog) pile(version string) *pile {
	if b.piles == nil {
		b.piles = map[string]*pile{}
	}
	p := b.piles[version]
	if p == nil {
		p = &pile{waiting: map[string]candidate{}}
		b.piles[version] = p
	}
	return p
}

// add reports whether all have a place; otherwise the sweep will look into
// the store for this version.
func (b *backlog) add(version string, all ...candidate) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pile(version)
	for _, c := range all {
		if len(p.waiting) >= maxBacklog {
			p.stale = true
			return false
		}
		c.claimed = c.claimed || p.waiting[c.original].claimed
		p.waiting[c.original] = c
	}
	return true
}

// claimed reports whether the owner's yes for an original waits.
func (b *backlog) claimed(version, original string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.piles[version]
	return p != nil && p.waiting[original].claimed
}

// rescan tells, once, that nothing waits any more but the store has to be
// looked into.
func (b *backlog) rescan(version string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.piles[version]
	if p == nil || !p.stale || len(p.waiting) > 0 {
		return false
	}
	delete(b.piles, version)
	return true
}

// markStale has the sweep look into the store for this version.
func (b *backlog) markStale(version string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pile(version).stale = true
}

// versions lists those that something waits for.
func (b *backlog) versions() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for v := range b.piles {
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}

// take empties a version's pile, newest first.
func (b *backlog) take(version string) (all []candidate, stale bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.piles[version]
	if p == nil {
		return nil, false
	}
	delete(b.piles, version)
	for _, c := range p.waiting {
		all = append(all, c)
	}
	newestFirst(all)
	return all, p.stale
}

func newestFirst(all []candidate) {
	slices.SortFunc(all, func(a, b candidate) int {
		if n := b.created.Compare(a.created); n != 0 {
			return n
		}
		return strings.Compare(b.original, a.original)
	})
}

// rates remembers the leases of the last minute per version, so that no
// minute has more than the rollout allows. It is this server's memory: after
// a restart the minute begins anew.
type rates struct {
	mu    sync.Mutex
	taken map[string][]time.Time
}

// take counts one lease where the minute has room.
func (r *rates) take(version string, perMinute int64, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	recent := r.recent(version, now)
	if int64(len(recent)) >= perMinute {
		return false
	}
	if r.taken == nil {
		r.taken = map[string][]time.Time{}
	}
	r.taken[version] = append(recent, now)
	return true
}

// giveBack undoes the last take: there was no lease.
func (r *rates) giveBack(version string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.taken[version]); n > 0 {
		r.taken[version] = r.taken[version][:n-1]
	}
}

// recent drops what is older than a minute; the caller holds mu.
func (r *rates) recent(version string, now time.Time) []time.Time {
	all := r.taken[version]
	i := 0
	for i < len(all) && now.Sub(all[i]) >= time.Minute {
		i++
	}
	if i == len(all) {
		delete(r.taken, version)
		return nil
	}
	return slices.Delete(all, 0, i)
}

// full reports whether the minute has no room.
func (r *rates) full(version string, perMinute int64, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	var n int64
	for _, t := range r.taken[version] {
		if now.Sub(t) < time.Minute {
			n++
		}
	}
	return n >= perMinute
}

// acks holds acknowledgements until they are stamped, in one write for all
// that wait.
type acks struct {
	mu      sync.Mutex
	waiting []Ack
	ready   chan struct{}
}

// add drops what is over maxQueue.
func (a *acks) add(ack Ack) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) >= maxQueue {
		return
	}
	a.waiting = append(a.waiting, ack)
	select {
	case a.signal() <- struct{}{}:
	default:
	}
}

// signal makes the channel on first use; the caller holds mu.
func (a *acks) signal() chan struct{} {
	if a.ready == nil {
		a.ready = make(chan struct{}, 1)
	}
	return a.ready
}

// take returns the oldest that wait, and the channel that tells of more once
// none does.
func (a *acks) take() ([]Ack, <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := min(len(a.waiting), maxStamps)
	some := a.waiting[:n:n]
	a.waiting = a.waiting[n:]
	return some, a.signal()
}

// idSet holds the jobs that somebody is busy with, so that nobody else is:
// two uploads of one job cannot mix their bytes, and a job that is being sent
// is not sent by a hello as well.
type idSet struct {
	mu  sync.Mutex
	ids map[string]bool
}

// lock reports whether the id was free.
func (s *idSet) lock(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids[id] {
		return false
	}
	if s.ids == nil {
		s.ids = map[string]bool{}
	}
	s.ids[id] = true
	return true
}

func (s *idSet) unlock(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ids, id)
}

// doubts holds jobs of which a store that was away has perhaps written one
// half: the sweep looks at their leases without waiting until they are old.
// What is over maxPutOff is found when it is.
type doubts struct {
	mu  sync.Mutex
	ids []string
}

func (d *doubts) add(ids ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range ids {
		if len(d.ids) < maxPutOff && !slices.Contains(d.ids, id) {
			d.ids = append(d.ids, id)
		}
	}
}

// take empties it.
func (d *doubts) take() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	ids := d.ids
	d.ids = nil
	return ids
}
