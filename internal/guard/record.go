package guard

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"hookline/hooks"
	"hookline/internal/durable"
	"hookline/internal/errs"
)

// Bounds of the record: the current file and maxRecordFiles older ones.
const (
	maxRecordBytes = 16 << 20
	maxRecordFiles = 7
	maxLineBytes   = 3 << 20
)

// Kinds of entries.
const (
	KindEnrolled  = "enrolled"  // a trust anchor was pinned, or replaced
	KindSettings  = "settings"  // the owner changed the opt-ins
	KindReport    = "report"    // a report was filed; Fields names its fields
	KindAnswered  = "answered"  // the server has a report, or refused it
	KindDecision  = "decision"  // whether a hook may run
	KindOutcome   = "outcome"   // how a run ended, Fields being exactly what left
	KindOwner     = "owner"     // the owner's yes or no to a pending run
	KindDamage    = "damage"    // the record itself was found damaged
	KindNetwork   = "network"   // the network side misbehaved
	KindDiscarded = "discarded" // something was dropped at a bound
	KindTrust     = "trust"     // trust metadata was taken, refused, or grows old
	KindReset     = "reset"     // root or the guard's user set run counts back
	KindSummed    = "summed"    // lines that a flood of the other side's took the place of
)

// Entry is one line of the record. Prev is the SHA-256 of the line before, so
// that a line cannot be changed, removed or put in unseen; the head of the
// chain is kept with the run counters, so that the end cannot be cut off.
type Entry struct {
	Seq        int64               `json:"seq"`
	Time       time.Time           `json:"time"`
	Kind       string              `json:"kind"`
	JobID      string              `json:"job_id,omitempty"`
	OriginalID string              `json:"original_id,omitempty"`
	Hook       string              `json:"hook,omitempty"`
	Version    int64               `json:"version,omitempty"`
	Digest     string              `json:"digest,omitempty"`
	Unverified bool                `json:"unverified,omitempty"` // hook and version are only claimed
	Signers    []string            `json:"signers,omitempty"`    // author first
	Ask        string              `json:"ask,omitempty"`        // the owner's name for a run that waits, or waited
	Decision   string              `json:"decision,omitempty"`   // run, refused, deferred; of trust metadata taken, refused, old
	Check      string              `json:"check,omitempty"`      // which of CheckNames refused, or deferred
	As         string              `json:"as,omitempty"`         // of a run that was let happen or waits for the owner
	May        *hooks.Capabilities `json:"may,omitempty"`        // likewise: all that it was allowed to do
	Outcome    string              `json:"outcome,omitempty"`
	Ending     hooks.Ending        `json:"ending,omitempty"` // finer than Outcome; older lines have none
	Code       string              `json:"code,omitempty"`
	Reason     string              `json:"reason,omitempty"`
	Fields     json.RawMessage     `json:"fields,omitempty"`
	Reads      []Read              `json:"reads,omitempty"`
	Denied     int                 `json:"denied,omitempty"` // calls that were refused
	Used       *Used               `json:"used,omitempty"`
	Log        []string            `json:"log,omitempty"` // what the hook logged or printed, capped; it never leaves
	UID        *int                `json:"uid,omitempty"` // who asked, where a person did
	Trust      *TrustNote          `json:"trust,omitempty"`
	Sum        string              `json:"sum,omitempty"` // names this one, of a line that sums up
	Sums       []Sum               `json:"sums,omitempty"`
	Prev       string              `json:"prev"`
}

// TrustNote is what of the trust metadata a line is about.
type TrustNote struct {
	Root        int64  `json:"root"` // versions
	Timestamp   int64  `json:"timestamp"`
	Revocations int64  `json:"revocations"`
	Policy      string `json:"policy"` // digest
	New         int    `json:"new"`    // revocations that were not known
}

// Read is one brokered call of a run.
type Read struct {
	Name  string `json:"name"`
	Arg   string `json:"arg"`
	Code  string `json:"code,omitempty"`
	Bytes int    `json:"bytes"`
}

// Used is what a run took of the machine.
type Used struct {
	WallMS       int64 `json:"wall_ms"`
	Instructions int64 `json:"instructions"`
	PeakHeap     int64 `json:"peak_heap"` // bytes
	Calls        int   `json:"calls"`
	BytesRead    int64 `json:"bytes_read"`
	Commands     int   `json:"commands"`
}

// How tells how a run ended, also of a line that is older than Ending.
func (e Entry) How() hooks.Ending {
	if e.Ending == "" {
		return hooks.EndingOf(hooks.Outcome(e.Outcome), errs.Code(e.Code))
	}
	return e.Ending
}

// Head is the newest line of the record.
type Head struct {
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"` // hex SHA-256 of the line without its newline
}

