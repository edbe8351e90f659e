package collector_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobs"
)

// TestMain plays fewer orders than rapid would by itself: each is a database
// of its own. -rapid.checks asks for more.
func TestMain(m *testing.M) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "rapid.checks" })
	if !asked {
		_ = flag.Set("rapid.checks", "20")
	}
	os.Exit(m.Run())
}

// TestAnyOrderOfSteps plays random reports, activations, answers, kills and
// times on the real store. After each step the ledger sums and no bound is
// passed; after each recovery nothing is between two steps.
func TestAnyOrderOfSteps(t *testing.T) {
	dir, n := t.TempDir(), 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		var closers []func()
		defer func() {
			for _, f := range closers {
				f()
			}
		}()
		w := openWorld(rt, t.Context(), filepath.Join(dir, fmt.Sprintf("%d.db", n)), func(f func()) { closers = append(closers, f) })
		p := &player{world: w, rt: rt}
		p.peers = []string{w.peer(), w.peer(), w.peer()}
		rt.Repeat(map[string]func(*rapid.T){
			"":         p.check,
			"activate": p.activates,
			"disable":  p.disables,
			"report":   p.reports,
			"match":    p.matches,
			"hello":    p.hellos,
			"leave":    p.leaves,
			"ack":      p.acks,
			"finish":   p.finishes,
			"upload":   p.uploads,
			"claim":    p.claims,
			"kill":     p.kills,
			"restart":  p.restarts,
			"sweep":    p.sweeps,
			"wait":     p.waits,
		})
		p.settle()
	})
}

// player draws what happens next.
type player struct {
	*world
	rt     *rapid.T
	peers  []string
	filed  []jobs.Job
	active []string
	number int64
	killed bool // every further write fails until the restart
}

func (p *player) peerOf(rt *rapid.T) string { return rapid.SampledFrom(p.peers).Draw(rt, "peer") }

// may accepts refusals and the kill; any other error is a defect.
func (p *player) may(err error) {
	p.Helper()
	if errors.Is(err, errCrash) {
		return
	}
	if errs.Is(err, errs.CodeInternal) {
		p.Fatalf("unexpected: %v", err)
	}
}

func (p *player) check(*rapid.T) { p.consistent(false) }

func (p *player) activates(rt *rapid.T) {
	if len(p.active) >= 4 {
		rt.Skip("enough versions")
	}
	p.number++
	p.active = append(p.active, p.activate(version{
		number:    p.number,
		quantity:  rapid.Int64Range(1, 4).Draw(rt, "quantity"),
		maxBytes:  rapid.Int64Range(64, 150).Draw(rt, "bytes"),
		maxResult: 64,
		maxRuns:   rapid.Int64Range(1, 4).Draw(rt, "runs"),
		perMinute: rapid.Int64Range(1, 5).Draw(rt, "rate"),
		deadline:  time.Duration(rapid.IntRange(1, 20).Draw(rt, "minutes")) * time.Minute,
	}))
}

func (p *player) disables(rt *rapid.T) {
	if len(p.active) == 0 {
		rt.Skip("nothing is active")
	}
	v := rapid.SampledFrom(p.active).Draw(rt, "version")
	_, err := p.db.ChangeState(p.ctx, v, hooks.StateActive, hooks.StateDisabled, "a person said so", p.clock.Now())
	p.ok(err)
}

func (p *player) reports(rt *rapid.T) {
	if p.killed {
		rt.Skip("the server is down")
	}
	j, _, err := p.c.FileReport(p.ctx, p.peerOf(rt), newID(), report("/usr/bin/crasher"))
	p.may(err)
	if err == nil {
		p.filed = append(p.filed, j)
		p.may(p.c.MatchOriginal(p.ctx, j))
	}
}

func (p *player) original(rt *rapid.T) jobs.Job {
	if len(p.filed) == 0 {
		rt.Skip("no report yet")
	}
	return rapid.SampledFrom(p.filed).Draw(rt, "original")
}

func (p *player) matches(rt *rapid.T) { p.may(p.c.MatchOriginal(p.ctx, p.original(rt))) }

