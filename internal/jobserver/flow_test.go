package jobserver_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/guardwire"
	"hookline/internal/jobs"
	"hookline/internal/jobserver"
	"hookline/internal/peer"
)

// guard stands at the guard's end of the wire and notes what it hears.
type guard struct {
	*rig
	id   string
	conn *guardwire.Conn

	mu   sync.Mutex
	got  []guardwire.Message
	done chan error
}

func (r *rig) line() enroll.Line {
	return enroll.Line{
		Address: r.address, Deployment: deployment, SetupKey: r.key,
		RootDigest: r.feed.root, CADigest: r.ca.Digest(),
	}
}

// guarded enrolls a machine and runs its network side.
func (r *rig) guarded() *guard {
	r.Helper()
	dir := r.TempDir()
	e, err := peer.Enroll(r.Context(), r.line(), dir, "machine", "test")
	r.ok(err)
	conn, file, err := guardwire.Pair()
	r.ok(err)
	theirs, err := guardwire.FromFile(file)
	r.ok(err)
	g := &guard{rig: r, id: e.PeerID, conn: conn, done: make(chan error, 1)}
	go func() {
		g.done <- peer.Run(r.Context(), peer.Config{
			Dir: dir, Guard: theirs, Version: "test",
			Backoff: func() backoff.BackOff { return backoff.NewConstantBackOff(5 * time.Millisecond) },
		})
	}()
	go g.listen()
	r.Cleanup(func() {
		_ = conn.Close()
		if err := <-g.done; err != nil {
			r.Errorf("the network side ended with %v", err)
		}
	})
	g.say(guardwire.Message{Kind: guardwire.KindState, State: &guardwire.State{SendReports: true, AllowHooks: "yes"}})
	return g
}

func (g *guard) listen() {
	for {
		m, err := g.conn.Read()
		if err != nil {
			return
		}
		g.mu.Lock()
		g.got = append(g.got, m)
		g.mu.Unlock()
	}
}

func (g *guard) say(m guardwire.Message) {
	g.Helper()
	g.ok(g.conn.Write(m))
}

// heard lists the messages of a kind, in their order.
func (g *guard) heard(k guardwire.Kind) []guardwire.Message {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []guardwire.Message
	for _, m := range g.got {
		if m.Kind == k {
			out = append(out, m)
		}
	}
	return out
}

func (g *guard) waitFor(k guardwire.Kind, n int) []guardwire.Message {
	g.Helper()
	g.until(fmt.Sprintf("the guard hears %d × %s", n, k), func() bool { return len(g.heard(k)) >= n })
	return g.heard(k)
}

func (g *guard) fileReport(title string) string {
	g.Helper()
	f := report()
	f["Title"] = title
	id := newID()
	g.say(guardwire.Message{Kind: guardwire.KindFile, File: &guardwire.File{ID: id, Report: f}})
	return id
}