// Record is the append-only account of all that the guard decided and all
// that left. Each line is on disk before Append returns.
type Record struct {
	dir string
	now func() time.Time

	mu       sync.Mutex
	file     *os.File
	size     int64
	head     Head
	maxBytes int64
	damage   error // of the newest verification, nil where the chain holds

	// tally is what was only counted; unsaved says that the disk does not have
	// all of it, saved when it was written. saveEvery is a field so that tests
	// reach it: each count is written.
	tally     tally
	unsaved   bool
	saved     time.Time
	saveEvery time.Duration
}

// OpenRecord opens the record in dir and verifies its chain; known is the head
// that the state remembers, zero where there is none. A damaged record is
// still written on, and says so in its next line.
func OpenRecord(dir string, known Head, now func() time.Time) (*Record, error) {
	r := &Record{dir: dir, now: now, maxBytes: maxRecordBytes}
	f, err := os.OpenFile(filepath.Join(dir, recordName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, writeError(err, recordName)
	}
	r.file = f
	torn, err := r.cutTornLine()
	if err != nil {
		f.Close()
		return nil, err
	}
	r.head, r.damage = verifyFiles(r.paths(), known)
	if torn && r.damage == nil {
		// A crash in the middle of a write tears the last line; nothing has
		// left on its account, since that needs the whole line.
		err = r.append(Entry{Kind: KindDamage, Reason: "the last line was torn by a crash and was cut off"})
	} else if r.damage != nil {
		err = r.append(Entry{Kind: KindDamage, Code: string(errs.CodeOf(r.damage)), Reason: r.damage.Error()})
	}
	return r, errors.Join(err, r.openTally())
}

// cutTornLine removes an unfinished last line and sets size.
func (r *Record) cutTornLine() (torn bool, err error) {
	info, err := r.file.Stat()
	if err != nil {
		return false, err
	}
	r.size = info.Size()
	keep := r.size
	for buf := make([]byte, 4096); keep > 0; {
		from := max(0, keep-int64(len(buf)))
		n, err := r.file.ReadAt(buf[:keep-from], from)
		if err != nil && err != io.EOF {
			return false, err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			keep = from + int64(i) + 1
			break
		}
		keep = from
	}
	if keep == r.size {
		return false, nil
	}
	r.size = keep
	return true, r.file.Truncate(keep)
}

// Append writes one entry and syncs it. Seq, Time and Prev are set here. On an
// error nothing of the entry stays.
func (r *Record) Append(e Entry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.append(e)
}

// append is Append for who holds the lock.
func (r *Record) append(e Entry) error {
	if r.size >= r.maxBytes {
		if err := r.rotate(); err != nil {
			return writeError(err, recordName)
		}
	}
	e.Seq, e.Time, e.Prev = r.head.Seq+1, r.now().UTC().Truncate(time.Millisecond), r.head.Hash
	line, err := encode(e)
	if err != nil {
		return err
	}
	if len(line) > maxLineBytes {
		return errs.New(errs.CodeTooLarge, "cannot record an entry of %d bytes", len(line))
	}
	if err := r.write(append(line, '\n')); err != nil {
		return writeError(err, recordName)
	}
	r.head = Head{Seq: e.Seq, Hash: lineHash(line)}
	return nil
}

func (r *Record) write(b []byte) error {
	_, err := r.file.WriteAt(b, r.size)
	if err == nil {
		err = r.file.Sync()
	}
	if err != nil {
		return errors.Join(err, r.file.Truncate(r.size))
	}
	r.size += int64(len(b))
	return nil
}

// rotate makes room; the chain goes on through the files. The new file is there
// before an older one goes: on a full disk nothing moves.
func (r *Record) rotate() error {
	paths := r.paths()
	current, next := paths[len(paths)-1], filepath.Join(r.dir, "."+recordName+".next")
	if err := os.Remove(next); err != nil && !os.IsNotExist(err) {
		return err
	}
	f, err := os.OpenFile(next, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := shift(paths); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := os.Rename(next, current); err != nil {
		return errors.Join(err, f.Close())
	}
	r.file.Close()
	r.file, r.size = f, 0
	return durable.SyncDir(r.dir)
}

// shift gives each file the name of the one before it, unless that was done
// already and only the new file failed.
func shift(paths []string) error {
	if _, err := os.Lstat(paths[len(paths)-1]); os.IsNotExist(err) {
		return nil
	}
	for i := 0; i+1 < len(paths); i++ {
		if err := os.Rename(paths[i+1], paths[i]); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}

// paths are the record's files, oldest first; not all need to exist.
func (r *Record) paths() []string {
	current := filepath.Join(r.dir, recordName)
	var paths []string
	for i := maxRecordFiles; i > 0; i-- {
		paths = append(paths, fmt.Sprintf("%s.%d", current, i))
	}
	return append(paths, current)
}

// Head is the newest line.
func (r *Record) Head() Head {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.head
}

// Intact reports whether the chain held when the record was opened.
func (r *Record) Intact() bool { return r.damage == nil }

// Close closes the files.
func (r *Record) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var err error
	if r.unsaved {
		err = r.saveTally()
	}
	return errors.Join(err, r.file.Close())
}

func lineHash(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:])
}

