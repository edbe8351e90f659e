package guard

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/guardwire"
)

// Whatever the network side writes, the guard ends the link, changes nothing
// and serves the next one.
func TestHostileFrames(t *testing.T) {
	raw := func(body string) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
	}
	for _, tc := range []struct {
		name string
		b    []byte
	}{
		{"no frame", []byte("GET / HTTP/1.1\r\n\r\n")},
		{"a huge frame", []byte{0xff, 0xff, 0xff, 0xff}},
		{"an empty frame", []byte{0, 0, 0, 0}},
		{"not JSON", raw("hello")},
		{"an unknown kind", raw(`{"kind":"exec"}`)},
		{"an unknown key", raw(`{"kind":"connected","more":1}`)},
		{"a key twice", raw(`{"kind":"connected","kind":"connected"}`)},
		{"the guard's own kind", raw(`{"kind":"ack","job_id":"01935b1e-0000-7000-8000-000000000000"}`)},
		{"a claim to the guard", raw(`{"kind":"claim","claim":{"version":"x","original_id":"y"}}`)},
		{"a state to the guard", raw(`{"kind":"state","state":{"facts":{"os":"","release":"","kernel":"","arch":""},"send_reports":true,"allow_hooks":"yes"}}`)},
		{"trust without a body", raw(`{"kind":"trust"}`)},
		{"trust with a job", raw(`{"kind":"trust","job_id":"x","trust":{"bundle":""}}`)},
		{"a run without a body", raw(`{"kind":"run","job_id":"01935b1e-0000-7000-8000-000000000000"}`)},
		{"a job id that is a path", raw(`{"kind":"run","job_id":"../../state","run":{"original_id":"x","deadline":"2026-11-02T09:00:00Z","statement":"","script":"","signatures":null}}`)},
		{"a job id in capitals", raw(`{"kind":"run","job_id":"01935B1E-0000-7000-8000-000000000000","run":{"original_id":"x","deadline":"2026-11-02T09:00:00Z","statement":"","script":"","signatures":null}}`)},
		{"deep JSON", raw(strings.Repeat("[", 100_000))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := newKit(t)
			g := k.optedIn(HooksNo)
			ours, theirs := net.Pipe()
			defer theirs.Close()
			ended := make(chan error, 1)
			go func() { ended <- g.Serve(t.Context(), guardwire.NewConn(ours)) }()
			go func() { _, _ = io.Copy(io.Discard, theirs) }()
			// The guard may hang up in the middle.
			_, _ = theirs.Write(tc.b)
			if strings.HasPrefix(tc.name, "no frame") {
				theirs.Close()
			}
			select {
			case err := <-ended:
				if err == nil {
					t.Error("the link ended in order")
				}
			case <-time.After(10 * time.Second):
				t.Fatal("the link did not end")
			}
			if c := g.config; c.AllowHooks != HooksNo || len(g.ledger.now.Versions) != 0 {
				t.Errorf("config %+v, state %+v", c, g.ledger.now)
			}
			id := file(t, g)
			if m := connect(t, g).await(guardwire.KindFile); m.File.ID != id {
				t.Errorf("the next link got %+v", m)
			}
		})
	}
}

// Answers for things that were never asked change nothing.
func TestAnswersToNothing(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksYes)
	original := file(t, g)
	s := connect(t, g)
	for _, kind := range []guardwire.Kind{guardwire.KindFiled, guardwire.KindFinished, guardwire.KindCancel} {
		for _, id := range []string{newID(t), "../pin.json", "x"} {
			s.write(guardwire.Message{Kind: kind, JobID: id, Code: "internal"})
		}
	}
	s.write(guardwire.Message{Kind: guardwire.KindDisconnected, Reason: "gone"})
	if end := func() guardwire.Message {
		s.write(guardwire.Message{Kind: guardwire.KindConnected})
		return s.end(k.run(original, nil))
	}(); end.Code != "" {
		t.Errorf("after all that: %s", end.Code)
	}
	if _, err := os.Stat(k.dir + "/pin.json"); err != nil {
		t.Error(err)
	}
}

