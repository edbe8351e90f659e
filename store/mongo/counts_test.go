package mongo

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"pgregory.net/rapid"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/internal/wiretest"
	"hookline/store"
)

var filedAt = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// aReport is one of a few problems' reports.
func aReport(id string, problem int, at time.Time) jobs.Job {
	r := hooks.Report{hooks.FieldExecutablePath: "/bin/" + strconv.Itoa(problem), hooks.FieldPackage: "p", hooks.FieldDate: id}
	fp := hooks.Fingerprint(r)
	return jobs.Job{
		ID: id, PeerID: "peer", Workload: jobs.WorkReport, Status: jobs.Succeeded, CreatedAt: at, CompletedAt: at,
		Fingerprint: fp, ProblemID: hooks.ProblemID(fp), Report: r,
	}
}

// checkCounts holds the problems against the reports that are stored, and demands
// that nothing is left to do.
func (d *DB) checkCounts(ctx context.Context) error {
	filed, err := list[filedJob](ctx, d, d.jobs, m{}, oldestFirst(), store.MaxRepair, filedFields())
	if err != nil {
		return err
	}
	problems, err := list[problemDoc](ctx, d, d.problems, m{}, oldestFirst(), store.MaxRepair, nil)
	if err != nil {
		return err
	}
	want, got := map[string]problemDoc{}, map[string]problemDoc{}
	for _, j := range filed {
		if j.Todo != "" {
			return fmt.Errorf("report %s is still to be counted", j.ID)
		}
		p, known := want[j.ProblemID]
		if !known || j.CreatedAt.Before(p.FirstSeen) {
			p.FirstSeen = j.CreatedAt
		}
		if j.CreatedAt.After(p.LastSeen) {
			p.LastSeen = j.CreatedAt
		}
		p.Reports++
		want[j.ProblemID] = p
	}
	for _, p := range problems {
		if len(p.Counting) > 0 || p.Package != "p" {
			return fmt.Errorf("problem %+v", p)
		}
		got[p.ID] = problemDoc{Reports: p.Reports, FirstSeen: p.FirstSeen, LastSeen: p.LastSeen}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("not what is stored (-want +got):\n%s", diff)
	}
	return nil
}

// mendAll mends until there is nothing left.
func (d *DB) mendAll(ctx context.Context, before time.Time) error {
	for {
		n, err := d.Mend(ctx, before, 3)
		if err != nil || n == 0 {
			return err
		}
	}
}

// TestCountsInAnyOrder plays senders and Mends, each of which goes on or stops
// after any of its commands while the others do, on servers whose clocks
// differ. In the end those that were left wake up.
func TestCountsInAnyOrder(t *testing.T) {
	d := opened(t, wiretest.Address(t), Options{})
	rapid.Check(t, func(t *rapid.T) {
		for _, c := range []*mongo.Collection{d.jobs, d.problems} {
			if _, err := c.DeleteMany(context.Background(), m{}); err != nil {
				t.Fatal(err)
			}
		}
		s := &stage{d: d, now: filedAt}
		play := []func(*rapid.T){s.file, s.stored, s.mend, s.mendWhole, s.step, s.step, s.step, s.step, s.finish, s.lose, s.later}
		for _, next := range rapid.SliceOfN(rapid.IntRange(0, len(play)-1), 15, 45).Draw(t, "play") {
			play[next](t)
		}
		s.end(t)
	})
}

// stage is who is under way, each with the steps that are left.
type stage struct {
	d      *DB
	now    time.Time
	filed  []jobs.Job
	actors [][]step
}

// clock is that of one of the servers.
func (s *stage) clock(t *rapid.T) time.Time {
	return s.now.Add(time.Duration(rapid.IntRange(-3, 3).Draw(t, "clock")) * time.Millisecond)
}

// file begins to send a report, sometimes one that was sent before.
func (s *stage) file(t *rapid.T) {
	var j jobs.Job
	if n := rapid.IntRange(-3, len(s.filed)-1).Draw(t, "report"); n >= 0 {
		j = s.filed[n]
		j.CreatedAt = s.clock(t)
	} else {
		j = aReport(strconv.Itoa(len(s.filed)), rapid.IntRange(0, 1).Draw(t, "problem"), s.clock(t))
		s.filed = append(s.filed, j)
	}
	f, err := s.d.newFiling(j, collector.ProblemOf(j))
	if err != nil {
		t.Fatal(err)
	}
	s.actors = append(s.actors, f.steps())
}

// stored sends a report and stops before it is counted.
func (s *stage) stored(t *rapid.T) {
	s.file(t)
	s.forward(t, len(s.actors)-1)
}

func (s *stage) mend(t *rapid.T) {
	c := s.d.newCountMend(s.clock(t).Add(time.Millisecond), rapid.IntRange(1, 4).Draw(t, "limit"))
	s.actors = append(s.actors, c.steps())
}

