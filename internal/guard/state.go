package guard

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"hookline/internal/guardwire"
	"hookline/signing"
)

// Caps of the state. What falls out at a cap can no longer run, or is asked again.
const (
	maxStateBytes = 32 << 20
	maxVersions   = 10_000
	maxPending    = 1_000
	maxAskedBytes = 3 << 20 // of all runs that wait: they are told in one frame
	maxDenied     = 10_000
)

// State is what the guard must not forget. It is on disk before it counts.
type State struct {
	Versions map[string]Count    `json:"versions"` // by version digest
	Highest  map[string]int64    `json:"highest"`  // hook → newest version that has run here
	Floor    Floor               `json:"floor"`    // trusted time
	Warned   Warned              `json:"warned"`
	Pending  []guardwire.Pending `json:"pending"`
	Grants   []Grant             `json:"grants"`
	Denied   []Pair              `json:"denied"`
	Running  []Running           `json:"running"` // counted, and not yet ended
	Record   Head                `json:"record"`
}

// Warned is the warning about old metadata that was given last.
type Warned struct {
	Expires time.Time `json:"expires"` // of which metadata
	Level   int       `json:"level"`
}

// Count is how often a version has run here.
type Count struct {
	Hook     string    `json:"hook"`
	Runs     int64     `json:"runs"`
	Last     time.Time `json:"last"`
	NotAfter time.Time `json:"not_after"`
}

// Pair is a version and an original job.
type Pair struct {
	Digest     string `json:"digest"`
	OriginalID string `json:"original_id"`
}

// Grant is the owner's yes to one run.
type Grant struct {
	Pair
	At       time.Time `json:"at"`
	NotAfter time.Time `json:"not_after"`
	Hook     string    `json:"hook,omitempty"` // older grants do not say it
	Version  int64     `json:"version,omitempty"`
	Keys     []string  `json:"keys,omitempty"` // that signed the version
}

// Running is a run that was counted and whose end is not known yet.
type Running struct {
	Pair
	JobID string `json:"job_id"`
	Hook  string `json:"hook"`
}

// askID is the short name of a pending run, the same each time it is asked.
func askID(p Pair) string {
	sum := sha256.Sum256([]byte(p.Digest + "/" + p.OriginalID))
	return hex.EncodeToString(sum[:6])
}

// ledger keeps the State in memory and on disk, never ahead of the disk.
type ledger struct {
	dir   string
	now   State
	raise func(Floor) Floor // the floor as it is by now; each write takes it along
}

