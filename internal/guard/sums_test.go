package guard

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"hookline/internal/errs"
	"hookline/internal/guardwire"
)

// refusal is a line as long as the longest that an unknown signer can cause.
func refusal(i int) Entry {
	code := errs.CodeSignerUnknown
	if i%4 == 0 {
		code = errs.CodeNoMatch
	}
	return Entry{
		Kind: KindDecision, Decision: "refused", Code: string(code), JobID: fmt.Sprintf("job-%d", i), Digest: fmt.Sprintf("%064d", i),
		Reason: fmt.Sprintf("%0500d", i),
	}
}

// floodRecord refuses jobs from one number up to another.
func floodRecord(t testing.TB, r *Record, from, to int) {
	t.Helper()
	r.saveEvery = time.Hour // not on disk each, for the test's sake
	for i := from; i < to; i++ {
		if err := r.AppendForeign(refusal(i)); err != nil {
			t.Fatal(err)
		}
	}
}

// allEntries are the lines of a record.
func allEntries(t testing.TB, r *Record) (out []Entry) {
	t.Helper()
	lines, more, err := r.Lines(0, "", 200<<20)
	if err != nil || more {
		t.Fatalf("lines: more %v, %v", more, err)
	}
	for _, line := range lines {
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func recordSize(t testing.TB, dir string) (size int64) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	return size
}

// A flood of refusals, with a restart in the middle, takes little room, loses
// no count, and leaves what was there before.
func TestFloodIsSummedUp(t *testing.T) {
	const flood = 100_000
	dir, c := t.TempDir(), &clock{now: start}
	open := func(known Head) *Record {
		r, err := OpenRecord(dir, known, c.Now)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		return r
	}
	r := open(Head{})
	if err := r.Append(Entry{Kind: KindOutcome, JobID: "ran", Fields: json.RawMessage(`{"Answer":"42"}`)}); err != nil {
		t.Fatal(err)
	}
	floodRecord(t, r, 0, flood/2)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open(r.Head())
	floodRecord(t, r, flood/2, flood)
	if n := len(allEntries(t, r)); n != 1+sumBurst {
		t.Errorf("%d lines before it is time to sum up", n)
	}
	c.advance(sumEvery)
	if err := r.SumUp(sumEvery); err != nil {
		t.Fatal(err)
	}
	lines := allEntries(t, r)
	if lines[0].JobID != "ran" || lines[1].JobID != "job-0" || lines[sumBurst].JobID != fmt.Sprintf("job-%d", sumBurst-1) {
		t.Errorf("the first lines are of %q, %q … %q", lines[0].JobID, lines[1].JobID, lines[sumBurst].JobID)
	}
	last := lines[len(lines)-1]
	if len(lines) != 2+sumBurst || last.Kind != KindSummed || len(last.Sums) != 2 {
		t.Fatalf("%d lines, the last %+v", len(lines), last)
	}
	for i, want := range []Sum{
		{Code: string(errs.CodeNoMatch), Count: flood/4 - sumBurst/4, First: fmt.Sprintf("job-%d", sumBurst), Last: fmt.Sprintf("job-%d", flood-4)},
		{Code: string(errs.CodeSignerUnknown), Count: 3 * (flood/4 - sumBurst/4), First: fmt.Sprintf("job-%d", sumBurst+1), Last: fmt.Sprintf("job-%d", flood-1)},
	} {
		want.Kind, want.Decision = KindDecision, "refused"
		if last.Sums[i] != want {
			t.Errorf("sum %+v, want %+v", last.Sums[i], want)
		}
	}
	if of, _, err := r.Lines(0, fmt.Sprintf("job-%d", flood-1), 1<<20); err != nil || len(of) != 1 {
		t.Errorf("%d lines name the last job, %v", len(of), err)
	}
	if size := recordSize(t, dir); size > 2<<20 {
		t.Errorf("the flood takes %d bytes", size)
	}
	if err := VerifyRecord(dir, r.Head()); err != nil {
		t.Error(err)
	}
}

// A day's flood is a small part of the record, whatever code and kind it has;
// the worst that can come has all of them.
func TestFloodOfADay(t *testing.T) {
	dir, c := t.TempDir(), &clock{now: start}
	r, err := OpenRecord(dir, Head{}, c.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	r.saveEvery = 100 * time.Hour
	kinds := []Entry{
		{Kind: KindDecision, Decision: "refused"},
		{Kind: KindDecision, Decision: "deferred"},
		{Kind: KindTrust, Decision: "refused"},
		{Kind: KindDiscarded},
		{Kind: KindNetwork},
	}
	for _, e := range kinds { // the burst is another matter
		r.tally.Budgets[e.Kind+"/"+e.Decision] = budget{At: c.Now()}
	}
	for i := range 24 * 60 {
		for n, e := range kinds {
			full := refusal(i)
			full.Kind, full.Decision, full.Code = e.Kind, e.Decision, fmt.Sprintf("some-code-of-%d", (i+n)%40)
			if err := r.AppendForeign(full); err != nil {
				t.Fatal(err)
			}
		}
		c.advance(time.Minute)
	}
	t.Logf("a day takes %d bytes", recordSize(t, dir))
	if size, most := recordSize(t, dir), int64((maxRecordFiles+1)*maxRecordBytes)/200; size > most {
		t.Errorf("a day's flood takes %d bytes, %d may be", size, most)
	}
}

// What a crash interrupts is told once: neither lost nor twice.
func TestSumsOutliveACrash(t *testing.T) {
	dir, c := t.TempDir(), &clock{now: start}
	open := func() *Record {
		r, err := OpenRecord(dir, Head{}, c.Now)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		return r
	}
	refuse := func(r *Record, n int) {
		for i := range n {
			if err := r.AppendForeign(refusal(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	counted := func(r *Record) (n int64) {
		for _, e := range allEntries(t, r) {
			for _, s := range e.Sums {
				n += s.Count
			}
		}
		return n
	}
	r := open()
	r.tally.Budgets["decision/refused"] = budget{At: c.Now()}
	refuse(r, 5)
	r.file.Close() // as kill -9: no Close
	r = open()
	refuse(r, 2)
	before, err := os.ReadFile(filepath.Join(dir, sumsName))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.SumUp(0); err != nil {
		t.Fatal(err)
	}
	if n := counted(r); n != 7 {
		t.Fatalf("%d were counted, 7 were refused", n)
	}
	// The crash comes between the line and the file.
	r.file.Close()
	if err := os.WriteFile(filepath.Join(dir, sumsName), before, 0o600); err != nil {
		t.Fatal(err)
	}
	r = open()
	if err := r.SumUp(0); err != nil {
		t.Fatal(err)
	}
	if n := counted(r); n != 7 {
		t.Errorf("%d are counted after the crash, 7 were refused", n)
	}
	// A damaged file is said to be one.
	r.file.Close()
	if err := os.WriteFile(filepath.Join(dir, sumsName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	lines := allEntries(t, open())
	if e := lines[len(lines)-1]; e.Kind != KindDamage || e.Code != string(errs.CodeBadInput) {
		t.Errorf("the last line is %+v", e)
	}
}

// Each kind has a budget of its own, and it fills up again.
func TestBudgets(t *testing.T) {
	ta := tally{Budgets: map[string]budget{}}
	for i := range sumBurst {
		if !ta.spend("decision/refused", start) {
			t.Fatalf("line %d is refused", i)
		}
	}
	for _, tc := range []struct {
		kind string
		at   time.Duration
		want bool
	}{
		{"decision/refused", 0, false},
		{"trust/refused", 0, true},
		{"decision/refused", sumRefill / 2, false},
		{"decision/refused", sumRefill, true},
		{"decision/refused", sumRefill, false},
		{"decision/refused", -sumRefill, false}, // a clock that is set back
	} {
		if got := ta.spend(tc.kind, start.Add(tc.at)); got != tc.want {
			t.Errorf("%s after %s: %v", tc.kind, tc.at, got)
		}
	}
}

// More codes than a line holds are counted together.
func TestSumsOfManyCodes(t *testing.T) {
	ta := tally{Budgets: map[string]budget{}}
	for i := range 100 {
		if err := ta.count(Entry{Kind: KindDecision, Decision: "refused", Code: fmt.Sprint("code-", i)}, start); err != nil {
			t.Fatal(err)
		}
	}
	last := ta.Sums[len(ta.Sums)-1]
	if len(ta.Sums) != maxSums+1 || last.Code != "" || last.Count != 100-maxSums {
		t.Errorf("%d sums, the last %+v", len(ta.Sums), last)
	}
}

// What a server sends through the guard is counted over the budget, is told
// its code all the same, and a run after that has its lines.
func TestGuardUnderFlood(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksYes)
	original := file(t, g)
	s := connect(t, g)
	g.record.mu.Lock()
	g.record.tally.Budgets["decision/refused"] = budget{Left: 2, At: k.clock.Now()}
	g.record.tally.Budgets["trust/refused"] = budget{At: k.clock.Now()}
	g.record.mu.Unlock()
	for range 5 {
		if end := s.end(k.run(original, nil, k.alice)); end.Code != string(errs.CodeThresholdNotMet) {
			t.Fatalf("the server is told %q", end.Code)
		}
	}
	s.write(guardwire.Message{Kind: guardwire.KindTrust, Trust: &guardwire.Trust{Bundle: []byte(`{}`)}})
	if end := s.end(k.run(original, nil)); end.Code != "" {
		t.Fatalf("the run ended with %s", end.Code)
	}
	var refused, ran int
	for _, e := range entries(t, g, KindDecision) {
		switch e.Decision {
		case "refused":
			refused++
		case "run":
			ran++
		}
	}
	if refused != 2 || ran != 1 || len(entries(t, g, KindOutcome)) != 1 || len(entries(t, g, KindTrust)) != 0 {
		t.Errorf("%d refused, %d ran", refused, ran)
	}
	k.clock.advance(sumPause)
	owner(t, g, guardwire.Request{Op: guardwire.OpLog})
	e := lastEntry(t, g, KindSummed)
	if len(e.Sums) != 2 || e.Sums[0].Count != 3 || e.Sums[0].Code != string(errs.CodeThresholdNotMet) || e.Sums[1].Kind != KindTrust || e.Sums[1].Count != 1 {
		t.Errorf("summed up as %+v", e.Sums)
	}
}