func TestNetworkSideFromReportToResult(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	version := r.activate()
	g := r.guarded()
	g.waitFor(guardwire.KindConnected, 1)
	small, large := g.fileReport("small"), g.fileReport(fmt.Sprintf("%0500000d", 1))
	g.waitFor(guardwire.KindFiled, 2)
	if r.job(large).Report["Title"] == "" || r.job(small).PeerID != g.id {
		t.Error("the reports are not there")
	}
	runs := g.waitFor(guardwire.KindRun, 2)
	for _, m := range runs {
		if hooks.Digest(m.Run.Statement) != version || len(m.Run.Script) == 0 || time.Until(m.Run.Deadline) <= 0 {
			t.Fatalf("the guard got %+v", m.Run)
		}
		g.say(guardwire.Message{Kind: guardwire.KindAck, JobID: m.JobID})
	}
	g.say(guardwire.Message{Kind: guardwire.KindFinish, JobID: runs[0].JobID, Finish: &guardwire.Finish{
		Outcome: hooks.OutcomeReceived, Fields: []byte(`{"Extra":"` + fmt.Sprintf("%0150000d", 7) + `"}`), Denied: 2,
	}})
	g.say(guardwire.Message{
		Kind: guardwire.KindFinish, JobID: runs[1].JobID, Code: "hook-error", Reason: "line 1",
		Finish: &guardwire.Finish{Outcome: hooks.OutcomeFailed, HookError: "attempt to index nil", Denied: 3},
	})
	g.waitFor(guardwire.KindFinished, 2)
	if got := r.results(); len(got) != 1 || got[0].ID != runs[0].JobID || got[0].Bytes != 150_012 {
		t.Errorf("results %+v", got)
	}
	if got := r.job(runs[0].JobID); got.Denied != 2 || got.Ending() != hooks.EndingSucceeded {
		t.Errorf("the job that brought something is %+v", got)
	}
	j := r.job(runs[1].JobID)
	if j.Status != jobs.Failed || j.FailedCode != "hook-error" || j.HookError == "" || j.Denied != 3 || j.AckedAt.IsZero() {
		t.Errorf("the failed job is %+v", j)
	}
	// The guard did not hear it and says it again: it hears the same again.
	g.say(guardwire.Message{Kind: guardwire.KindFinish, JobID: runs[1].JobID, Finish: &guardwire.Finish{Outcome: hooks.OutcomeEmpty}})
	if again := g.waitFor(guardwire.KindFinished, 3)[2]; again.Code != "hook-error" {
		t.Errorf("the second time: %+v", again)
	}
}

func TestRefusedReportIsAnswered(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	g := r.guarded()
	g.waitFor(guardwire.KindConnected, 1)
	g.say(guardwire.Message{Kind: guardwire.KindFile, File: &guardwire.File{ID: "not-an-id", Report: report()}})
	if m := g.waitFor(guardwire.KindFiled, 1)[0]; m.JobID != "not-an-id" || m.Code != string(errs.CodeBadReport) || m.Reason == "" {
		t.Errorf("the guard heard %+v", m)
	}
}

// A server that goes away in the middle gets every report once: what it had
// stored is not stored again, what it had not is sent again.
func TestRestartDeliversExactlyOnce(t *testing.T) {
	r := newRig(t, jobserver.Times{Stop: time.Millisecond})
	g := r.guarded()
	g.waitFor(guardwire.KindConnected, 1)
	want, connected := map[string]bool{}, 1
	for i := range 12 {
		want[g.fileReport(fmt.Sprint("before ", i))] = true
		if i%4 == 1 {
			r.stop()
			want[g.fileReport(fmt.Sprint("while down ", i))] = true
			r.start()
			connected++
			g.waitFor(guardwire.KindConnected, connected)
		}
	}
	// The guard repeats what it has not heard of, as the real one does.
	r.until("every report is answered", func() bool {
		filed := map[string]bool{}
		for _, m := range g.heard(guardwire.KindFiled) {
			if m.Code != "" {
				t.Fatalf("a report was refused: %+v", m)
			}
			filed[m.JobID] = true
		}
		return len(filed) == len(want)
	})
	all, err := r.db.Jobs(t.Context(), jobs.Filter{Workload: jobs.WorkReport, Limit: 200})
	r.ok(err)
	for _, j := range all {
		if !want[j.ID] {
			t.Errorf("report %s is stored twice or was never filed", j.ID)
		}
		delete(want, j.ID)
	}
	if len(want) > 0 {
		t.Errorf("%d reports are lost", len(want))
	}
	if got := g.heard(guardwire.KindDisconnected); len(got) < 3 || got[0].Code != string(errs.CodeUnavailable) {
		t.Errorf("the guard was not told of the breaks: %+v", got)
	}
	p, err := r.db.Problems(t.Context(), collector.ProblemFilter{Limit: 10})
	r.ok(err)
	if len(p) != 1 || p[0].Reports != int64(len(all)) {
		t.Errorf("the problem counts %+v, %d reports are stored", p, len(all))
	}
}

