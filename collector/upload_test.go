package collector_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobs"
)

func TestUploadIsJudged(t *testing.T) {
	for name, c := range map[string]struct {
		bytes   string
		status  jobs.Status
		outcome hooks.Outcome
		code    errs.Code
	}{
		"new fields":        {`{"Extra":"x"}`, jobs.Succeeded, hooks.OutcomeReceived, ""},
		"no field":          {`{}`, jobs.Succeeded, hooks.OutcomeEmpty, ""},
		"undeclared":        {`{"Other":"x"}`, jobs.Failed, hooks.OutcomeFailed, errs.CodeResultUndeclared},
		"exists already":    {`{"Signal":"x"}`, jobs.Failed, hooks.OutcomeFailed, errs.CodeResultUndeclared},
		"wrong type":        {`{"Number":"x"}`, jobs.Failed, hooks.OutcomeFailed, errs.CodeResultFieldType},
		"not canonical":     {`{"Extra": "x"}`, jobs.Failed, hooks.OutcomeFailed, errs.CodeBadInput},
		"nothing":           {``, jobs.Failed, hooks.OutcomeFailed, errs.CodeBadInput},
		"not JSON":          {"\xff", jobs.Failed, hooks.OutcomeFailed, errs.CodeBadInput},
		"key written twice": {`{"Extra":"x","Extra":"x"}`, jobs.Failed, hooks.OutcomeFailed, errs.CodeBadInput},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			v := w.activate(version{maxResult: 64})
			j := w.asked(w.peer())
			u, err := w.c.NewUpload(w.ctx, j.PeerID, j.ID)
			w.ok(err)
			w.ok(u.Write([]byte(c.bytes)))
			u.Denied = 2
			got, err := u.Commit(w.ctx)
			w.ok(err)
			if got.Status != c.status || got.Outcome != c.outcome || got.FailedCode != string(c.code) {
				t.Fatalf("ended %s %q %q: %s", got.Status, got.Outcome, got.FailedCode, got.FailedText)
			}
			if got.Denied != 2 || w.job(j.ID).Denied != 2 {
				t.Fatalf("%d calls denied", got.Denied)
			}
			w.wantJob(j.ID, c.status, c.outcome, c.code)
			_, err = w.db.Result(w.ctx, j.ID)
			if shows := err == nil; shows != (c.outcome == hooks.OutcomeReceived) {
				t.Fatalf("the result shows: %v", shows)
			}
			if l := w.activation(v).Ledger; l.Leased != 0 || l.Reserved != 0 {
				t.Fatalf("ledger %+v", l)
			}
			w.consistent(true)
		})
	}
}

// TestAFieldOfTheReportIsNotNew declares a field that the report has.
func TestAFieldOfTheReportIsNotNew(t *testing.T) {
	w := newWorld(t)
	peer := w.peer()
	w.activate(version{})
	r := report("/usr/bin/crasher")
	r["Extra"] = "the reporter was faster"
	original, _, err := w.c.FileReport(w.ctx, peer, newID(), r)
	w.ok(err)
	w.ok(w.c.MatchOriginal(w.ctx, original))
	j, err := w.upload(w.line.jobs(peer)[0], map[string]any{"Extra": "x"}, 100)
	w.ok(err)
	w.wantJob(j.ID, jobs.Failed, hooks.OutcomeFailed, errs.CodeResultFieldExists)
}

