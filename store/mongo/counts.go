package mongo

import (
	"cmp"
	"context"
	"crypto/rand"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hookline/collector"
)

// maxStale is how many tickets of a problem one Mend looks at besides those of
// the reports that it found, from the oldest.
const maxStale = 50

// countMend counts the reports whose jobs still say "count", and clears that.
// Each report is counted once, however many senders and Mends are under way,
// and wherever they stop or stall:
//
// Whoever counts a report puts its id, the ticket, into its problem's
// "counting" in the same update, and does not count one whose ticket is there.
// So it could be counted twice only after its ticket was taken out (forget).
// By then its job has no todo any more, because a ticket was seen (clear), and
// two kinds of others may still believe that it has:
//
//   - A sender that stalled. With the ticket, the problem's "swept" went past
//     the time at which the report was filed, and a sender counts no report
//     that was filed before "swept".
//   - Another Mend that read the todo before it was cleared. To count and to
//     take tickets out both ask for the problem's "mender" to be the Mend's own
//     mark, which it sets before it reads any todo. So when a ticket goes, every
//     other Mend that set its mark before has lost it, and one that sets it
//     afterwards reads that there is no todo.
//
// And none is left out: a todo goes only after the ticket was seen, and while
// it is there, each later Mend comes back to it. Problems are never removed, so
// that one without a document has counted nothing: the Mend that makes it sets
// its mark with it, and any other that has not seen it finds it taken.
//
// The reads must see what the steps before them, and those of others that led
// to what they saw, have written: all goes through the primary, to and from a
// majority.
type countMend struct {
	d      *DB
	before time.Time // milliseconds
	limit  int
	mark   string // of this Mend alone

	found    []filedJob            // may have to be counted
	open     []filedJob            // still have to, as seen under the mark
	problems map[string]problemDoc // of found; those that exist
	counted  bool                  // something was, and problems is old
	done     []filedJob            // are counted, todo cleared
}

// filedJob is what a Mend has to know of a report job.
type filedJob struct {
	ID        string    `bson:"_id"`
	ProblemID string    `bson:"problem_id"`
	CreatedAt time.Time `bson:"created_at"`
	Todo      string    `bson:"todo"`
}

func filedFields() m {
	return m{{Key: "problem_id", Value: 1}, {Key: "created_at", Value: 1}, {Key: "todo", Value: 1}}
}

func (d *DB) mendCounts(ctx context.Context, before time.Time, limit int) (int, error) {
	c := d.newCountMend(before, limit)
	err := run(ctx, c.steps())
	return len(c.done), err
}

func (d *DB) newCountMend(before time.Time, limit int) *countMend {
	return &countMend{d: d, before: before.Truncate(time.Millisecond), limit: limit, mark: rand.Text()}
}

// steps are the parts in their order; after any of them it may stop.
func (c *countMend) steps() []step {
	return []step{c.find, c.stamp, c.look, c.readProblems, c.count, c.clear, c.forget}
}

// find lists reports that have to be counted, the oldest first.
func (c *countMend) find(ctx context.Context) (err error) {
	c.found, err = list[filedJob](ctx, c.d, c.d.jobs, todoBefore(todoCount, "created_at", c.before),
		m{{Key: "created_at", Value: 1}}, c.limit, filedFields())
	return err
}

// stamp sets the mark on their problems, as far as there are any.
func (c *countMend) stamp(ctx context.Context) error {
	if len(c.found) == 0 {
		return nil
	}
	_, err := c.d.problems.UpdateMany(ctx, among(c.problemIDs()), m{{Key: "$set", Value: m{{Key: "mender", Value: c.mark}}}})
	return c.d.failed(err)
}

// look reads, under the mark, which still have to be counted.
func (c *countMend) look(ctx context.Context) (err error) {
	if len(c.found) == 0 {
		return nil
	}
	c.open, err = list[filedJob](ctx, c.d, c.d.jobs, append(among(idsOf(c.found)), condition{Key: "todo", Value: todoCount}),
		oldestFirst(), len(c.found), filedFields())
	return err
}

// readProblems reads which tickets there are.
func (c *countMend) readProblems(ctx context.Context) error {
	ids := c.problemIDs()
	if len(ids) == 0 {
		return nil
	}
	docs, err := list[problemDoc](ctx, c.d, c.d.problems, among(ids), oldestFirst(), len(ids), m{{Key: "counting", Value: 1}})
	c.problems = map[string]problemDoc{}
	for _, doc := range docs {
		c.problems[doc.ID] = doc
	}
	return err
}

// count counts those that have no ticket, problem by problem. Where another
// Mend has come past, or one of them was counted meanwhile, that problem is
// left to the next Mend.
func (c *countMend) count(ctx context.Context) error {
	missing := map[string][]filedJob{}
	for _, j := range c.open {
		if !c.hasTicket(j) {
			missing[j.ProblemID] = append(missing[j.ProblemID], j)
		}
	}
	c.counted = len(missing) > 0
	for problem, list := range missing {
		if err := c.countAt(ctx, problem, list); err != nil {
			return err
		}
	}
	return nil
}