// chain follows a record from line to line.
type chain struct {
	head  Head
	first bool
	known Head
	met   bool // the known head was seen
}

func (c *chain) next(line []byte) error {
	var e struct {
		Seq  int64  `json:"seq"`
		Prev string `json:"prev"`
	}
	if err := json.Unmarshal(line, &e); err != nil {
		return damaged("the line after %d is not an entry", c.head.Seq)
	}
	// Rotation removes the oldest lines: the first that is left is taken as it is.
	if !c.first && (e.Seq != c.head.Seq+1 || e.Prev != c.head.Hash) {
		return damaged("line %d does not follow line %d: something was changed, removed or put in", e.Seq, c.head.Seq)
	}
	if c.first && e.Seq == 1 && e.Prev != "" {
		return damaged("the first line names one before it")
	}
	c.first, c.head = false, Head{Seq: e.Seq, Hash: lineHash(line)}
	if c.known.Seq == e.Seq {
		if c.known.Hash != c.head.Hash {
			return damaged("line %d is not the one that was written", e.Seq)
		}
		c.met = true
	}
	return nil
}

func damaged(format string, args ...any) error {
	return errs.New(errs.CodeRecordDamaged, "the record is damaged: "+format, args...)
}

// verifyFiles follows the chain through the files and returns its head, to
// write on from, also where it is damaged.
func verifyFiles(paths []string, known Head) (Head, error) {
	c := chain{first: true, known: known}
	var damage error
	err := eachLine(paths, func(line []byte) bool {
		if err := c.next(line); err != nil {
			damage = errors.Join(damage, err)
			// Go on from here, so that the head is the last line's.
			c.first = true
			if c.next(line) != nil {
				c.head.Hash = lineHash(line)
			}
		}
		return true
	})
	if damage == nil {
		damage = err
	}
	if damage == nil && known.Seq > 0 && !c.met {
		damage = damaged("it ends at line %d, line %d was written", c.head.Seq, known.Seq)
	}
	c.head.Seq = max(c.head.Seq, known.Seq)
	if damage != nil {
		damage = firstDamage(damage)
	}
	return c.head, damage
}

// firstDamage keeps one damage of many, to be said in one line.
func firstDamage(err error) error {
	if e, ok := errs.As(err); ok {
		return e
	}
	return errs.Wrap(errs.CodeRecordDamaged, err, "the record is damaged")
}

// VerifyRecord checks the chain of the record in dir against the head that is
// known, zero where none is.
func VerifyRecord(dir string, known Head) error {
	r := &Record{dir: dir}
	_, err := verifyFiles(r.paths(), known)
	return err
}

// eachLine calls do for every line of the files until it returns false.
func eachLine(paths []string, do func(line []byte) bool) error {
	for _, path := range paths {
		f, err := os.Open(path)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return err
		}
		scanner := bufio.NewScanner(f)
		scanner.Buffer(make([]byte, 64<<10), maxLineBytes+1)
		for scanner.Scan() {
			if !do(scanner.Bytes()) {
				f.Close()
				return nil
			}
		}
		f.Close()
		if err := scanner.Err(); err != nil {
			return err
		}
	}
	return nil
}

// eachEntry is eachLine for lines that are entries; others are passed over.
func eachEntry(paths []string, do func(e Entry, line []byte) bool) error {
	return eachLine(paths, func(line []byte) bool {
		var e Entry
		return json.Unmarshal(line, &e) != nil || do(e, line)
	})
}

// hasOutcome reports whether the end of a job is in the record.
func (r *Record) hasOutcome(jobID string) (found bool, err error) {
	err = eachEntry(r.paths(), func(e Entry, _ []byte) bool {
		found = e.Kind == KindOutcome && e.JobID == jobID
		return !found
	})
	return found, err
}

// unrecorded are those of the filed reports that have no line, oldest first.
func (r *Record) unrecorded(filed map[string]bool) ([]string, error) {
	if len(filed) == 0 {
		return nil, nil
	}
	left := maps.Clone(filed)
	err := eachEntry(r.paths(), func(e Entry, _ []byte) bool {
		if e.Kind == KindReport {
			delete(left, e.JobID)
		}
		return len(left) > 0
	})
	return slices.Sorted(maps.Keys(left)), err
}

// Lines returns lines after a sequence number, of one job (its own, as the
// original, or named by a line that sums up) where jobID is set, up to
// maxBytes of them; more says that there are others.
func (r *Record) Lines(after int64, jobID string, maxBytes int) (lines []json.RawMessage, more bool, err error) {
	total := 0
	err = eachEntry(r.paths(), func(e Entry, line []byte) bool {
		if e.Seq <= after || jobID != "" && !e.about(jobID) {
			return true
		}
		if total += len(line); total > maxBytes && len(lines) > 0 {
			more = true
			return false
		}
		lines = append(lines, bytes.Clone(line))
		return true
	})
	return lines, more, err
}