func (s *stage) mendWhole(t *rapid.T) {
	s.mend(t)
	s.whole(t, len(s.actors)-1)
}

func (s *stage) later(*rapid.T) { s.now = s.now.Add(time.Millisecond) }

// who is one of those under way, if there is any.
func (s *stage) who(t *rapid.T) (int, bool) {
	if len(s.actors) == 0 {
		return 0, false
	}
	return rapid.IntRange(0, len(s.actors)-1).Draw(t, "who"), true
}

func (s *stage) step(t *rapid.T) {
	if who, ok := s.who(t); ok {
		s.forward(t, who)
	}
}

func (s *stage) finish(t *rapid.T) {
	if who, ok := s.who(t); ok {
		s.whole(t, who)
	}
}

func (s *stage) lose(t *rapid.T) {
	if who, ok := s.who(t); ok {
		s.actors = slices.Delete(s.actors, who, who+1)
	}
}

func (s *stage) forward(t *rapid.T, who int) {
	steps := s.actors[who]
	if err := steps[0](context.Background()); err != nil {
		t.Fatal(err)
	}
	if s.actors[who] = steps[1:]; len(steps) == 1 {
		s.actors = slices.Delete(s.actors, who, who+1)
	}
}

func (s *stage) whole(t *rapid.T, who int) {
	for range len(s.actors[who]) {
		s.forward(t, who)
	}
}

func (s *stage) end(t *rapid.T) {
	ctx, late := context.Background(), s.now.Add(time.Hour)
	if err := s.d.mendAll(ctx, late); err != nil {
		t.Fatal(err)
	}
	for len(s.actors) > 0 {
		s.forward(t, rapid.IntRange(0, len(s.actors)-1).Draw(t, "who wakes up"))
	}
	// A Mend that woke up may have left tickets, which go when there is something to count again.
	for problem := range 2 {
		j := aReport("last "+strconv.Itoa(problem), problem, s.now)
		if _, err := s.d.AddReport(ctx, j, collector.ProblemOf(j)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.d.mendAll(ctx, late); err != nil {
		t.Fatal(err)
	}
	if err := s.d.checkCounts(ctx); err != nil {
		t.Fatal(err)
	}
}

// TestCountsBesideStalled plays what is rare in any order. Each name runs the
// next step of: s and r, who send the same report, filed at 5 ms, r again at
// 20 ms; o, another one of the same problem, filed at 1 ms; A and B, Mends of
// what was filed before 10 ms; C, one of what was filed before 3 ms;
// D, one that takes one report.
func TestCountsBesideStalled(t *testing.T) {
	const whole = 7
	mend := func(name string, steps int) string { return strings.Repeat(name, steps) }
	for name, play := range map[string]string{
		"a Mend whose mark is lost takes no ticket out":          "ss" + mend("B", 2) + mend("A", 3) + mend("B", 5) + mend("A", 4),
		"a Mend whose mark is lost clears nothing unseen":        "oos" + mend("A", 2) + mend("B", 2) + mend("A", 5),
		"a sender counts between a Mend's look and count":        "oos" + mend("A", 4) + "s" + mend("A", 3),
		"a sender stalls over a Mend":                            "s" + mend("A", whole) + "s",
		"one who sends again stalls over a Mend":                 "sr" + mend("A", whole) + "r",
		"a young ticket stays":                                   "sr" + mend("A", 6) + "o" + mend("C", whole) + "r",
		"a ticket stays whose report another Mend has to clear":  "ooss" + mend("D", whole),
		"a Mend stalls before it counts over another":            "oos" + mend("A", 4) + mend("B", whole) + mend("A", 3),
		"a Mend stalls before it reads over another":             "oos" + mend("A", 3) + mend("B", whole) + mend("A", 4),
		"a Mend stops before it forgets, and another comes past": "so" + mend("A", 6) + "o" + mend("B", whole),
	} {
		t.Run(name, func(t *testing.T) {
			d := opened(t, wiretest.Address(t), Options{})
			at := func(ms int) time.Time { return filedAt.Add(time.Duration(ms) * time.Millisecond) }
			steps := map[rune][]step{}
			for who, j := range map[rune]jobs.Job{'s': aReport("s", 0, at(5)), 'r': aReport("s", 0, at(20)), 'o': aReport("o", 0, at(1))} {
				f, err := d.newFiling(j, collector.ProblemOf(j))
				noError(t, err)
				steps[who] = f.steps()
			}
			for who, before := range map[rune]int{'A': 10, 'B': 10, 'C': 3} {
				steps[who] = d.newCountMend(at(before), 10).steps()
			}
			steps['D'] = d.newCountMend(at(10), 1).steps()
			for _, who := range play {
				noError(t, steps[who][0](t.Context()))
				steps[who] = steps[who][1:]
			}
			d.atRest(t, 1)
		})
	}
}

// atRest mends all, for which each problem has one more report, and holds the
// counts against what is stored.
func (d *DB) atRest(t *testing.T, problems int) {
	t.Helper()
	for problem := range problems {
		j := aReport("last "+strconv.Itoa(problem), problem, filedAt)
		_, err := d.AddReport(t.Context(), j, collector.ProblemOf(j))
		noError(t, err)
	}
	noError(t, d.mendAll(t.Context(), filedAt.Add(time.Hour)))
	noError(t, d.checkCounts(t.Context()))
}

// Senders, each of which sends twice, and Mends, all at once.
func TestMendBesideSenders(t *testing.T) {
	d := opened(t, wiretest.Address(t), Options{})
	var senders, menders sync.WaitGroup
	over := make(chan struct{})
	for i := range 8 {
		senders.Go(func() {
			for n := range 12 {
				j := aReport(fmt.Sprint(i/2, " ", n), n%2, filedAt.Add(time.Duration(n)*time.Millisecond))
				if _, err := d.AddReport(t.Context(), j, collector.ProblemOf(j)); err != nil {
					t.Error(err)
				}
			}
		})
		menders.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-over:
					return
				default:
				}
				if _, err := d.Mend(t.Context(), filedAt.Add(time.Duration(n%14)*time.Millisecond), 5); err != nil {
					t.Error(err)
				}
			}
		})
	}
	senders.Wait()
	close(over)
	menders.Wait()
	d.atRest(t, 2)
}

