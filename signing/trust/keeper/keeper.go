// Package keeper makes trust metadata in the offline folder: it stages a
// change, shows what it changes to everybody who signs, collects signatures,
// and puts snapshot and timestamp over what is complete. Only the command line
// of a person links it; everybody else reads what it makes with package trust.
//
// The folder, below what hookline policy init makes:
//
//	trust.json             the bundle in force: the one file that counts, and what the server gets
//	trust/metadata/*.json  the same as single files, for people and other programs
//	trust/staged/*         the next versions, until enough people have signed
//
// A change is staged (Init, Rotate, ReplaceTargets), signed (Sign) and put in
// force (Freshen). Revoke is in force at once. Each step leaves the folder as
// it was, or done, after a crash, too.
package keeper

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"golang.org/x/sys/unix"

	"hookline/internal/durable"
	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/trust"
)

// How long metadata lives.
const (
	RootLife        = 365 * 24 * time.Hour
	TargetsLife     = 365 * 24 * time.Hour
	RevocationsLife = 365 * 24 * time.Hour
	FreshLife       = 7 * 24 * time.Hour
	MaxFreshLife    = 14 * 24 * time.Hour // of snapshot and timestamp
	MinFreshLife    = time.Minute
)

// RevocationMemory is how long a revoked version or approval stays in new
// metadata. No version lives so long, and who has seen it remembers it.
const RevocationMemory = 60 * 24 * time.Hour

// BundleName is the file of the offline folder with the bundle in force.
const BundleName = "trust.json"

const (
	stagedDir = "staged"
	filesDir  = "metadata"
)

// Keeper is an open offline folder. It is not safe for concurrent use; of
// several processes that change one folder, one at a time does.
type Keeper struct {
	offline string
	dir     string // the folder trust in the offline folder
	now     func() time.Time
	trusted *trust.Trusted // nil before the first Freshen
	force   sheets         // in force
	staged  sheets         // the next versions
}

// sheets are the three roles that people sign; nil where there is none.
type sheets struct {
	root        *rootSheet
	targets     *targetsSheet
	revocations *revocationsSheet
}

func (s sheets) none() bool { return s.root == nil && s.targets == nil && s.revocations == nil }

// Open reads an offline folder in which Init was run: errs.CodeNotFound where
// it was not. The bundle in force is verified; a staged file that no keeper
// wrote is errs.CodeTrustInvalid. now is the clock.
func Open(offline string, now func() time.Time) (*Keeper, error) {
	k := keeperOf(offline, now)
	if err := k.load(); err != nil {
		return nil, err
	}
	if k.trusted == nil && k.staged.none() {
		return nil, errs.New(errs.CodeNotFound, "there is no trust metadata in %s", offline).WithHint("make it with: hookline trust init")
	}
	return k, nil
}

func keeperOf(offline string, now func() time.Time) *Keeper {
	return &Keeper{offline: offline, dir: filepath.Join(offline, "trust"), now: func() time.Time { return now().UTC().Truncate(time.Second) }}
}

// load reads what is there.
func (k *Keeper) load() error {
	k.trusted, k.force, k.staged = nil, sheets{}, sheets{}
	b, err := read(filepath.Join(k.offline, BundleName), trust.MaxBundleBytes)
	if err != nil {
		return err
	}
	if b != nil {
		if err := k.enforce(b); err != nil {
			return err
		}
	}
	if err := k.learnOthers(); err != nil {
		return err
	}
	return k.loadStaged()
}

// enforce verifies a bundle and makes it the one in force.
func (k *Keeper) enforce(encoded []byte) error {
	b, err := trust.ParseBundle(encoded)
	if err != nil {
		return err
	}
	trusted, err := openOwn(b)
	if err != nil {
		return err
	}
	return k.adopt(trusted)
}

// openOwn verifies a bundle from its newest root: of another folder than this
// one nobody can tell here.
func openOwn(b trust.Bundle) (*trust.Trusted, error) {
	policy, err := signing.ParsePolicy(b.Policy)
	if err != nil {
		return nil, err
	}
	return trust.Anchor{RootDigest: trust.Digest(b.Roots[0]), Deployment: policy.Deployment}.Open(b)
}

