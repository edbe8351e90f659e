package guard

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"hookline/internal/errs"

	"github.com/google/uuid"
)

// Bounds of the lines that the server or the network side alone can cause:
// of each kind sumBurst at once, then one more each sumRefill. What is over is
// counted, and told in one line each sumEvery. A flood needs most of a year to
// fill the record's files then, not a day; lines about what ran, what left and
// what people did are never counted only.
const (
	sumBurst  = 1_000
	sumRefill = time.Hour
	sumEvery  = 10 * time.Minute
	sumPause  = time.Minute // at least, where the owner looks
	maxSums   = 16          // in one line; what is over is counted under no code
	// maxSumsBytes bounds the file of the counts.
	maxSumsBytes = 1 << 20
)

// Sum is how many lines of one sort were counted and not written.
type Sum struct {
	Kind     string `json:"kind"`
	Decision string `json:"decision,omitempty"`
	Code     string `json:"code,omitempty"` // "" also stands for all codes that found no place
	Count    int64  `json:"count"`
	First    string `json:"first,omitempty"` // job id, or digest of a bundle
	Last     string `json:"last,omitempty"`
}

// tally counts the lines that are not written. It is on disk before its
// callers go on, so that a crash forgets none.
type tally struct {
	ID      string            `json:"id"` // of the line that will tell it
	Since   time.Time         `json:"since"`
	Sums    []Sum             `json:"sums"`
	Budgets map[string]budget `json:"budgets"`
}

// budget is how many lines of a kind may still be written. It fills up by the
// clock, whichever way that is set to at most the burst.
type budget struct {
	Left float64   `json:"left"`
	At   time.Time `json:"at"`
}

// spend takes one line from a kind's budget; false where there is none.
func (t *tally) spend(kind string, now time.Time) bool {
	b, ok := t.Budgets[kind]
	if !ok {
		b = budget{Left: sumBurst, At: now}
	}
	passed := max(0, now.Sub(b.At))
	b.Left, b.At = min(sumBurst, b.Left+passed.Seconds()/sumRefill.Seconds()), now
	enough := b.Left >= 1
	if enough {
		b.Left--
	}
	t.Budgets[kind] = b
	return enough
}

// count counts a line that is not written.
func (t *tally) count(e Entry, now time.Time) error {
	if len(t.Sums) == 0 {
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		t.ID, t.Since = id.String(), now
	}
	what := e.JobID
	if what == "" {
		what = e.Digest
	}
	find := func(code string) int {
		return slices.IndexFunc(t.Sums, func(s Sum) bool { return s.Kind == e.Kind && s.Decision == e.Decision && s.Code == code })
	}
	i := find(e.Code)
	if i < 0 && len(t.Sums) >= maxSums {
		e.Code = ""
		i = find("")
	}
	if i < 0 { // few more than maxSums: one for each kind
		i = len(t.Sums)
		t.Sums = append(t.Sums, Sum{Kind: e.Kind, Decision: e.Decision, Code: e.Code, First: what})
	}
	t.Sums[i].Count++
	t.Sums[i].Last = what
	return nil
}

// entry is the line that tells what was counted.
func (t *tally) entry() Entry {
	n := int64(0)
	for _, s := range t.Sums {
		n += s.Count
	}
	return Entry{
		Kind: KindSummed, Sum: t.ID, Sums: t.Sums,
		Reason: fmt.Sprintf("%d more since %s, only counted", n, t.Since.UTC().Format(time.RFC3339)),
	}
}

// AppendForeign is Append for a line that the server or the network side alone
// can cause, as often as it likes: over its kind's budget it is only counted.
func (r *Record) AppendForeign(e Entry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	told := r.sumUp(sumEvery) // where that fails, the count goes on
	now := r.now().UTC()
	if r.tally.spend(e.Kind+"/"+e.Decision, now) {
		return errors.Join(told, r.append(e))
	}
	if err := r.tally.count(e, now); err != nil {
		return err
	}
	r.unsaved = true
	if passed := now.Sub(r.saved); passed >= 0 && passed < r.saveEvery {
		return told
	}
	return errors.Join(told, r.saveTally())
}

// SumUp writes what was only counted as one line, where the count is older
// than a time.
func (r *Record) SumUp(older time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sumUp(older)
}

func (r *Record) sumUp(older time.Duration) error {
	if len(r.tally.Sums) == 0 || r.now().Sub(r.tally.Since).Abs() < older {
		return nil
	}
	if err := r.append(r.tally.entry()); err != nil {
		return err
	}
	r.tally.Sums = nil
	return r.saveTally()
}

func (r *Record) saveTally() error {
	b, err := encode(r.tally)
	if err != nil {
		return err
	}
	if err := writeAtomic(r.dir, sumsName, b); err != nil {
		return err
	}
	r.saved, r.unsaved = r.now(), false
	return nil
}

// openTally reads what was counted before. Where a crash came between the line
// that tells it and the file, the line counts.
func (r *Record) openTally() error {
	r.tally = tally{}
	b, err := readCapped(filepath.Join(r.dir, sumsName), maxSumsBytes)
	if err == nil {
		err = decodeOwn(sumsName, b, &r.tally)
	}
	if err != nil {
		r.tally = tally{}
	}
	if r.tally.Budgets == nil {
		r.tally.Budgets = map[string]budget{}
	}
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return r.append(Entry{
			Kind: KindDamage, Code: string(errs.CodeOf(err)),
			Reason: "how many lines were only counted cannot be read, and is lost: " + reasonOf(err),
		})
	}
	if len(r.tally.Sums) == 0 {
		return nil
	}
	told, err := r.tells(r.tally.ID)
	if told {
		r.tally.Sums = nil
	}
	return err
}

// tells reports whether the record has the line of a count.
func (r *Record) tells(id string) (found bool, err error) {
	err = eachEntry(r.paths(), func(e Entry, _ []byte) bool {
		found = e.Kind == KindSummed && e.Sum == id
		return !found
	})
	return found, err
}

// about reports whether a line is of a job: its own, of its original, or one
// that it is named in.
func (e Entry) about(jobID string) bool {
	return e.JobID == jobID || e.OriginalID == jobID ||
		slices.ContainsFunc(e.Sums, func(s Sum) bool { return s.First == jobID || s.Last == jobID })
}