func TestUploadIsRefused(t *testing.T) {
	w := newWorld(t)
	peer, other := w.peer(), w.peer()
	w.activate(version{})
	original := w.file(peer)
	w.ok(w.c.MatchOriginal(w.ctx, original))
	j := w.line.jobs(peer)[0]
	var texts []string
	for _, c := range []struct{ peer, job string }{
		{other, j.ID}, {peer, newID()}, {peer, original.ID}, {peer, ""}, {peer, "../x"}, {"", j.ID},
	} {
		_, err := w.c.NewUpload(w.ctx, c.peer, c.job)
		w.wantCode(err, errs.CodeNotFound)
		texts = append(texts, err.Error())
		_, err = w.c.Finish(w.ctx, c.peer, c.job, collector.End{Outcome: hooks.OutcomeEmpty})
		w.wantCode(err, errs.CodeNotFound)
		texts = append(texts, err.Error())
		err = w.c.Acked(w.ctx, c.peer, c.job)
		w.wantCode(err, errs.CodeNotFound)
		texts = append(texts, err.Error())
	}
	for _, text := range texts {
		if text != texts[0] {
			t.Fatalf("%q tells more than %q", text, texts[0])
		}
	}

	u, err := w.c.NewUpload(w.ctx, peer, j.ID)
	w.ok(err)
	_, err = w.c.NewUpload(w.ctx, peer, j.ID)
	w.wantCode(err, errs.CodeUnavailable)
	w.wantCode(u.Write(make([]byte, collector.MaxChunkBytes+1)), errs.CodeTooLarge)
	u.Abort(w.ctx)
	u.Abort(w.ctx)
	u, err = w.c.NewUpload(w.ctx, peer, j.ID)
	w.ok(err)
	u.Abort(w.ctx)
}

func TestASecondAnswerGetsTheFirstDecision(t *testing.T) {
	w := newWorld(t)
	v := w.activate(version{quantity: 5})
	j := w.asked(w.peer())
	first, err := w.upload(j, map[string]any{"Extra": "first"}, 100)
	w.ok(err)
	for range 2 {
		again, err := w.upload(j, map[string]any{"Extra": "second"}, 100)
		w.ok(err)
		if again.Outcome != hooks.OutcomeReceived || again.Bytes != first.Bytes {
			t.Fatalf("again: %+v", again)
		}
		again, err = w.c.Finish(w.ctx, j.PeerID, j.ID, collector.End{Outcome: hooks.OutcomeFailed, Code: "hook-error", Reason: "late"})
		w.ok(err)
		if again.Outcome != hooks.OutcomeReceived {
			t.Fatalf("again: %+v", again)
		}
	}
	r, err := w.db.Result(w.ctx, j.ID)
	w.ok(err)
	if string(r.Fields) != `{"Extra":"first"}` || w.activation(v).Ledger.Received != 1 {
		t.Fatalf("result %s", r.Fields)
	}

	j = w.asked(w.peer())
	_, err = w.c.Finish(w.ctx, j.PeerID, j.ID, collector.End{Outcome: hooks.OutcomeFailed, Code: "limit-time", Reason: "it ran too long"})
	w.ok(err)
	again, err := w.upload(j, map[string]any{"Extra": "after all"}, 100)
	w.ok(err)
	if again.FailedCode != "limit-time" {
		t.Fatalf("again: %+v", again)
	}
	w.consistent(true)
}

func TestAnAnswerTooLateHasTimedOut(t *testing.T) {
	w := newWorld(t)
	w.activate(version{})
	a, b, c := w.asked(w.peer()), w.asked(w.peer()), w.asked(w.peer())
	u, err := w.c.NewUpload(w.ctx, c.PeerID, c.ID)
	w.ok(err)
	w.ok(u.Write([]byte(`{"Extra":"x"}`)))
	w.clock.add(jobs.DefaultDeadline)

	_, err = w.upload(a, map[string]any{"Extra": "x"}, 100)
	w.ok(err)
	_, err = w.c.Finish(w.ctx, b.PeerID, b.ID, collector.End{Outcome: hooks.OutcomeEmpty})
	w.ok(err)
	_, err = u.Commit(w.ctx)
	w.ok(err)
	for _, j := range []jobs.Job{a, b, c} {
		w.wantJob(j.ID, jobs.Failed, hooks.OutcomeTimedOut, errs.CodeTimedOut)
	}
	w.consistent(true)
}