// A report that the server refuses for good leaves the outbox, with a line.
func TestRefusedReport(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksNo)
	id := file(t, g)
	s := connect(t, g)
	s.await(guardwire.KindFile)
	s.write(guardwire.Message{Kind: guardwire.KindFiled, JobID: id, Code: "bad-report", Reason: "too \x1b[31mred"})
	eventually(t, "the outbox is empty", func() bool { return owner(t, g, guardwire.Request{Op: guardwire.OpStatus}).Status.Outbox == 0 })
	if e := lastEntry(t, g, KindAnswered); e.Code != "bad-report" || e.Decision != "refused" {
		t.Errorf("entry %+v", e)
	}
}

// A network side that reads nothing cannot hold the guard up.
func TestNetworkSideThatDoesNotRead(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksNo)
	ours, theirs := net.Pipe()
	defer theirs.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(ctx, guardwire.NewConn(ours)) }()
	conn := guardwire.NewConn(theirs)
	if err := conn.Write(guardwire.Message{Kind: guardwire.KindConnected}); err != nil {
		t.Fatal(err)
	}
	for range 3 * window {
		file(t, g)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}

// The ends of runs that nobody confirms are bounded, and the oldest go.
func TestFinishesAreBounded(t *testing.T) {
	g := newKit(t).enroll().open()
	g.outbox.maxCount = 5
	var ids []string
	for range 8 {
		ids = append(ids, newID(t))
		g.finish(guardwire.Message{Kind: guardwire.KindFinish, JobID: ids[len(ids)-1], Code: "no-match", Finish: &guardwire.Finish{Outcome: hooks.OutcomeRefused}})
	}
	if g.outbox.len() != 5 || g.outbox.has(ids[2]) || !g.outbox.has(ids[3]) {
		t.Errorf("%d kept", g.outbox.len())
	}
	if n := len(entries(t, g, KindDiscarded)); n != 3 {
		t.Errorf("%d lines about it", n)
	}
}

func FuzzNetworkFrames(f *testing.F) {
	k := newKit(f)
	g := k.optedIn(HooksYes)
	original := file(f, g)
	for _, m := range []guardwire.Message{
		{Kind: guardwire.KindConnected},
		{Kind: guardwire.KindRun, JobID: newID(f), Run: k.run(original, nil, k.alice)},
		{Kind: guardwire.KindFiled, JobID: original},
		{Kind: guardwire.KindTrust, Trust: &guardwire.Trust{Bundle: []byte(`{"roots":["e30="],"timestamp":"e30="}`)}},
	} {
		var b strings.Builder
		if err := guardwire.WriteFrame(&b, m); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(b.String()))
	}
	g.opts.Log = slog.New(slog.DiscardHandler)
	g.refusals.SetLimit(1e9)
	g.bundles.SetLimit(1e9)
	trusted := g.trusted
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = g.Serve(t.Context(), guardwire.NewConn(stream{strings.NewReader(string(b))}))
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.config.AllowHooks != HooksYes || len(g.ledger.now.Versions) != 0 || g.trusted != trusted {
			t.Fatal("frames changed what only the owner and people's signatures can")
		}
	})
}

// stream is a network side that only writes.
type stream struct{ io.Reader }

func (stream) Write(b []byte) (int, error) { return len(b), nil }
func (stream) Close() error                { return nil }

// A network side that dies at once is started again, and what it cannot say
// stays untold.
func TestNetworkSideIsRestarted(t *testing.T) {
	k := newKit(t)
	connected := make(chan struct{}, 10)
	k.enroll()
	opts := k.options()
	opts.OnConnected = func() { connected <- struct{}{} }
	g, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- g.Run(ctx, Child{Program: self, Args: []string{networkSideArg}, Dir: t.TempDir(), UID: -1, GID: -1, Stderr: nil})
	}()
	for range 3 {
		select {
		case <-connected:
		case <-time.After(20 * time.Second):
			t.Fatal("no network side came up")
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

const networkSideArg = "test-network-side"

// shortLife is a network side that connects, misbehaves and ends.
func shortLife() int {
	conn, err := guardwire.Inherited(3)
	if err != nil {
		return 1
	}
	if _, err := conn.Read(); err != nil {
		return 1
	}
	if err := conn.Write(guardwire.Message{Kind: guardwire.KindConnected}); err != nil {
		return 1
	}
	fmt.Fprintln(os.Stderr, errs.CodeInternal)
	return 3
}
