package problems

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"hookline/collector"
	"hookline/internal/jobs"
)

// counted answers counts, and remembers what it was asked.
type counted struct {
	Store
	asked  int // spans
	day    map[int64]int64
	looked int64
	err    error
}

func (c *counted) CountJobs(_ context.Context, _ jobs.Filter, times []time.Time, _ int64) ([]int64, error) {
	var out []int64
	for _, t := range times[:len(times)-1] {
		out = append(out, c.day[t.Unix()])
	}
	c.asked += len(out)
	return out, c.err
}

func (c *counted) BusyProblems(context.Context, time.Time, time.Time, int64, int) ([]collector.ProblemCount, int64, error) {
	c.asked++
	return []collector.ProblemCount{{Reports: int64(c.asked)}}, c.looked, c.err
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestDays(t *testing.T) {
	times := days(noon.In(time.FixedZone("", -13*3600)), 30) // over the end of a February, from anywhere
	if len(times) != 31 || !times[29].Equal(noon.Truncate(24*time.Hour)) || !times[30].Equal(times[29].AddDate(0, 0, 1)) {
		t.Errorf("%v", times)
	}
	for i := 1; i < len(times); i++ {
		if times[i].Sub(times[i-1]) != 24*time.Hour {
			t.Errorf("%v to %v", times[i-1], times[i])
		}
	}
}

// TestDaysThatAreOverAreKept counts today alone while the others are known,
// and all of them when they are old, or of another kind.
func TestDaysThatAreOverAreKept(t *testing.T) {
	s, c := &counted{day: map[int64]int64{}}, &dayCounts{}
	of := func(f jobs.Filter, now time.Time, n int) []int64 {
		t.Helper()
		counts, err := c.of(t.Context(), s, f, now, n)
		if err != nil || len(counts) != n {
			t.Fatalf("%v %v", counts, err)
		}
		return counts
	}
	today, before := days(noon, 1)[0], days(noon, 2)[0]
	s.day[before.Unix()] = 7
	of(jobs.Filter{}, noon, 14)
	for _, step := range []struct {
		name  string
		f     jobs.Filter
		now   time.Time
		n     int
		asked int
		want  []int64 // the last two
	}{
		{"again", jobs.Filter{}, noon, 14, 1, []int64{7, 5}},
		{"fewer days", jobs.Filter{}, noon, 3, 1, []int64{7, 5}},
		{"more days", jobs.Filter{}, noon, 30, 30, []int64{7, 5}},
		{"of a problem", jobs.Filter{ProblemID: "a"}, noon, 14, 14, []int64{7, 5}},
		{"failed ones", jobs.Filter{Status: jobs.Failed}, noon, 14, 14, []int64{7, 5}},
		{"hook jobs", jobs.Filter{Workload: jobs.WorkHook}, noon, 14, 14, []int64{7, 5}},
		{"later", jobs.Filter{}, noon.Add(keepDay + time.Second), 14, 14, []int64{7, 5}},
		{"a clock that went back", jobs.Filter{}, noon.Add(-time.Hour), 14, 14, []int64{7, 5}},
		{"tomorrow", jobs.Filter{}, noon.Add(24 * time.Hour), 14, 14, []int64{5, 0}},
	} {
		s.day[today.Unix()] = 5
		s.asked = 0
		if got := of(step.f, step.now, step.n); s.asked != step.asked || !slices.Equal(got[step.n-2:], step.want) {
			t.Errorf("%s: asked for %d days, not %d; %v", step.name, s.asked, step.asked, got)
		}
	}
	for i := range 2 * maxKept {
		of(jobs.Filter{ProblemID: string(rune(i))}, noon, 2)
	}
	if len(c.kept) > maxKept {
		t.Errorf("%d counts are kept", len(c.kept))
	}
	s.err = errors.New("no disk")
	if _, err := c.of(t.Context(), s, jobs.Filter{PeerID: "x", ProblemID: "new"}, noon, 2); !errors.Is(err, s.err) {
		t.Errorf("an error: %v", err)
	}
}

// TestBusyProblemsAreKept keeps what was costly to count, for a while.
func TestBusyProblemsAreKept(t *testing.T) {
	s, c := &counted{}, &busyCounts{}
	of := func(until, now time.Time, asked int, what string) {
		t.Helper()
		s.asked = 0
		if _, _, err := c.of(t.Context(), s, noon.Add(-time.Hour), until, now, 10); err != nil || s.asked != asked {
			t.Errorf("%s: asked %d times, not %d: %v", what, s.asked, asked, err)
		}
	}
	s.looked = costly - 1
	of(noon, noon, 1, "few reports")
	of(noon, noon, 1, "few reports again")
	s.looked = costly
	goesOn := noon.Add(time.Hour)
	of(goesOn, noon, 1, "many reports")
	of(goesOn, noon.Add(keepBusy), 0, "many reports again")
	of(goesOn, noon.Add(keepBusy+1), 1, "after a while")
	of(goesOn, noon, 1, "a clock that went back")
	of(noon, noon, 1, "a span that is over")
	of(noon, noon.Add(keepWeek), 0, "a span that is over again")
	of(noon, noon.Add(keepWeek+1), 1, "a span that is over, much later")
	for i := range 3 * maxBusies {
		of(noon.Add(time.Duration(i+5)*time.Hour), noon, 1, "another span")
	}
	if len(c.kept) > maxBusies {
		t.Errorf("%d are kept", len(c.kept))
	}
}

// TestTimeline says what has been, and never a negative time.
func TestTimeline(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	at := func() time.Time {
		if r.IntN(3) == 0 {
			return time.Time{}
		}
		return noon.Add(time.Duration(r.IntN(100_000)-50_000) * time.Millisecond)
	}
	for range 2000 {
		j := jobs.Job{CreatedAt: noon, SentAt: at(), AckedAt: at(), CompletedAt: at(), Deadline: at(), Status: []jobs.Status{jobs.Pending, jobs.Failed, jobs.Succeeded}[r.IntN(3)]}
		steps := timeline(j, noon)
		if len(steps) != 4 {
			t.Fatalf("%v", steps)
		}
		for _, s := range steps {
			if s.At.IsZero() == (s.Note == "") || s.At.IsZero() && (s.Class != "" || s.After != "") || len(s.After) > 0 && s.After[0] == '-' {
				t.Fatalf("%+v of %+v", s, j)
			}
		}
	}
}

func TestCut(t *testing.T) {
	for _, test := range []struct {
		in   string
		n    int
		want string
	}{
		{"", 5, ""},
		{"abcde", 5, "abcde"},
		{"abcdef", 5, "abcd…"},
		{" a\n\tb  c ", 5, "a b c"},
		{"äöüßé", 5, "äöüßé"},
		{"äöüßéx", 5, "äöüß…"},
		{"\U0001f600\U0001f600\U0001f600", 2, "\U0001f600…"},
		{"aaaaaaaaaaaaaaaa\xff", 2, "a…"},
	} {
		if got := cut(test.in, test.n); got != test.want {
			t.Errorf("%q: %q", test.in, got)
		}
	}
}

// TestNewerVersionsComeFirst orders whatever reports say a version is.
func TestNewerVersionsComeFirst(t *testing.T) {
	want := []string{"2:1.0-1", "1.10-1", "1.9-1+b1", "1.9-1", "1.9~rc1-1", "not a version", "!", ""}
	got := slices.Clone(want)
	for i := range 50 {
		rand.New(rand.NewPCG(uint64(i), 0)).Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
		if slices.SortFunc(got, newer); !slices.Equal(got, want) {
			t.Fatalf("%q", got)
		}
	}
}
