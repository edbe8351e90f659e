package guard

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/trust"
)

const maxPinBytes = 64 << 10

// Pin is what this machine trusts. It is written at enrolment and replaced
// only by enrolling again on the machine itself.
type Pin struct {
	Anchor     trust.Anchor    `json:"anchor"`
	PeerSPKI   string          `json:"peer_spki"` // hex SHA-256 of the peer's own key, which decides percentages
	Profile    signing.Profile `json:"profile"`   // that the owner accepted: solo accepts team, too
	EnrolledAt time.Time       `json:"enrolled_at"`
}

// PeerID is the peer's id at the server.
func (p Pin) PeerID() string { return p.PeerSPKI[:min(32, len(p.PeerSPKI))] }

// Enrolment is what an owner decided to trust.
type Enrolment struct {
	Anchor     trust.Anchor
	Trust      []byte // the encoded bundle, as the server gave it
	PeerSPKI   string
	AcceptSolo bool // the owner knows that one person signs alone
	Replace    bool // another root may take the place of the pinned one
	Now        func() time.Time
	Boot       func() Boot // nil is the kernel's
}

// Enroll pins an enrolment in the guard's folder. A policy whose profile is
// solo needs the owner's own acceptance. Where a root is pinned already, an
// enrolment of the same root goes on from it and nothing that was seen is
// forgotten; one of another root needs Replace (errs.CodeTrustRoot), and then
// run counts, highest versions and revocations stay, while trusted time begins
// anew and what waits for the owner goes. Each is recorded, the refused ones
// too. The guard must not run meanwhile.
func Enroll(dir string, e Enrolment) error {
	bundle, err := trust.ParseBundle(e.Trust)
	if err != nil {
		return err
	}
	fresh, err := e.Anchor.Open(bundle)
	if err != nil {
		return err
	}
	if fresh.Policy().Profile == signing.ProfileSolo && !e.AcceptSolo {
		return errs.New(errs.CodeEnrollRefused, "cannot enrol: in this deployment one person signs alone (profile solo)").
			WithHint("if you trust that person with this machine, add --accept-solo; you are asked before each run")
	}
	if len(e.PeerSPKI) != 64 {
		return errs.New(errs.CodeInternal, "cannot enrol: the peer's own key has no digest")
	}
	return withFolder(dir, e.Now, func(f *folder) error { return f.enroll(e, fresh, bundle) })
}

// CheckEnrolment refuses an enrolment that cannot be one, before anything is
// asked of a server: one of another deployment over a pinned root. Whether the
// root is another one shows when the metadata is there.
func CheckEnrolment(dir string, a trust.Anchor, replace bool, now func() time.Time) error {
	if !Enrolled(dir) || replace {
		return nil
	}
	return withFolder(dir, now, func(f *folder) error {
		pin, err := loadPin(dir)
		if err != nil || pin.Anchor.Deployment == a.Deployment {
			return err
		}
		return f.refuse(pin, a)
	})
}

// folder is a guard's folder that no guard runs on.
type folder struct {
	dir    string
	state  *ledger
	record *Record
}

func withFolder(dir string, now func() time.Time, do func(*folder) error) error {
	if err := prepare(dir); err != nil {
		return err
	}
	held, err := lock(dir)
	if err != nil {
		return err
	}
	defer held.Close()
	state, err := openLedger(dir)
	if err != nil {
		return err
	}
	record, err := OpenRecord(dir, state.now.Record, now)
	if err != nil {
		return err
	}
	return errors.Join(do(&folder{dir: dir, state: state, record: record}), record.Close())
}

// refuse records an enrolment that brought another root.
func (f *folder) refuse(pin Pin, a trust.Anchor) error {
	err := errs.New(errs.CodeTrustRoot, "cannot enrol: this machine trusts another root, %.16s… of deployment %s", pin.Anchor.RootDigest, pin.Anchor.Deployment).
		WithHint("to trust the root of this line instead, add --replace; the record says so")
	uid := os.Getuid()
	return errors.Join(err, f.record.Append(Entry{
		Kind: KindEnrolled, UID: &uid, Decision: "refused", Code: string(errs.CodeTrustRoot),
		Reason: "root " + a.RootDigest + " of deployment " + a.Deployment + " instead of " + pin.Anchor.RootDigest + " of deployment " + pin.Anchor.Deployment,
	}))
}

func (f *folder) enroll(e Enrolment, fresh *trust.Trusted, bundle trust.Bundle) error {
	known, err := loadRemembered(f.dir)
	if err != nil {
		return err
	}
	old, next, err := f.goOn(e, fresh, bundle, known)
	if err != nil {
		return err
	}
	pin := Pin{
		Anchor: next.Anchor(), PeerSPKI: e.PeerSPKI, Profile: next.Policy().Profile,
		EnrolledAt: e.Now().UTC().Truncate(time.Millisecond),
	}
	if old != nil && old.Anchor == pin.Anchor && old.Profile == signing.ProfileSolo {
		pin.Profile = old.Profile
	}
	known, err = known.with(pin.Anchor.Deployment, next.Revoked())
	if err != nil {
		return err
	}
	if err := f.record.Append(enrolled(pin, next, old)); err != nil {
		return err
	}
	boot := e.Boot
	if boot == nil {
		boot = systemBoot()
	}
	f.state.raise = func(floor Floor) Floor { return floor.raised(boot(), next.Floor(e.Now())) }
	return f.write(pin, next, known, old != nil && old.Anchor != pin.Anchor)
}

