package live

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/web/kit"
)

// writeTime is how long a browser may take to read what was sent.
const writeTime = 15 * time.Second

// How long a browser waits until it opens a stream again: not all at once
// after the server was away.
const (
	retryFirst  = time.Second
	retrySpread = 3 * time.Second
)

// Routes are the stream of events.
func Routes(k *kit.Kit, h *Hub) []kit.Route {
	page := func(r *kit.Request) (kit.Answer, error) {
		topics, err := topicsOf(r.URL.Query()["topic"])
		if err != nil {
			return k.Refusal(http.StatusBadRequest, "Not understood", err), nil
		}
		allowed := func(p auth.Principal) error { return allow(k.Gate, p, topics) }
		if err := allowed(r.Who); err != nil {
			return nil, err
		}
		s, err := h.follow(r.Who.User, topics, sinceOf(r.Request))
		if err != nil {
			return nil, err
		}
		check := func() error {
			now, err := k.Door.Still(r.Request)
			if err != nil {
				return err
			}
			if now.User != r.Who.User {
				return errs.New(errs.CodeUnauthenticated, "somebody else is signed in now")
			}
			return allowed(now)
		}
		return kit.Raw(func(w http.ResponseWriter, r *kit.Request) error {
			defer s.leave()
			s.serve(w, r.Request, check)
			return nil
		}), nil
	}
	return []kit.Route{{Method: http.MethodGet, Path: kit.StreamPath, Access: kit.SignedIn, Page: page}}
}

// sinceOf is from where the browser wants to know. One that comes back may
// have missed something: it is told that all has changed.
func sinceOf(r *http.Request) string {
	if r.Header.Get("Last-Event-ID") != "" {
		return "again"
	}
	return r.URL.Query().Get("since")
}

var grammar = regexp.MustCompile(`^(overview|reviews|peers|(problem|peer)/[0-9a-f]{32}|version/[0-9a-f]{64}|job/[0-9a-f-]{36}|hook/[a-z0-9][a-z0-9-]{0,63})$`)

// topicsOf checks what a stream wants to follow.
func topicsOf(asked []string) ([]string, error) {
	if len(asked) < 1 || len(asked) > MaxTopics {
		return nil, errs.New(errs.CodeBadInput, "a stream follows 1 to %d topics", MaxTopics).At("topic")
	}
	for _, t := range asked {
		if !grammar.MatchString(t) {
			return nil, errs.New(errs.CodeBadInput, "there is no such topic").At("topic")
		}
	}
	topics := slices.Clone(asked)
	slices.Sort(topics)
	return slices.Compact(topics), nil
}

// allow holds topics against what somebody may read.
func allow(g *auth.Gate, p auth.Principal, topics []string) error {
	for _, t := range topics {
		kind, _, _ := strings.Cut(t, "/")
		perm := auth.JobsRead
		switch kind {
		case "reviews", "version", "hook":
			perm = auth.HooksRead
		case "peers", "peer":
			perm = auth.PeersRead
		}
		if err := g.Allow(p, perm); err != nil {
			return err
		}
	}
	return nil
}

// serve writes events until the browser leaves, the session ends, the server
// stops or the stream is old.
func (s *stream) serve(w http.ResponseWriter, r *http.Request, check func() error) {
	pace := s.hub.pace
	out := newWriter(w, pace.Beat+writeTime)
	if !out.begin() {
		return
	}
	beat, life := time.NewTicker(pace.Beat), time.NewTimer(pace.Life)
	defer beat.Stop()
	defer life.Stop()
	var quiet <-chan time.Time // after an event, until there may be another
	for ok := true; ok; {
		wake := s.wake
		if quiet != nil {
			wake = nil
		}
		select {
		case <-r.Context().Done():
			return
		case <-s.hub.over:
			return
		case <-life.C:
			return
		case <-beat.C:
			if err := check(); errs.Is(err, errs.CodeUnauthenticated) {
				out.write("event: over\ndata: {}\n\n")
				return
			} else if err != nil {
				return // the browser asks again, and is told why
			}
			ok = out.write(":\n\n")
		case <-quiet:
			quiet = nil
		case <-wake:
			quiet = time.After(pace.Gap)
			ok = out.write(changedEvent(s.take()))
		}
	}
}

// changedEvent is one event; in JSON nothing that a topic says can begin
// another line.
func changedEvent(topics []string, mark string) string {
	data, err := json.Marshal(topics)
	if err != nil {
		data = []byte("[]")
	}
	return "id: " + mark + "\nevent: changed\ndata: " + string(data) + "\n\n"
}

// writer sends text at once, each within its time.
type writer struct {
	w       http.ResponseWriter
	control *http.ResponseController
	within  time.Duration
}

func newWriter(w http.ResponseWriter, within time.Duration) writer {
	return writer{w, http.NewResponseController(w), within}
}

// begin sends the head. The server's own time for a request is not for one
// that stays: each write has its own. Over HTTP/2 that time ends the stream
// also where nothing is written, so that it is longer than a beat.
func (w writer) begin() bool {
	h := w.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")          // a proxy in between must pass it on at once
	retry := retryFirst + rand.N(retrySpread) //nolint:gosec // no secret
	return w.write(fmt.Sprintf("retry: %d\n\n", retry.Milliseconds()))
}

// write is false where nobody reads any more.
func (w writer) write(text string) bool {
	_ = w.control.SetWriteDeadline(time.Now().Add(w.within)) // a test's recorder has none
	if _, err := w.w.Write([]byte(text)); err != nil {
		return false
	}
	return w.control.Flush() == nil
}