// A problem that has many reports to count takes no more: Mend counts them.
func TestStormIsLeftToMend(t *testing.T) {
	d := opened(t, wiretest.Address(t), Options{})
	tickets := make([]string, maxCounting-1)
	for i := range tickets {
		tickets[i] = "gone " + strconv.Itoa(i)
	}
	var all []jobs.Job
	for i := range 3 {
		all = append(all, aReport(strconv.Itoa(i), 0, filedAt.Add(time.Duration(i)*time.Second)))
	}
	add := func(j jobs.Job) {
		t.Helper()
		if _, err := d.AddReport(t.Context(), j, collector.ProblemOf(j)); err != nil {
			t.Fatal(err)
		}
	}
	reports := func(want int64) {
		t.Helper()
		if p, err := d.Problem(t.Context(), all[0].ProblemID); err != nil || p.Reports != want {
			t.Errorf("%d reports of %d, %v", p.Reports, want, err)
		}
	}
	add(all[0])
	_, err := d.problems.UpdateOne(t.Context(), byID(all[0].ProblemID),
		m{{Key: "$push", Value: m{{Key: "counting", Value: m{{Key: "$each", Value: tickets}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	add(all[1])
	add(all[2])
	add(all[2])
	reports(1)
	if n, err := d.Mend(t.Context(), all[2].CreatedAt, 10); err != nil || n != 2 {
		t.Errorf("%d counted, %v", n, err)
	}
	reports(2)
	add(all[2])
	reports(2) // the same again is no other report
	if n, err := d.Mend(t.Context(), all[2].CreatedAt.Add(time.Millisecond), 10); err != nil || n != 1 {
		t.Errorf("%d counted, %v", n, err)
	}
	reports(3)
}

// TestReportOfAnotherProblem: a job and its problem go together, as Mend has
// only the job.
func TestReportOfAnotherProblem(t *testing.T) {
	j := aReport("a", 0, filedAt)
	p := collector.ProblemOf(j)
	p.ID = "other"
	if _, err := opened(t, wiretest.Address(t), Options{}).AddReport(t.Context(), j, p); !errs.Is(err, errs.CodeBadInput) {
		t.Error(err)
	}
}

// Where a stop left the report uncounted Mend names the new problem by it.
func TestMendNamesTheProblem(t *testing.T) {
	d := opened(t, wiretest.Address(t), Options{})
	j := aReport("a", 0, filedAt)
	f, err := d.newFiling(j, collector.ProblemOf(j))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.store(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{0, 1, 0} { // the first is too young
		if n, err := d.Mend(t.Context(), filedAt.Add(time.Duration(i)*time.Millisecond), 10); err != nil || n != want {
			t.Errorf("%d mended, want %d, %v", n, want, err)
		}
	}
	got, err := d.Problem(t.Context(), j.ProblemID)
	if diff := cmp.Diff(collector.ProblemOf(j), got); err != nil || diff != "" {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	var doc bson.M
	if err := d.jobs.FindOne(t.Context(), byID("a")).Decode(&doc); err != nil || doc["todo"] != nil {
		t.Errorf("%v, %v", doc, err)
	}
}