func TestFinishIsChecked(t *testing.T) {
	w := newWorld(t)
	w.activate(version{})
	j := w.asked(w.peer())
	for _, c := range []struct {
		outcome hooks.Outcome
		code    string
	}{
		{hooks.OutcomeReceived, ""},
		{hooks.OutcomeCancelled, "x"},
		{hooks.OutcomeTimedOut, "x"},
		{"", "x"},
		{hooks.OutcomeEmpty, "x"},
		{hooks.OutcomeFailed, ""},
		{hooks.OutcomeRefused, "Not-Kebab"},
		{hooks.OutcomeRefused, "two words"},
		{hooks.OutcomeDeferred, "-x"},
		{hooks.OutcomeFailed, strings.Repeat("a", 65)},
	} {
		_, err := w.c.Finish(w.ctx, j.PeerID, j.ID, collector.End{Outcome: c.outcome, Code: c.code})
		w.wantCode(err, errs.CodeBadInput)
	}
	_, err := w.c.Finish(w.ctx, j.PeerID, j.ID, collector.End{
		Outcome: hooks.OutcomeFailed, Code: "hook-error", Reason: "a\x1b[31mb\xff" + strings.Repeat("é", 400),
		HookError: "line 3\n" + strings.Repeat("é", 200), Denied: 1 << 40,
	})
	w.ok(err)
	got := w.job(j.ID)
	if got.Denied != 5000 || len(got.FailedText) > 500 || len(got.HookError) > 200 ||
		strings.ContainsAny(got.FailedText+got.HookError, "\x1b\n") || !utf8.ValidString(got.FailedText+got.HookError) {
		t.Fatalf("stored %q and %q", got.FailedText, got.HookError)
	}
}

func TestResultTooLong(t *testing.T) {
	w := newWorld(t)
	v := w.activate(version{maxResult: 64})
	j := w.asked(w.peer())
	_, err := w.upload(j, map[string]any{"Extra": strings.Repeat("x", 65)}, 10)
	w.wantCode(err, errs.CodeResultTooBig)
	w.wantJob(j.ID, jobs.Failed, hooks.OutcomeFailed, errs.CodeResultTooBig)
	if a := w.activation(v); a.State != hooks.StateActive || a.Ledger.Reserved != 0 {
		t.Fatalf("activation %+v", a)
	}
	again, err := w.upload(j, map[string]any{"Extra": "x"}, 10)
	w.ok(err)
	if again.FailedCode != string(errs.CodeResultTooBig) {
		t.Fatalf("again: %+v", again)
	}
	w.consistent(true)
}

func TestExpiryBySize(t *testing.T) {
	w := newWorld(t)
	v := w.activate(version{maxBytes: 100, maxResult: 64, quantity: 10})
	_, err := w.upload(w.asked(w.peer()), map[string]any{"Extra": strings.Repeat("x", 50)}, 10)
	w.ok(err)
	if a := w.activation(v); a.State != hooks.StateActive {
		t.Fatalf("activation %+v", a)
	}
	other := w.asked(w.peer())
	j := w.asked(w.peer())
	_, err = w.upload(j, map[string]any{"Extra": strings.Repeat("y", 50)}, 10)
	w.wantCode(err, errs.CodeBytesReached)
	w.wantJob(j.ID, jobs.Failed, hooks.OutcomeFailed, errs.CodeBytesReached)
	if a := w.activation(v); a.State != hooks.StateExpired || a.Reason != string(errs.CodeBytesReached) || a.Ledger.Bytes != 62 {
		t.Fatalf("activation %+v", a)
	}
	// What is on its way may still come, within the bounds.
	_, err = w.upload(other, map[string]any{"Extra": "z"}, 10)
	w.ok(err)
	w.wantJob(other.ID, jobs.Succeeded, hooks.OutcomeReceived, "")
	w.consistent(true)
}

func TestExpiryBySizeToTheByte(t *testing.T) {
	w := newWorld(t)
	v := w.activate(version{maxBytes: 64, maxResult: 64, quantity: 10})
	_, err := w.upload(w.asked(w.peer()), map[string]any{"Extra": strings.Repeat("x", 52)}, 10)
	w.ok(err)
	if a := w.activation(v); a.State != hooks.StateExpired || a.Reason != string(errs.CodeBytesReached) || a.Ledger.Bytes != 64 {
		t.Fatalf("activation %+v", a)
	}
}