func openLedger(dir string) (*ledger, error) {
	l := &ledger{dir: dir, raise: func(f Floor) Floor { return f }, now: State{Versions: map[string]Count{}, Highest: map[string]int64{}}}
	b, err := readCapped(filepath.Join(dir, stateName), maxStateBytes)
	if os.IsNotExist(err) {
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	if err := decodeOwn(stateName, b, &l.now); err != nil {
		return nil, err
	}
	if l.now.Versions == nil {
		l.now.Versions = map[string]Count{}
	}
	if l.now.Highest == nil {
		l.now.Highest = map[string]int64{}
	}
	return l, nil
}

// update changes a copy, writes it, and only then lets it count.
func (l *ledger) update(change func(*State)) error {
	next := State{
		Versions: maps.Clone(l.now.Versions), Highest: maps.Clone(l.now.Highest), Floor: l.now.Floor, Warned: l.now.Warned,
		Pending: slices.Clone(l.now.Pending), Grants: slices.Clone(l.now.Grants), Denied: slices.Clone(l.now.Denied),
		Running: slices.Clone(l.now.Running), Record: l.now.Record,
	}
	change(&next)
	next.Floor = l.raise(next.Floor)
	next.trim()
	b, err := encode(next)
	if err != nil {
		return err
	}
	if err := writeAtomic(l.dir, stateName, b); err != nil {
		return err
	}
	l.now = next
	return nil
}

// trim keeps the caps. Of versions those go first whose window ended first:
// they can run no more.
func (s *State) trim() {
	if len(s.Versions) > maxVersions {
		digests := slices.SortedFunc(maps.Keys(s.Versions), func(a, b string) int {
			return s.Versions[a].NotAfter.Compare(s.Versions[b].NotAfter)
		})
		for _, d := range digests[:len(digests)-maxVersions] {
			delete(s.Versions, d)
		}
	}
	s.Pending = s.Pending[max(0, len(s.Pending)-maxPending):]
	s.Grants = s.Grants[max(0, len(s.Grants)-maxPending):]
	s.Denied = s.Denied[max(0, len(s.Denied)-maxDenied):]
}

// begin counts a run that is about to start and uses up its grant.
func (s *State) begin(r Running, version int64, notAfter, now time.Time) {
	c := s.Versions[r.Digest]
	s.Versions[r.Digest] = Count{Hook: r.Hook, Runs: c.Runs + 1, Last: now, NotAfter: notAfter}
	s.Highest[r.Hook] = max(version, s.Highest[r.Hook])
	s.Running = append(s.Running, r)
	s.Grants = slices.DeleteFunc(s.Grants, func(g Grant) bool { return g.Pair == r.Pair })
	s.Pending = slices.DeleteFunc(s.Pending, func(p guardwire.Pending) bool { return p.ID == askID(r.Pair) })
}

func (s *State) end(jobID string) {
	s.Running = slices.DeleteFunc(s.Running, func(r Running) bool { return r.JobID == jobID })
}

// ask keeps a run for the owner, once for a version and an original. The
// oldest go where there is no room.
func (s *State) ask(p guardwire.Pending) {
	if slices.ContainsFunc(s.Pending, func(q guardwire.Pending) bool { return q.ID == p.ID }) {
		return
	}
	s.Pending = append(s.Pending, p)
	size, keep := 0, len(s.Pending)
	for keep > 0 {
		b, err := json.Marshal(s.Pending[keep-1])
		if size += len(b) + 1; err != nil || size > maxAskedBytes {
			break
		}
		keep--
	}
	s.Pending = s.Pending[keep:]
}

func (s *State) granted(p Pair) bool {
	return slices.ContainsFunc(s.Grants, func(g Grant) bool { return g.Pair == p })
}

// expire drops asks and grants whose version can run no more.
func (s *State) expire(now time.Time) {
	s.Pending = slices.DeleteFunc(s.Pending, func(p guardwire.Pending) bool { return !now.Before(p.NotAfter) })
	s.Grants = slices.DeleteFunc(s.Grants, func(g Grant) bool { return !now.Before(g.NotAfter) })
}

// dropRevoked drops asks and grants of versions that are revoked, or were
// signed with a key or an approval that is. It says how many of each. What it
// does not see is refused when it comes to a run.
func (s *State) dropRevoked(all signing.Revocations) (asks, grants int) {
	gone := func(hook, digest string, keys []string) bool {
		_, byHook := all.Find(signing.RevokeHook, hook)
		_, byDigest := all.Find(signing.RevokeVersion, digest)
		return byHook || byDigest || slices.ContainsFunc(keys, func(key string) bool {
			_, byKey := all.Find(signing.RevokeKey, key)
			_, byApproval := all.Find(signing.RevokeApproval, signing.ApprovalValue(digest, signing.KeyID(key)))
			return byKey || byApproval
		})
	}
	asks, grants = len(s.Pending), len(s.Grants)
	s.Pending = slices.DeleteFunc(s.Pending, func(p guardwire.Pending) bool { return gone(p.Hook, p.Digest, p.Keys) })
	s.Grants = slices.DeleteFunc(s.Grants, func(g Grant) bool { return gone(g.Hook, g.Digest, g.Keys) })
	return asks - len(s.Pending), grants - len(s.Grants)
}

// pins reports whether a report must be kept for a run that may still come.
func (s *State) pins(originalID string) bool {
	return slices.ContainsFunc(s.Running, func(r Running) bool { return r.OriginalID == originalID }) ||
		slices.ContainsFunc(s.Pending, func(p guardwire.Pending) bool { return p.OriginalID == originalID }) ||
		slices.ContainsFunc(s.Grants, func(g Grant) bool { return g.OriginalID == originalID })
}

// sortedPending lists newest first.
func (s *State) sortedPending() []guardwire.Pending {
	out := slices.Clone(s.Pending)
	slices.SortStableFunc(out, func(a, b guardwire.Pending) int {
		return cmp.Compare(b.AskedAt.UnixMilli(), a.AskedAt.UnixMilli())
	})
	return out
}