// goOn finds out whether an enrolment goes on from the root that is pinned:
// then next is what was known, and newer.
func (f *folder) goOn(e Enrolment, fresh *trust.Trusted, bundle trust.Bundle, known remembered) (old *Pin, next *trust.Trusted, err error) {
	if !Enrolled(f.dir) {
		return nil, fresh, nil
	}
	pin, err := loadPin(f.dir)
	if err != nil {
		if e.Replace {
			return &Pin{}, fresh, nil // a pin that cannot be read is another one
		}
		return nil, nil, err
	}
	trusted, err := loadTrusted(f.dir, pin, known)
	if err != nil {
		// What was known cannot be read back: the pinned root itself is all
		// that an enrolment can go on from.
		if !e.Replace && pin.Anchor != e.Anchor {
			return nil, nil, f.refuse(pin, e.Anchor)
		}
		return &pin, fresh, nil
	}
	next, err = trusted.Update(bundle)
	switch {
	case err == nil && (sameRoot(next, fresh) || sameRoot(trusted, fresh)):
		return &pin, next, nil
	case err != nil && sameRoot(trusted, fresh): // the same, and older than what was seen
		return nil, nil, err
	}
	if !e.Replace {
		return nil, nil, f.refuse(pin, e.Anchor)
	}
	return &pin, fresh, nil
}

// sameRoot reports whether one of the two chains of roots leads to the other:
// either was verified from its own anchor on.
func sameRoot(a, b *trust.Trusted) bool {
	has := func(t, of *trust.Trusted) bool {
		first := of.Bundle().Roots[0] // that of its anchor
		return slices.ContainsFunc(t.Bundle().Roots, func(root []byte) bool { return trust.SameRoot(root, first) })
	}
	if a.Anchor().Deployment != b.Anchor().Deployment {
		return false
	}
	return has(a, b) || has(b, a)
}

// enrolled is an enrolment's line in the record.
func enrolled(pin Pin, t *trust.Trusted, old *Pin) Entry {
	uid := os.Getuid()
	e := Entry{Kind: KindEnrolled, UID: &uid, Decision: "pinned", Trust: noteOf(t, 0), Reason: "deployment " + pin.Anchor.Deployment +
		", root " + pin.Anchor.RootDigest + ", profile " + string(pin.Profile)}
	switch {
	case old == nil:
	case *old == (Pin{}):
		e.Decision = "replaced"
		e.Reason += "; the pin of before could not be read"
	case old.Anchor == pin.Anchor:
		e.Decision = "continued"
	default:
		e.Decision = "replaced"
		e.Reason += "; before: deployment " + old.Anchor.Deployment + ", root " + old.Anchor.RootDigest
	}
	return e
}

// write puts an enrolment on disk, the pin last: with it the folder is
// complete. Revocations come first, so that none is lost on the way.
func (f *folder) write(pin Pin, t *trust.Trusted, known remembered, another bool) error {
	b, err := encode(pin)
	if err != nil {
		return err
	}
	if err := known.save(f.dir); err != nil {
		return err
	}
	if another {
		// The metadata of another root is nothing to the pin that is still
		// there: without any the guard does not start until this is done.
		if err := removeSynced(f.dir, trustFile); err != nil {
			return writeError(err, trustFile)
		}
	}
	err = f.state.update(func(s *State) {
		if another {
			s.Floor, s.Warned, s.Pending, s.Grants = Floor{}, Warned{}, nil, nil
		}
		s.dropRevoked(t.Revoked())
	})
	if err != nil {
		return err
	}
	if another {
		err = errors.Join(writeAtomic(f.dir, pinFile, b), saveTrusted(f.dir, t))
	} else {
		err = errors.Join(saveTrusted(f.dir, t), writeAtomic(f.dir, pinFile, b))
	}
	return err
}

// Enrolled reports whether dir holds a pin.
func Enrolled(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, pinFile))
	return err == nil
}

// loadPin reads the pin.
func loadPin(dir string) (Pin, error) {
	b, err := readCapped(filepath.Join(dir, pinFile), maxPinBytes)
	if os.IsNotExist(err) {
		return Pin{}, errs.New(errs.CodeNotEnrolled, "cannot open the guard: this machine is not enrolled").
			WithHint("hookline-peer enroll LINE")
	}
	if err != nil {
		return Pin{}, readError(err)
	}
	var pin Pin
	return pin, decodeOwn(pinFile, b, &pin)
}

func readError(err error) error {
	if os.IsPermission(err) {
		return errs.Wrap(errs.CodeForbidden, errs.Plain(err), "cannot read the guard's folder").
			WithHint("run it as root or as the user who runs hookline-peer")
	}
	return err
}
