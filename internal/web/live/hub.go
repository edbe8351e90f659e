package live

import (
	"crypto/rand"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"hookline/internal/errs"
)

// Caps of what is kept for open pages.
const (
	MaxStreams        = 500 // in all
	MaxStreamsPerUser = 20
	MaxTopics         = 16   // of one stream
	maxRemembered     = 8192 // topics whose last change is known
)

// Pace is how a stream goes; zero members mean the defaults.
type Pace struct {
	Beat time.Duration // between two signs of life, with each of which the server looks who is signed in; 15 s
	Gap  time.Duration // between two events; 1 s
	Life time.Duration // of a stream; the browser opens another; 10 min
}

func (p Pace) withDefaults() Pace {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&p.Beat, 15*time.Second)
	set(&p.Gap, time.Second)
	set(&p.Life, 10*time.Minute)
	return p
}

// Hub passes on what changed to the streams that follow it. Publish never
// waits: what a stream has not sent yet is a set of at most MaxTopics topics.
type Hub struct {
	pace  Pace
	epoch string // of this hub: marks of another one say nothing here
	over  chan struct{}

	mu     sync.Mutex
	topics map[string]*topic
	users  map[string]int // open streams
	open   int
	closed bool
	seq    uint64 // of changes
	floor  uint64 // changes up to it are forgotten
	last   map[string]uint64
}

// topic is what somebody follows.
type topic struct {
	streams map[*stream]struct{}
	told    bool // each of the streams has it among what it will send
}

// stream is one open page. Its members belong to the hub's lock.
type stream struct {
	hub     *Hub
	user    string
	topics  []string
	pending map[string]struct{}
	wake    chan struct{} // has room for one
}

// NewHub returns a hub without streams.
func NewHub(pace Pace) *Hub {
	return &Hub{
		pace: pace.withDefaults(), epoch: strings.ToLower(rand.Text()[:12]), over: make(chan struct{}),
		topics: map[string]*topic{}, users: map[string]int{}, last: map[string]uint64{},
	}
}

// Close ends all streams and takes no more. It may be called again.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.closed = true
		close(h.over)
	}
}

// Len is how many streams are open.
func (h *Hub) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open
}

// Publish says that things changed. It does not wait for anybody.
func (h *Hub) Publish(topics ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seq++
	for _, name := range topics {
		h.remember(name)
		t := h.topics[name]
		if t == nil || t.told {
			continue
		}
		for s := range t.streams {
			s.add(name)
		}
		t.told = true
	}
}

// remember keeps when a topic changed last, of so many that it is bounded.
func (h *Hub) remember(name string) {
	if len(h.last) >= maxRemembered {
		clear(h.last)
		h.floor = h.seq
	}
	h.last[name] = h.seq
}

// Mark is now, for a page that is about to be made: a stream that is opened
// with it tells what has changed since.
func (h *Hub) Mark() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mark()
}

func (h *Hub) mark() string { return h.epoch + "." + strconv.FormatUint(h.seq, 36) }

// follow opens a stream. since is a mark, "" is now: what changed after it is
// sent at once, and everything where the mark says nothing.
func (h *Hub) follow(user string, topics []string, since string) (*stream, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, errs.New(errs.CodeUnavailable, "the server stops").WithHint("load the page again in a moment")
	case h.open >= MaxStreams:
		return nil, errs.New(errs.CodeUnavailable, "%d pages are live already, and that is the most", MaxStreams).WithHint("load the page again to see what changed")
	case h.users[user] >= MaxStreamsPerUser:
		return nil, errs.New(errs.CodeRateLimited, "%d pages of yours are live already, and that is the most", MaxStreamsPerUser).WithHint("close some of them")
	}
	s := &stream{hub: h, user: user, topics: topics, pending: map[string]struct{}{}, wake: make(chan struct{}, 1)}
	h.open++
	h.users[user]++
	for _, name := range topics {
		t := h.topics[name]
		if t == nil {
			t = &topic{streams: map[*stream]struct{}{}}
			h.topics[name] = t
		}
		t.streams[s] = struct{}{}
		t.told = false
		if since != "" && h.changed(name, since) {
			s.add(name)
		}
	}
	return s, nil
}

// Changed reports whether a topic may have changed since a mark.
func (h *Hub) Changed(name, since string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed(name, since)
}

// changed reports whether a topic may have changed since a mark.
func (h *Hub) changed(name, since string) bool {
	epoch, digits, _ := strings.Cut(since, ".")
	seq, err := strconv.ParseUint(digits, 36, 64)
	return err != nil || epoch != h.epoch || seq < h.floor || h.last[name] > seq
}

func (s *stream) add(name string) {
	s.pending[name] = struct{}{}
	select {
	case s.wake <- struct{}{}:
	default: // it is woken already
	}
}

// take gives what is to be sent, in order, and the mark that goes with it.
func (s *stream) take() (topics []string, mark string) {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	topics = slices.Sorted(maps.Keys(s.pending))
	clear(s.pending)
	for _, name := range topics {
		h.topics[name].told = false
	}
	return topics, h.mark()
}

// leave closes the stream.
func (s *stream) leave() {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open--
	if h.users[s.user]--; h.users[s.user] == 0 {
		delete(h.users, s.user)
	}
	for _, name := range s.topics {
		t := h.topics[name]
		if delete(t.streams, s); len(t.streams) == 0 {
			delete(h.topics, name)
		}
	}
}