// adopt takes apart what was verified.
func (k *Keeper) adopt(t *trust.Trusted) error {
	b := t.Bundle()
	root, err := parseRoot(b.Roots[len(b.Roots)-1])
	if err != nil {
		return err
	}
	targets, err := parseTargets(b.Targets, b.Policy, b.CA)
	if err != nil {
		return err
	}
	revocations, err := newestRevocations(t)
	if err != nil {
		return err
	}
	k.trusted, k.force = t, sheets{root, targets, revocations}
	return nil
}

func (k *Keeper) loadStaged() error {
	dir := filepath.Join(k.dir, stagedDir)
	file := func(role string) ([]byte, error) { return read(filepath.Join(dir, role+".json"), trust.MaxRevocations) }
	b, err := file(metadata.ROOT)
	if err == nil && b != nil {
		k.staged.root, err = parseRoot(b)
	}
	if err != nil {
		return err
	}
	if err := k.loadStagedTargets(dir, file); err != nil {
		return err
	}
	if b, err = file(trust.RoleRevocations); err == nil && b != nil {
		k.staged.revocations, err = parseRevocations(b)
	}
	if err != nil {
		return err
	}
	k.forgetOld()
	return nil
}

func (k *Keeper) loadStagedTargets(dir string, file func(string) ([]byte, error)) error {
	b, err := file(metadata.TARGETS)
	if err != nil || b == nil {
		return err
	}
	policy, err := read(filepath.Join(dir, trust.TargetPolicy), signing.MaxPolicyBytes)
	if err != nil {
		return err
	}
	ca, err := read(filepath.Join(dir, trust.TargetCA), trust.MaxCABytes)
	if err != nil {
		return err
	}
	k.staged.targets, err = parseTargets(b, policy, ca)
	return err
}

// forgetOld leaves out staged versions that are in force, or were overtaken:
// a crash, or a bundle that came from elsewhere, has left them.
func (k *Keeper) forgetOld() {
	if k.trusted == nil {
		if len(k.staged.all()) < 3 {
			k.staged = sheets{} // Init did not end
		}
		return
	}
	if s := k.staged.root; s != nil && s.version <= k.force.root.version {
		k.staged.root = nil
	}
	if s := k.staged.targets; s != nil && s.version <= k.force.targets.version {
		k.staged.targets = nil
	}
	if s := k.staged.revocations; s != nil && s.version <= k.force.revocations.version {
		k.staged.revocations = nil
	}
}

// read returns nil where there is no file.
func read(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fileError(err, path)
	}
	if info.Size() > limit {
		return nil, errs.New(errs.CodeTooLarge, "cannot read %s: it is longer than %d bytes", path, limit)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fileError(err, path)
	}
	return b, nil
}

func fileError(err error, path string) error {
	code := errs.CodeBadInput
	if errors.Is(err, fs.ErrPermission) {
		code = errs.CodeForbidden
	}
	var reason unix.Errno
	if errors.As(err, &reason) {
		err = reason
	}
	return errs.Wrap(code, err, "cannot use %s", path)
}

// changing runs a change alone, on what is in the folder by then, and puts
// right what a crash may have left.
func (k *Keeper) changing(change func() error) error {
	if err := os.MkdirAll(filepath.Join(k.dir, stagedDir), 0o700); err != nil {
		return fileError(err, k.dir)
	}
	d, err := os.Open(k.dir)
	if err != nil {
		return fileError(err, k.dir)
	}
	defer d.Close() // and with it the lock
	if err := unix.Flock(int(d.Fd()), unix.LOCK_EX); err != nil {
		return fileError(err, k.dir)
	}
	if err := k.load(); err != nil {
		return err
	}
	if last := k.lastSigned(); k.now().Add(clockSlack).Before(last) {
		return errs.New(errs.CodeBadInput, "cannot sign: the clock says %s, and there is metadata signed on %s",
			k.now().Format(time.RFC3339), last.UTC().Format(time.RFC3339)).WithHint("set the clock of this machine right")
	}
	return change()
}

// clockSlack is how far the clocks of people who sign may be apart.
const clockSlack = 5 * time.Minute