func TestEndsAreRepeatedOverRestart(t *testing.T) {
	r := newRig(t, jobserver.Times{Stop: time.Millisecond})
	r.activate()
	g := r.guarded()
	g.waitFor(guardwire.KindConnected, 1)
	g.fileReport("one")
	g.fileReport("two")
	runs := g.waitFor(guardwire.KindRun, 2)
	r.stop()
	g.say(guardwire.Message{Kind: guardwire.KindFinish, JobID: runs[0].JobID, Finish: &guardwire.Finish{
		Outcome: hooks.OutcomeReceived, Fields: []byte(`{"Extra":"x"}`),
	}})
	g.say(guardwire.Message{Kind: guardwire.KindFinish, JobID: runs[1].JobID, Finish: &guardwire.Finish{Outcome: hooks.OutcomeEmpty}})
	r.start()
	g.waitFor(guardwire.KindFinished, 2)
	if a, b := r.job(runs[0].JobID), r.job(runs[1].JobID); a.Outcome != hooks.OutcomeReceived || b.Outcome != hooks.OutcomeEmpty {
		t.Errorf("ended as %q and %q", a.Outcome, b.Outcome)
	}
}

func TestEnrollChecksTheServer(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	other := newRig(t, jobserver.Times{}) // the same deployment id, another CA: the man in the middle
	change := func(f func(*enroll.Line)) enroll.Line {
		l := r.line()
		f(&l)
		return l
	}
	for _, c := range []struct {
		name string
		line enroll.Line
		code errs.Code
	}{
		{"another CA pinned", change(func(l *enroll.Line) { l.CADigest = other.ca.Digest() }), errs.CodeServerIdentity},
		{"another server at the address", change(func(l *enroll.Line) { l.Address = other.address }), errs.CodeServerIdentity},
		{"another deployment", change(func(l *enroll.Line) { l.Deployment = "d-" + fmt.Sprintf("%032x", 1) }), errs.CodeServerIdentity},
		{"another root", change(func(l *enroll.Line) { l.RootDigest = hooks.Digest([]byte("x")) }), errs.CodeTrustRoot},
		{"a wrong setup key", change(func(l *enroll.Line) { l.SetupKey = enroll.NewSetupKey() }), errs.CodeEnrollRefused},
		{"nobody at the address", change(func(l *enroll.Line) { l.Address = "127.0.0.1:1" }), errs.CodeUnavailable},
		{"half a line", change(func(l *enroll.Line) { l.CADigest = "" }), errs.CodeEnrollLine},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := peer.Enroll(t.Context(), c.line, dir, "machine", "test")
			r.refused(err, c.code, "")
			conn, file, err := guardwire.Pair()
			r.ok(err)
			defer func() { _ = conn.Close() }()
			theirs, err := guardwire.FromFile(file)
			r.ok(err)
			go func() { _ = peer.Run(t.Context(), peer.Config{Dir: dir, Guard: theirs}) }()
			r.ok(conn.Write(guardwire.Message{Kind: guardwire.KindState, State: &guardwire.State{AllowHooks: "no"}}))
			if m, err := conn.Read(); err != nil || m.Code != string(errs.CodeNotEnrolled) {
				t.Errorf("the folder counts as enrolled: %+v, %v", m, err)
			}
		})
	}
	if p, err := other.db.Peers(t.Context(), "", 10); err != nil || len(p) > 0 {
		t.Errorf("the man in the middle got an enrolment: %v, %v", p, err)
	}
}

func TestEnrollAgainKeepsThePeer(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	dir := t.TempDir()
	first, err := peer.Enroll(t.Context(), r.line(), dir, "machine", "test")
	r.ok(err)
	second, err := peer.Enroll(t.Context(), r.line(), dir, "machine", "test")
	r.ok(err)
	if first.PeerID != second.PeerID || first.SPKI != second.SPKI || !bytes.Equal(first.Trust, r.feed.newest()) {
		t.Errorf("%+v and %+v", first, second)
	}
	elsewhere, err := peer.Enroll(t.Context(), r.line(), t.TempDir(), "machine", "test")
	r.ok(err)
	if elsewhere.PeerID == first.PeerID {
		t.Error("another key is the same peer")
	}
}