// TestOthersReservationsOnlyMakeWait holds for an upload of many chunks, which
// reserves, and for one of a single chunk, which does not.
func TestOthersReservationsOnlyMakeWait(t *testing.T) {
	for _, chunk := range []int{10, 100} {
		t.Run(fmt.Sprintf("chunks of %d", chunk), func(t *testing.T) {
			w := newWorld(t)
			v := w.activate(version{maxBytes: 100, maxResult: 64, quantity: 10})
			a, b := w.asked(w.peer()), w.asked(w.peer())
			first := w.half(a, 60)

			before := w.clock.Now()
			_, err := w.upload(b, map[string]any{"Extra": strings.Repeat("y", 40)}, chunk)
			w.wantCode(err, errs.CodeRateLimited)
			if waited := w.clock.Now().Sub(before); waited < 5*time.Second || waited > 7*time.Second {
				t.Fatalf("it waited %s", waited)
			}
			if got := w.activation(v); got.State != hooks.StateActive || got.Ledger.Reserved != 60 {
				t.Fatalf("activation %+v", got)
			}
			w.wantJob(b.ID, jobs.Pending, "", "")

			first.Abort(w.ctx) // gives back what it had
			_, err = w.upload(b, map[string]any{"Extra": strings.Repeat("y", 40)}, chunk)
			w.ok(err)
			w.consistent(true)
		})
	}
}

// half starts an upload that has reserved n bytes.
func (w *world) half(j jobs.Job, n int) *collector.Upload {
	w.Helper()
	u, err := w.c.NewUpload(w.ctx, j.PeerID, j.ID)
	w.ok(err)
	w.ok(u.Write([]byte("x")))
	if l := w.activation(j.Version).Ledger; l.Reserved != 0 {
		w.Fatalf("one chunk has reserved %d bytes", l.Reserved)
	}
	w.ok(u.Write([]byte(strings.Repeat("x", n-1))))
	return u
}

// TestAWaitIsNoExtension: who waited past the deadline has timed out.
func TestAWaitIsNoExtension(t *testing.T) {
	w := newWorld(t)
	w.activate(version{maxBytes: 100, maxResult: 64})
	a, b := w.asked(w.peer()), w.asked(w.peer())
	defer w.half(a, 60).Abort(w.ctx)
	w.clock.add(jobs.DefaultDeadline - time.Second)
	got, err := w.upload(b, map[string]any{"Extra": strings.Repeat("y", 40)}, 100)
	w.ok(err)
	if got.Outcome != hooks.OutcomeTimedOut {
		t.Fatalf("it ended %+v", got)
	}
	w.wantJob(b.ID, jobs.Failed, hooks.OutcomeTimedOut, errs.CodeTimedOut)
}

func TestWaitEndsWithTheStream(t *testing.T) {
	w := newWorld(t)
	w.c.Wait = nil
	w.activate(version{maxBytes: 100, maxResult: 64})
	a, b := w.asked(w.peer()), w.asked(w.peer())
	defer w.half(a, 60).Abort(w.ctx)
	ctx, cancel := context.WithTimeout(w.ctx, 50*time.Millisecond)
	defer cancel()
	_, err := upload(ctx, w.c, b, map[string]any{"Extra": strings.Repeat("y", 40)}, 10)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
}

// TestABrokenUploadIsTakenUp: what a crashed server left reserved is used up
// first, not reserved again.
func TestABrokenUploadIsTakenUp(t *testing.T) {
	w := newWorld(t)
	v := w.activate(version{maxBytes: 64, maxResult: 64})
	j := w.asked(w.peer())
	w.half(j, 50)

	w.c = w.collector() // the server was killed and started again
	w.ok(w.c.Recover(w.ctx))
	if l := w.activation(v).Ledger; l.Reserved != 50 {
		t.Fatalf("ledger %+v", l)
	}
	_, err := w.upload(j, map[string]any{"Extra": strings.Repeat("y", 52)}, 10)
	w.ok(err)
	if l := w.activation(v).Ledger; l.Reserved != 0 || l.Bytes != 64 || l.Received != 1 {
		t.Fatalf("ledger %+v", l)
	}
	w.consistent(true)
}

func TestExpiryByQuantity(t *testing.T) {
	w := newWorld(t)
	v := w.activate(version{quantity: 2})
	for range 2 {
		_, err := w.upload(w.asked(w.peer()), map[string]any{"Extra": "x"}, 100)
		w.ok(err)
	}
	if a := w.activation(v); a.State != hooks.StateExpired || a.Reason != string(errs.CodeQuantityReached) {
		t.Fatalf("activation %+v", a)
	}
}

