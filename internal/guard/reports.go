package guard

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/sandbox"

	"github.com/google/uuid"
)

// Bounds of the own copies.
const (
	maxKeptReports = 1_000
	maxKeptBytes   = 50 << 20
	// maxKeptPerUser bounds what each user other than root and the guard's
	// own keeps, so that one cannot push out another's.
	maxKeptPerUser      = 200
	maxKeptBytesPerUser = maxKeptBytes / 5
	maxKeptFile         = 8 << 20
)

// Kept is the peer's own copy of a report that it filed: what a hook runs
// over, whatever the server says.
type Kept struct {
	ID      string       `json:"id"`
	UID     int          `json:"uid"` // who filed it, below zero where that is not known
	Source  string       `json:"source"`
	FiledAt time.Time    `json:"filed_at"`
	Report  hooks.Report `json:"report"`
}

// filer is who filed the report. A user of another name space looks like
// nobody, whose processes may be anybody's.
func (k Kept) filer() sandbox.Filer {
	if k.UID < 0 || k.UID >= math.MaxUint32 || k.UID == sandbox.Nobody {
		return sandbox.Filer{}
	}
	return sandbox.Filer{UID: uint32(k.UID), Known: true}
}

// shelf keeps the own copies, one file each, oldest out first.
type shelf struct {
	dir   string
	index map[string]keptInfo
	bytes int64
	// limits are fields so that tests reach them
	maxFiles, maxPerUser   int
	maxBytes, maxUserBytes int64
}

type keptInfo struct {
	size int64
	uid  int
}

// openShelf indexes the folder. A file that cannot be read is no copy.
func openShelf(guardDir string) (*shelf, error) {
	s := &shelf{
		dir: filepath.Join(guardDir, reportsDir), index: map[string]keptInfo{},
		maxFiles: maxKeptReports, maxPerUser: maxKeptPerUser,
		maxBytes: maxKeptBytes, maxUserBytes: maxKeptBytesPerUser,
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, readError(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") { // a write that a crash cut short
			os.Remove(filepath.Join(s.dir, e.Name()))
			continue
		}
		id, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || !validID(id) {
			continue
		}
		kept, size, err := s.read(id)
		if err != nil {
			continue
		}
		s.index[id] = keptInfo{size: size, uid: kept.UID}
		s.bytes += size
	}
	return s, nil
}

// validID accepts a UUID in its one lower-case form: safe as a file name.
func validID(id string) bool {
	u, err := uuid.Parse(id)
	return err == nil && u.String() == id
}

func (s *shelf) read(id string) (Kept, int64, error) {
	b, err := readCapped(filepath.Join(s.dir, id+".json"), maxKeptFile)
	if err != nil {
		return Kept{}, 0, err
	}
	k := Kept{UID: -1} // a copy that names nobody is not root's
	if err := decodeOwn(id, b, &k); err != nil {
		return Kept{}, 0, err
	}
	if k.ID != id {
		return Kept{}, 0, errs.New(errs.CodeBadInput, "the own copy %s holds report %.40q", id, k.ID)
	}
	return k, int64(len(b)), k.Report.Validate()
}

// get returns the own copy, errs.CodeOriginalUnknown where there is none.
func (s *shelf) get(id string) (Kept, error) {
	if _, ok := s.index[id]; !ok || !validID(id) {
		return Kept{}, errs.New(errs.CodeOriginalUnknown, "cannot run the hook: this peer has no copy of report %.40q", id)
	}
	k, _, err := s.read(id)
	if err != nil {
		return Kept{}, errs.Wrap(errs.CodeOriginalUnknown, err, "cannot run the hook: the peer's copy cannot be read")
	}
	return k, nil
}

// add keeps a report, making room where a bound is reached. A copy that
// pinned reports is never thrown out.
func (s *shelf) add(k Kept, pinned func(id string) bool, shared bool) error {
	b, err := encode(k)
	if err != nil {
		return err
	}
	size := int64(len(b))
	if err := s.makeRoom(k.UID, size, pinned, shared); err != nil {
		return err
	}
	if err := writeAtomic(s.dir, k.ID+".json", b); err != nil {
		return err
	}
	s.index[k.ID] = keptInfo{size: size, uid: k.UID}
	s.bytes += size
	return nil
}

func (s *shelf) makeRoom(uid int, size int64, pinned func(string) bool, shared bool) error {
	for shared && s.userFull(uid, size) {
		if !s.dropOldest(pinned, func(i keptInfo) bool { return i.uid == uid }) {
			return full("this user has as many reports that still wait for the server as one may")
		}
	}
	for len(s.index) >= s.maxFiles || s.bytes+size > s.maxBytes {
		if !s.dropOldest(pinned, func(keptInfo) bool { return true }) {
			return full("%d reports still wait for the server or a run", len(s.index))
		}
	}
	return nil
}

func full(format string, args ...any) error {
	return errs.New(errs.CodeStorageFull, "cannot keep the report: "+format, args...).
		WithHint("see hookline-peer status: is the server reached?")
}

// userFull reports whether a user has no room for size more bytes.
func (s *shelf) userFull(uid int, size int64) bool {
	n, sum := 0, size
	for _, i := range s.index {
		if i.uid == uid {
			n++
			sum += i.size
		}
	}
	return n >= s.maxPerUser || sum > s.maxUserBytes
}

// dropOldest removes the oldest copy that may go; ids are UUIDv7, so they sort
// by time.
func (s *shelf) dropOldest(pinned func(string) bool, which func(keptInfo) bool) bool {
	ids := make([]string, 0, len(s.index))
	for id, i := range s.index {
		if which(i) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		if !pinned(id) && s.drop(id) {
			return true
		}
	}
	return false
}

// drop removes a copy; false where the disk does not let it.
func (s *shelf) drop(id string) bool {
	err := os.Remove(filepath.Join(s.dir, id+".json"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return false
	}
	s.bytes -= s.index[id].size
	delete(s.index, id)
	return true
}