func (c *countMend) hasTicket(j filedJob) bool {
	return slices.Contains(c.problems[j.ProblemID].Counting, j.ID)
}

func (c *countMend) countAt(ctx context.Context, problem string, list []filedJob) error {
	ids := idsOf(list)
	byTime := func(a, b filedJob) int { return a.CreatedAt.Compare(b.CreatedAt) }
	first, last := slices.MinFunc(list, byTime), slices.MaxFunc(list, byTime)
	var p collector.Problem
	_, exists := c.problems[problem]
	if !exists {
		var err error
		if p, err = c.nameOf(ctx, first); err != nil {
			return err
		}
	}
	_, err := c.d.problems.UpdateOne(ctx, m{
		{Key: "_id", Value: problem},
		{Key: "mender", Value: c.mark}, // which a new document takes
		{Key: "counting", Value: m{{Key: "$nin", Value: ids}}},
	}, counted(p, ids, first.CreatedAt, last.CreatedAt), options.UpdateOne().SetUpsert(!exists))
	if duplicate(err) {
		return nil
	}
	return c.d.failed(err)
}

// nameOf is the problem that a report is the first of. A report that cannot be
// read names it by its fingerprint, and counts all the same.
func (c *countMend) nameOf(ctx context.Context, first filedJob) (collector.Problem, error) {
	doc, err := one[jobDoc](ctx, c.d, c.d.jobs, byID(first.ID))
	if err != nil {
		return collector.Problem{}, c.d.failed(err)
	}
	j, _ := doc.job()
	return collector.ProblemOf(j), nil
}

// clear takes the todo from those whose ticket is seen.
func (c *countMend) clear(ctx context.Context) error {
	if c.counted {
		if err := c.readProblems(ctx); err != nil {
			return err
		}
	}
	var seen []filedJob
	for _, j := range c.open {
		if c.hasTicket(j) {
			seen = append(seen, j)
		}
	}
	if len(seen) == 0 {
		return nil
	}
	if err := c.d.finished(ctx, c.d.jobs, idsOf(seen), todoCount); err != nil {
		return err
	}
	c.done = seen
	return nil
}

// forget takes out the tickets of those, and of others that a Mend has cleared
// and stopped. It is the last step, and the only one that may undo a ticket.
func (c *countMend) forget(ctx context.Context) error {
	gone := map[string][]string{}
	for _, j := range c.done {
		gone[j.ProblemID] = append(gone[j.ProblemID], j.ID)
	}
	if err := c.addStale(ctx, gone); err != nil || len(gone) == 0 {
		return err
	}
	var models []mongo.WriteModel
	for problem, ids := range gone {
		models = append(models, mongo.NewUpdateOneModel().
			SetFilter(m{{Key: "_id", Value: problem}, {Key: "mender", Value: c.mark}}).
			SetUpdate(m{{Key: "$pullAll", Value: m{{Key: "counting", Value: ids}}}, {Key: "$max", Value: m{{Key: "swept", Value: c.before}}}}))
	}
	_, err := c.d.problems.BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
	return c.d.failed(err)
}

// addStale adds tickets of jobs that have no todo any more, or do not exist.
// Those of young jobs stay: their senders may be under way.
func (c *countMend) addStale(ctx context.Context, gone map[string][]string) error {
	tickets := map[string]string{} // to their problems
	for id, p := range c.problems {
		rest := slices.DeleteFunc(slices.Clone(p.Counting), func(ticket string) bool { return slices.Contains(gone[id], ticket) })
		for _, ticket := range rest[:min(maxStale, len(rest))] {
			tickets[ticket] = id
		}
	}
	if len(tickets) == 0 {
		return nil
	}
	ids := keysOf(tickets)
	docs, err := list[filedJob](ctx, c.d, c.d.jobs, among(ids), oldestFirst(), len(ids), filedFields())
	if err != nil {
		return err
	}
	for _, j := range docs {
		if j.Todo == todoCount || !j.CreatedAt.Before(c.before) {
			delete(tickets, j.ID)
		}
	}
	for ticket, problem := range tickets {
		gone[problem] = append(gone[problem], ticket)
	}
	return nil
}

func (c *countMend) problemIDs() []string {
	ids := make([]string, 0, len(c.found))
	for _, j := range c.found {
		ids = append(ids, j.ProblemID)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func idsOf(list []filedJob) []string {
	ids := make([]string, len(list))
	for i, j := range list {
		ids[i] = j.ID
	}
	return ids
}

func keysOf[V any](of map[string]V) []string {
	ids := make([]string, 0, len(of))
	for id := range of {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, cmp.Compare[string])
	return ids
}