func TestTooManyFailuresPause(t *testing.T) {
	w := newWorld(t)
	v := w.activate(version{quantity: 1})
	for i := 0; w.activation(v).State == hooks.StateActive; i++ {
		if i > 20 {
			t.Fatal("it is not paused")
		}
		j := w.asked(w.peer())
		_, err := w.c.Finish(w.ctx, j.PeerID, j.ID, collector.End{Outcome: hooks.OutcomeFailed, Code: "hook-error"})
		w.ok(err)
	}
	if a := w.activation(v); a.State != hooks.StatePaused || a.Reason != string(errs.CodeErrorRate) || a.Ledger.Issued != 13 {
		t.Fatalf("activation %+v", a)
	}
	w.consistent(true)
}

// TestSixteenUploadsAtOnce races for the last places and the last bytes.
func TestSixteenUploadsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.c.Wait = func(context.Context, time.Duration) error {
		w.clock.add(10 * time.Millisecond)
		time.Sleep(time.Millisecond) // lets the others go on
		return nil
	}
	v := w.activate(version{quantity: 16, maxBytes: 16 * 40, maxResult: 64})
	var all []jobs.Job
	for range 16 {
		all = append(all, w.asked(w.peer()))
	}
	var received, cut atomic.Int64
	var wg sync.WaitGroup
	for _, j := range all {
		wg.Go(func() {
			for {
				got, err := upload(w.ctx, w.c, j, map[string]any{"Extra": strings.Repeat("x", 45)}, 7)
				switch {
				case errs.Is(err, errs.CodeRateLimited):
					continue // the peer tries again
				case errs.Is(err, errs.CodeBytesReached):
					cut.Add(1)
				case err != nil:
					t.Errorf("upload: %v", err)
				case got.Outcome == hooks.OutcomeReceived:
					received.Add(1)
				}
				return
			}
		})
	}
	wg.Wait()
	// 57 bytes each: eleven fit into 640.
	if a := w.activation(v); received.Load() != 11 || cut.Load() != 5 || a.Ledger.Bytes != 11*57 || a.State != hooks.StateExpired {
		t.Fatalf("%d received, %d cut, activation %+v", received.Load(), cut.Load(), a)
	}
	w.consistent(true)
}

// TestSixteenReportsAtOnce races for fewer places than reports.
func TestSixteenReportsAtOnce(t *testing.T) {
	w := newWorld(t)
	v := w.activate(version{quantity: 5})
	var originals []jobs.Job
	for range 16 {
		originals = append(originals, w.file(w.peer()))
	}
	var wg sync.WaitGroup
	for _, original := range originals {
		for range 2 { // each twice
			wg.Go(func() {
				if err := w.c.MatchOriginal(w.ctx, original); err != nil {
					t.Errorf("match: %v", err)
				}
			})
		}
	}
	wg.Wait()
	w.ok(w.c.Sweep(w.ctx)) // what lost to a twin has another turn
	if l := w.activation(v).Ledger; l.Leased != 5 {
		t.Fatalf("ledger %+v", l)
	}
	for _, original := range originals {
		if got := w.line.jobs(original.PeerID); len(got) > 1 {
			t.Fatalf("peer %s was asked %d times", original.PeerID, len(got))
		}
	}
	w.consistent(true)
}

// TestOneAnswerOfMany races all ways in which one job can end.
func TestOneAnswerOfMany(t *testing.T) {
	w := newWorld(t)
	w.activate(version{quantity: 100})
	j := w.asked(w.peer())
	var wg sync.WaitGroup
	var outcomes sync.Map
	for i := range 16 {
		wg.Go(func() {
			var got jobs.Job
			var err error
			if i%2 == 0 {
				got, err = upload(w.ctx, w.c, j, map[string]any{"Number": i}, 3)
			} else {
				got, err = w.c.Finish(w.ctx, j.PeerID, j.ID, collector.End{Outcome: hooks.OutcomeFailed, Code: "hook-error"})
			}
			if errs.Is(err, errs.CodeUnavailable) {
				return // another upload is under way
			}
			if err != nil {
				t.Errorf("answer %d: %v", i, err)
			}
			outcomes.Store(got.Outcome, true)
		})
	}
	wg.Wait()
	n := 0
	outcomes.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Fatalf("the peer was told %d outcomes", n)
	}
	w.consistent(true)
}
