package peer

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/guardwire"
	"hookline/internal/jobpb"
)

func TestFullJitterStaysInItsBounds(t *testing.T) {
	b := fullJitter()
	limit := time.Second
	for i := range 200 {
		d := b.NextBackOff()
		if d < 0 || d > limit+time.Millisecond {
			t.Fatalf("pause %d is %s, the bound %s", i, d, limit)
		}
		limit = min(2*limit, 30*time.Second)
	}
}

// pauses is a back-off without pauses that remembers what was asked of it.
type pauses struct {
	mu  sync.Mutex
	did []string
}

func (p *pauses) note(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.did = append(p.did, what)
}

func (p *pauses) Reset() { p.note("reset") }

func (p *pauses) NextBackOff() time.Duration {
	p.note("pause")
	return time.Millisecond
}

// first returns the first n that it did, once they are done.
func (p *pauses) first(n int) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.did[:min(n, len(p.did))])
}

// TestAWelcomeStartsTheBackOffAnew: pauses grow while no server answers, and
// are short again after one that welcomed, however briefly.
func TestAWelcomeStartsTheBackOffAnew(t *testing.T) {
	var calls atomic.Int64
	r := newRig(t, &thief{stream: func(g side) error {
		if calls.Add(1) == 3 {
			return greet(g) // and ends
		}
		return jobpb.Status(errs.New(errs.CodeUnavailable, "not yet"))
	}})
	p := &pauses{}
	r.runWith(p)
	for range 4 {
		r.hear(guardwire.KindDisconnected)
	}
	if got, want := p.first(5), []string{"pause", "pause", "reset", "pause", "pause"}; !slices.Equal(got, want) {
		t.Fatalf("the network side did %v, want %v", got, want)
	}
}

// TestAReportComesAgainUntilItIsTaken: a server that wants no more for now
// ends nothing, and the guard hears of the report only once it is stored.
func TestAReportComesAgainUntilItIsTaken(t *testing.T) {
	var tries atomic.Int64
	r := newRig(t, &thief{file: func(*jobpb.FileRequest) (*jobpb.FileReply, error) {
		if tries.Add(1) < 4 {
			return nil, jobpb.Status(errs.New(errs.CodeRateLimited, "too many reports"))
		}
		return &jobpb.FileReply{Created: true}, nil
	}})
	r.run()
	id := newID()
	r.say(guardwire.Message{Kind: guardwire.KindFile, File: &guardwire.File{ID: id, Report: hooks.Report{"Title": "x"}}})
	if m := r.hear(guardwire.KindFiled); m.JobID != id || m.Code != "" || tries.Load() != 4 {
		t.Errorf("after %d tries the guard heard %+v", tries.Load(), m)
	}
}