func (p *player) hellos(rt *rapid.T) {
	peer := p.peerOf(rt)
	p.hello(peer, rapid.SampledFrom([]string{"yes", "ask", "no"}).Draw(rt, "allows"))
	p.may(p.c.Resume(p.ctx, peer))
	p.may(p.c.MatchPeer(p.ctx, peer))
}

func (p *player) leaves(rt *rapid.T) { p.line.connect(p.peerOf(rt), false) }

// got is a job that some peer got at any time, decided or not.
func (p *player) got(rt *rapid.T) jobs.Job {
	all := p.line.jobs(p.peerOf(rt))
	if len(all) == 0 {
		rt.Skip("no job yet")
	}
	return rapid.SampledFrom(all).Draw(rt, "job")
}

func (p *player) acks(rt *rapid.T) {
	j := p.got(rt)
	p.may(p.c.Acked(p.ctx, j.PeerID, j.ID))
}

func (p *player) finishes(rt *rapid.T) {
	j := p.got(rt)
	o := rapid.SampledFrom([]hooks.Outcome{
		hooks.OutcomeEmpty, hooks.OutcomeFailed, hooks.OutcomeRefused, hooks.OutcomeDeferred,
	}).Draw(rt, "outcome")
	code := "hook-error"
	if o == hooks.OutcomeEmpty {
		code = ""
	}
	_, err := p.c.Finish(p.ctx, j.PeerID, j.ID, collector.End{Outcome: o, Code: code})
	p.may(err)
}

func (p *player) uploads(rt *rapid.T) {
	j := p.got(rt)
	text := strings.Repeat("x", rapid.IntRange(0, 70).Draw(rt, "length"))
	name := rapid.SampledFrom([]string{"Extra", "Extra", "Extra", "Other"}).Draw(rt, "field")
	if rapid.Bool().Draw(rt, "breaks off") {
		u, err := p.c.NewUpload(p.ctx, j.PeerID, j.ID)
		p.may(err)
		if err == nil {
			p.may(u.Write([]byte(text)))
			u.Abort(p.ctx)
		}
		return
	}
	_, err := p.upload(j, map[string]any{name: text}, rapid.IntRange(1, 80).Draw(rt, "chunk"))
	p.may(err)
}

func (p *player) claims(rt *rapid.T) {
	j := p.got(rt)
	p.may(p.c.Claim(p.ctx, j.PeerID, j.Version, j.OriginalID))
}

// kills lets the server make a few writes more.
func (p *player) kills(rt *rapid.T) {
	p.burn(rapid.IntRange(0, 8).Draw(rt, "writes"))
	p.killed = true
}

func (p *player) restarts(*rapid.T) {
	p.restart()
	p.killed = false
	p.consistent(true)
}

func (p *player) sweeps(*rapid.T) { p.may(p.c.Sweep(p.ctx)) }

func (p *player) waits(rt *rapid.T) {
	p.clock.add(time.Duration(rapid.SampledFrom([]int{1, 30, 90, 400}).Draw(rt, "seconds")) * time.Second)
}

// settle is the end: everything is over, and everything is counted.
func (p *player) settle() {
	p.restarts(p.rt)
	p.clock.add(time.Hour)
	p.ok(p.c.Sweep(p.ctx))
	p.consistent(true)
	for _, v := range p.active {
		a := p.activation(v)
		if a.Ledger.Leased != 0 || a.Ledger.Reserved != 0 || a.State == hooks.StateActive {
			p.Fatalf("after the end: %+v", a)
		}
	}
	p.noHiddenResults()
}

// noHiddenResults: every result belongs to a job that received it.
func (p *player) noHiddenResults() {
	list, err := p.db.Results(p.ctx, collector.ResultFilter{Limit: 200})
	p.ok(err)
	for _, r := range list {
		if j := p.job(r.ID); j.Outcome != hooks.OutcomeReceived || j.Bytes != r.Bytes {
			p.Fatalf("result of %+v", j)
		}
	}
}