// lastSigned is when somebody last signed what is in force.
func (k *Keeper) lastSigned() time.Time {
	var last time.Time
	if k.trusted == nil {
		return last
	}
	for _, r := range k.trusted.Roles() {
		if r.SignedAt.After(last) {
			last = r.SignedAt
		}
	}
	return last
}

// saveStaged writes what is staged, and removes what is not.
func (k *Keeper) saveStaged() error {
	files := map[string][]byte{}
	for _, s := range k.staged.all() {
		b, err := s.file()
		if err != nil {
			return err
		}
		files[s.role+".json"] = b
	}
	if t := k.staged.targets; t != nil {
		files[trust.TargetPolicy] = t.policyBytes
		if len(t.ca) > 0 {
			files[trust.TargetCA] = t.ca
		}
	}
	dir := filepath.Join(k.dir, stagedDir)
	// The targets last of all: what they name must be there before them, and
	// they must be gone before it goes.
	targets := filepath.Join(dir, metadata.TARGETS+".json")
	if !sameFile(filepath.Join(dir, trust.TargetPolicy), files[trust.TargetPolicy]) ||
		!sameFile(filepath.Join(dir, trust.TargetCA), files[trust.TargetCA]) {
		if err := remove(targets); err != nil {
			return err
		}
	}
	for _, name := range []string{trust.TargetPolicy, trust.TargetCA, metadata.ROOT + ".json", trust.RoleRevocations + ".json", metadata.TARGETS + ".json"} {
		if err := put(filepath.Join(dir, name), files[name]); err != nil {
			return err
		}
	}
	return nil
}

func sameFile(path string, b []byte) bool {
	is, err := read(path, trust.MaxBundleBytes)
	return err == nil && (is == nil) == (b == nil) && string(is) == string(b)
}

// put writes a file, or removes it where b is nil.
func put(path string, b []byte) error {
	if b == nil {
		return remove(path)
	}
	if sameFile(path, b) {
		return nil
	}
	if err := durable.WriteFile(path, b, 0o644); err != nil {
		return fileError(err, path)
	}
	return nil
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fileError(err, path)
	}
	return nil
}

// all lists the sheets that are there, in the order in which they are signed.
func (s sheets) all() []*sheet {
	var out []*sheet
	if s.root != nil {
		out = append(out, &s.root.sheet)
	}
	if s.targets != nil {
		out = append(out, &s.targets.sheet)
	}
	if s.revocations != nil {
		out = append(out, &s.revocations.sheet)
	}
	return out
}

// next is what would be in force if all that is staged were signed.
func (k *Keeper) next() sheets {
	n := k.force
	if k.staged.root != nil {
		n.root = k.staged.root
	}
	if k.staged.targets != nil {
		n.targets = k.staged.targets
	}
	if k.staged.revocations != nil {
		n.revocations = k.staged.revocations
	}
	return n
}

// Trusted is what is in force; nil as long as nothing is.
func (k *Keeper) Trusted() *trust.Trusted { return k.trusted }

// Bundle is what is in force, for the server: errs.CodeTrustMissing as long as
// nothing is.
func (k *Keeper) Bundle() (trust.Bundle, error) {
	if k.trusted == nil {
		return trust.Bundle{}, errs.New(errs.CodeTrustMissing, "cannot give out the trust metadata: not enough people have signed it").
			WithHint("see who is missing: hookline trust show")
	}
	return k.trusted.Bundle(), nil
}

// Anchor is what an enroll line names: the newest root in force, and the
// deployment. errs.CodeTrustMissing as long as nothing is in force.
func (k *Keeper) Anchor() (trust.Anchor, error) {
	b, err := k.Bundle()
	if err != nil {
		return trust.Anchor{}, err
	}
	return trust.Anchor{RootDigest: trust.Digest(b.Roots[len(b.Roots)-1]), Deployment: k.trusted.Policy().Deployment}, nil
}

// Policy is the policy in force, or where there is none the staged one.
func (k *Keeper) Policy() *signing.Policy { return k.inForceOrNext().policy }

func (k *Keeper) inForceOrNext() *targetsSheet {
	if k.force.targets != nil {
		return k.force.targets
	}
	return k.staged.targets
}
