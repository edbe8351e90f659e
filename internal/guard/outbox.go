package guard

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hookline/internal/guardwire"
)

// Bounds of the ends of runs that the server has not confirmed. Reports are
// bounded by the shelf that keeps them.
const (
	maxFinishes      = 256
	maxFinishesBytes = 64 << 20
	// window is how many entries are on their way at a time: no more than the
	// network side keeps, since one that it drops is only sent again after
	// patience.
	window   = 16
	patience = 30 * time.Second
)

// Suffixes of the outbox's files: a report's holds nothing, the shelf has it.
const (
	reportSuffix = ".report"
	finishSuffix = ".finish"
)

// outbox is what the server has not confirmed. An entry is on disk before the
// one who gave it is told so, and goes only when the server has answered.
type outbox struct {
	dir      string
	reports  map[string]bool
	finishes map[string]int64             // size on disk
	unsaved  map[string]guardwire.Message // finishes that a full disk refused
	sent     map[string]time.Time         // on their way since
	maxCount int
	maxBytes int64
}

func openOutbox(guardDir string) (*outbox, error) {
	o := &outbox{
		dir: filepath.Join(guardDir, outboxDir), reports: map[string]bool{}, finishes: map[string]int64{},
		unsaved: map[string]guardwire.Message{}, sent: map[string]time.Time{},
		maxCount: maxFinishes, maxBytes: maxFinishesBytes,
	}
	entries, err := os.ReadDir(o.dir)
	if err != nil {
		return nil, readError(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			os.Remove(filepath.Join(o.dir, e.Name()))
			continue
		}
		if id, ok := strings.CutSuffix(e.Name(), reportSuffix); ok && validID(id) {
			o.reports[id] = true
		}
		if id, ok := strings.CutSuffix(e.Name(), finishSuffix); ok && validID(id) {
			info, err := e.Info()
			if err != nil {
				return nil, err
			}
			o.finishes[id] = info.Size()
		}
	}
	return o, nil
}

func (o *outbox) len() int { return len(o.reports) + len(o.finishes) + len(o.unsaved) }

func (o *outbox) addReport(id string) error {
	if err := writeAtomic(o.dir, id+reportSuffix, nil); err != nil {
		return err
	}
	o.reports[id] = true
	return nil
}

// takeBack removes a report that may be here or not. A crash can bring it back
// without its copy: then it is dropped when it should leave.
func (o *outbox) takeBack(id string) error {
	delete(o.reports, id)
	if err := os.Remove(filepath.Join(o.dir, id+reportSuffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// addFinish keeps the end of a run. At a bound the oldest goes, and is
// returned: its job's deadline has long passed at the server.
func (o *outbox) addFinish(m guardwire.Message) (dropped []string, err error) {
	b, err := encode(m)
	if err != nil {
		return nil, err
	}
	for len(o.finishes) > 0 && (len(o.finishes) >= o.maxCount || o.bytes()+int64(len(b)) > o.maxBytes) {
		oldest := slices.Min(keys(o.finishes))
		if err := o.drop(oldest); err != nil {
			return dropped, err
		}
		dropped = append(dropped, oldest)
	}
	if err := writeAtomic(o.dir, m.JobID+finishSuffix, b); err != nil {
		return dropped, err
	}
	delete(o.unsaved, m.JobID)
	o.finishes[m.JobID] = int64(len(b))
	return dropped, nil
}

// hold keeps a finish in memory only: a refusal that the full disk caused. An
// end of the same job that was kept before must not come back.
func (o *outbox) hold(m guardwire.Message) {
	if _, ok := o.finishes[m.JobID]; ok && os.Remove(filepath.Join(o.dir, m.JobID+finishSuffix)) == nil {
		delete(o.finishes, m.JobID)
	}
	if len(o.unsaved) < o.maxCount {
		o.unsaved[m.JobID] = m
	}
}

func (o *outbox) bytes() int64 {
	var sum int64
	for _, size := range o.finishes {
		sum += size
	}
	return sum
}

// drop forgets an entry that the server has answered.
func (o *outbox) drop(id string) error {
	delete(o.sent, id)
	delete(o.unsaved, id)
	if o.reports[id] {
		if err := removeSynced(o.dir, id+reportSuffix); err != nil {
			return err
		}
		delete(o.reports, id)
	}
	if _, ok := o.finishes[id]; ok {
		if err := removeSynced(o.dir, id+finishSuffix); err != nil {
			return err
		}
		delete(o.finishes, id)
	}
	return nil
}

// has reports whether the end of a job waits here.
func (o *outbox) has(jobID string) bool {
	_, saved := o.finishes[jobID]
	_, held := o.unsaved[jobID]
	return saved || held
}

// finish reads the end of a job back.
func (o *outbox) finish(jobID string) (guardwire.Message, error) {
	if m, ok := o.unsaved[jobID]; ok {
		return m, nil
	}
	var m guardwire.Message
	b, err := readCapped(filepath.Join(o.dir, jobID+finishSuffix), guardwire.MaxFrame)
	if err == nil {
		err = decodeOwn(jobID, b, &m)
	}
	return m, err
}

// due are the ids to send now, ends of runs first, each oldest first, so that
// never more than window are on their way.
func (o *outbox) due(now time.Time) (finishes, reports []string) {
	onWay := 0
	fresh := func(id string) bool {
		at, ok := o.sent[id]
		if ok && now.Sub(at) < patience {
			onWay++
			return false
		}
		return true
	}
	take := func(ids []string) []string {
		slices.Sort(ids)
		ids = slices.DeleteFunc(ids, func(id string) bool { return !fresh(id) })
		return ids
	}
	finishes = take(append(keys(o.finishes), keys(o.unsaved)...))
	reports = take(keys(o.reports))
	room := max(0, window-onWay)
	finishes = finishes[:min(len(finishes), room)]
	reports = reports[:min(len(reports), room-len(finishes))]
	for _, id := range append(slices.Clone(finishes), reports...) {
		o.sent[id] = now
	}
	return finishes, reports
}

// resendAll forgets what was on its way: the stream is a new one.
func (o *outbox) resendAll() { clear(o.sent) }

func keys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	return out
}
