package guard

import (
	"os"
	"path/filepath"
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
	Profile    signing.Profile `json:"profile"`   // that the owner accepted
	EnrolledAt time.Time       `json:"enrolled_at"`
}

// PeerID is the peer's id at the server.
func (p Pin) PeerID() string { return p.PeerSPKI[:min(32, len(p.PeerSPKI))] }

// Enrolment is what an owner decided to trust.
type Enrolment struct {
	Anchor     trust.Anchor
	Policy     []byte
	PeerSPKI   string
	AcceptSolo bool // the owner knows that one person signs alone
	Replace    bool // an older pin may go
	Now        func() time.Time
}

// Enroll pins an enrolment in the guard's folder. A policy whose profile is
// solo needs the owner's own acceptance; an existing pin needs Replace, and
// then its counters go on. The guard must not run meanwhile.
func Enroll(dir string, e Enrolment) error {
	policy, err := e.Anchor.Policy(e.Policy)
	if err != nil {
		return err
	}
	if policy.Profile == signing.ProfileSolo && !e.AcceptSolo {
		return errs.New(errs.CodeEnrollRefused, "cannot enrol: in this deployment one person signs alone (profile solo)").
			WithHint("if you trust that person with this machine, add --accept-solo; you are asked before each run")
	}
	if len(e.PeerSPKI) != 64 {
		return errs.New(errs.CodeInternal, "cannot enrol: the peer's own key has no digest")
	}
	if err := prepare(dir); err != nil {
		return err
	}
	held, err := lock(dir)
	if err != nil {
		return err
	}
	defer held.Close()
	if Enrolled(dir) && !e.Replace {
		return alreadyEnrolled()
	}
	return e.write(dir, policy)
}

func (e Enrolment) write(dir string, policy *signing.Policy) error {
	state, err := openLedger(dir)
	if err != nil {
		return err
	}
	record, err := OpenRecord(dir, state.now.Record, e.Now)
	if err != nil {
		return err
	}
	defer func() { _ = record.Close() }()
	uid := os.Getuid()
	entry := Entry{Kind: KindEnrolled, UID: &uid, Reason: "deployment " + e.Anchor.Deployment +
		", policy " + e.Anchor.PolicyDigest + ", profile " + string(policy.Profile)}
	if err := record.Append(entry); err != nil {
		return err
	}
	pin, err := encode(Pin{
		Anchor: e.Anchor, PeerSPKI: e.PeerSPKI, Profile: policy.Profile,
		EnrolledAt: e.Now().UTC().Truncate(time.Millisecond),
	})
	if err != nil {
		return err
	}
	if err := writeAtomic(dir, policyName, e.Policy); err != nil {
		return err
	}
	return writeAtomic(dir, pinFile, pin)
}

// Enrolled reports whether dir holds a pin.
func Enrolled(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, pinFile))
	return err == nil
}

// CheckFree refuses an enrolment over an existing pin, before anything is
// asked of a server.
func CheckFree(dir string, replace bool) error {
	if Enrolled(dir) && !replace {
		return alreadyEnrolled()
	}
	return nil
}

func alreadyEnrolled() error {
	return errs.New(errs.CodeConflict, "cannot enrol: this machine is enrolled already").
		WithHint("to trust another deployment or policy instead, add --replace; the record says so")
}

// loadPin reads the pin and the policy that it names.
func loadPin(dir string) (Pin, *signing.Policy, error) {
	b, err := readCapped(filepath.Join(dir, pinFile), maxPinBytes)
	if os.IsNotExist(err) {
		return Pin{}, nil, errs.New(errs.CodeNotEnrolled, "cannot open the guard: this machine is not enrolled").
			WithHint("hookline-peer enroll LINE")
	}
	if err != nil {
		return Pin{}, nil, readError(err)
	}
	var pin Pin
	if err := decodeOwn(pinFile, b, &pin); err != nil {
		return Pin{}, nil, err
	}
	file, err := readCapped(filepath.Join(dir, policyName), signing.MaxPolicyBytes)
	if err != nil {
		return Pin{}, nil, readError(err)
	}
	policy, err := pin.Anchor.Policy(file)
	if err != nil {
		return Pin{}, nil, err
	}
	if policy.Profile != pin.Profile {
		return Pin{}, nil, errs.New(errs.CodePolicyInvalid, "the policy's profile is %s, the owner accepted %s", policy.Profile, pin.Profile)
	}
	return pin, policy, nil
}

func readError(err error) error {
	if os.IsPermission(err) {
		return errs.Wrap(errs.CodeForbidden, errs.Plain(err), "cannot read the guard's folder").
			WithHint("run it as root or as the user who runs hookline-peer")
	}
	return err
}
