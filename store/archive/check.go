package archive

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/jobs"
	"hookline/review"
	"hookline/signing"
)

// checker holds the records of an archive, in their order, against what a
// server writes: unique values, references, and ledgers that fit their jobs. It
// remembers a few bytes of each record, however long its texts are.
type checker struct {
	unique      map[mark]struct{}  // values that only one record may have
	versions    map[mark]*signed   // by digest
	activations map[mark]*expected // by digest
	leases      map[mark]lease     // of those whose job is still to come
	pending     map[mark]int       // hook jobs by peer
	originals   map[mark]string    // the hook job that asks for one, until its report has come
	reports     map[mark]struct{}
	received    map[mark]int64 // bytes of the result that a job says it has
	comments    map[mark]int   // by version
	threads     map[mark]struct{}
	answers     map[mark]string // one of those to each thread
}

// mark stands for a value: enough of its SHA-256.
type mark [16]byte

// signed is a version.
type signed struct {
	hook     mark
	approved bool
	files    map[mark]struct{}
}

// expected is what the ledger of an activation says, and what its jobs add up to.
type expected struct {
	digest       string // for people
	says, counts hooks.Ledger
}

// lease is one that is out.
type lease struct {
	id      string // for people
	version mark
}

func newChecker() *checker {
	return &checker{
		unique: map[mark]struct{}{}, versions: map[mark]*signed{}, activations: map[mark]*expected{},
		leases: map[mark]lease{}, pending: map[mark]int{}, originals: map[mark]string{},
		reports: map[mark]struct{}{}, received: map[mark]int64{},
		comments: map[mark]int{}, threads: map[mark]struct{}{}, answers: map[mark]string{},
	}
}

func markOf(parts ...string) (m mark) {
	h := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	copy(m[:], h.Sum(nil))
	return m
}

// once refuses a value that another record has.
func (c *checker) once(what string, parts ...string) error {
	m := markOf(append(parts, what)...)
	if _, taken := c.unique[m]; taken {
		return fmt.Errorf("another one has the same %s", what)
	}
	c.unique[m] = struct{}{}
	return nil
}

// add looks at the next record.
func (c *checker) add(r Record) error {
	switch v := r.Value.(type) {
	case auth.User:
		return c.user(v)
	case auth.Token:
		return c.token(v)
	case enroll.Peer:
		return c.once("public key", v.SPKI)
	case review.Version:
		return c.version(v)
	case review.Review:
		return c.review(v)
	case Activation:
		return c.activation(v)
	case jobs.Job:
		return c.job(v)
	case collector.Problem:
		return atMost(v.Reports)
	case collector.Result:
		return c.result(v)
	case review.Comment:
		return c.comment(v)
	}
	return nil
}

func (c *checker) user(u auth.User) error {
	if err := atMost(u.Failures); err != nil {
		return err
	}
	for i, role := range u.Roles {
		if !role.Valid() {
			return fmt.Errorf("there is no role %q", clip(string(role)))
		}
		for _, other := range u.Roles[:i] {
			if role == other {
				return fmt.Errorf("it has the role %s twice", role)
			}
		}
	}
	return nil
}

func (c *checker) token(t auth.Token) error {
	switch t.Kind {
	case auth.TokenAPI, auth.TokenLogin, auth.TokenSession:
		return c.once("hash", string(t.Hash[:]))
	}
	return fmt.Errorf("there is no kind of token %q", clip(string(t.Kind)))
}

func (c *checker) version(v review.Version) error {
	switch v.State {
	case hooks.StateSubmitted, hooks.StateChangesRequested, hooks.StateRejected, hooks.StateApproved, hooks.StateRevoked:
	default:
		return fmt.Errorf("a version is never %q", clip(string(v.State)))
	}
	switch {
	case v.Digest != hooks.Digest(v.Statement):
		return errors.New("its digest is not that of its statement")
	case v.Number < 1 || v.Number > hooks.MaxInteger:
		return fmt.Errorf("it cannot have the number %d", v.Number)
	case len(v.Manifest) > hooks.MaxManifestBytes, len(v.Script) > hooks.MaxScriptBytes, len(v.Statement) > hooks.MaxStatementBytes:
		return errors.New("its manifest, script or statement is longer than people may submit")
	case len(v.Signatures) == 0:
		return errors.New("it has no signature file")
	}
	s := &signed{hook: markOf(v.Hook), approved: v.State == hooks.StateApproved, files: map[mark]struct{}{}}
	for _, file := range v.Signatures {
		if len(file) > signing.MaxSignatureFileBytes {
			return errors.New("a signature file is longer than people may submit")
		}
		s.files[markOf(string(file))] = struct{}{}
	}
	c.versions[markOf(v.Digest)] = s
	return c.once("hook and number", v.Hook, fmt.Sprint(v.Number))
}

func (c *checker) review(r review.Review) error {
	v, ok := c.versions[markOf(r.Version)]
	if !ok {
		return errors.New("there is no such version")
	}
	if r.Signature != nil {
		if _, there := v.files[markOf(string(r.Signature))]; !there {
			return errors.New("its signature file is not among those of its version")
		}
	}
	if err := c.once("review id", r.ID); err != nil {
		return err
	}
	switch r.Verdict {
	case review.VerdictApprove:
		return c.once("version and approving key", r.Version, r.KeyID)
	case review.VerdictReject, review.VerdictRequestChanges:
		return nil
	}
	return fmt.Errorf("there is no verdict %q", clip(string(r.Verdict)))
}

func (c *checker) activation(a Activation) error {
	switch a.State {
	case hooks.StateActive, hooks.StatePaused, hooks.StateExpired, hooks.StateSuperseded, hooks.StateDisabled, hooks.StateRevoked:
	default:
		return fmt.Errorf("an activation is never %q", clip(string(a.State)))
	}
	l := a.Ledger
	err := atMost(a.Quantity, a.MaxBytes, a.Rollout.Percent, a.Rollout.PerMinute, l.Issued, l.Leased, l.Received, l.Empty,
		l.Failed, l.Refused, l.Deferred, l.Cancelled, l.TimedOut, l.Bytes, l.Reserved)
	if err == nil {
		err = l.Check(a.Quantity, a.MaxBytes)
	}
	if err == nil {
		err = c.leasesOf(a)
	}
	if err != nil {
		return err
	}
	v, ok := c.versions[markOf(a.Digest)]
	if !ok || v.hook != markOf(a.Hook) || !v.approved {
		return fmt.Errorf("there is no such version of hook %q that is approved", clip(a.Hook))
	}
	c.activations[markOf(a.Digest)] = &expected{digest: clip(a.Digest), says: l}
	if a.State == hooks.StateActive {
		return c.once("hook that is active", a.Hook)
	}
	return nil
}

// leasesOf holds the leases that are out against what the ledger counts.
func (c *checker) leasesOf(a Activation) error {
	var reserved int64
	for i, l := range a.Leases {
		if l.ID == "" || len(l.ID) > maxKey || strings.ContainsAny(l.ID, ".$\x00") || i > 0 && l.ID <= a.Leases[i-1].ID {
			return fmt.Errorf("the lease %q has no id of one, or not its place", clip(l.ID))
		}
		if err := atMost(l.Reserved); err != nil {
			return err
		}
		if err := c.once("lease", l.ID); err != nil {
			return err
		}
		reserved += l.Reserved
		c.leases[markOf(l.ID)] = lease{clip(l.ID), markOf(a.Digest)}
	}
	if int64(len(a.Leases)) != a.Ledger.Leased || reserved != a.Ledger.Reserved {
		return fmt.Errorf("it has %d leases with %d bytes, and its ledger counts %d with %d", len(a.Leases), reserved, a.Ledger.Leased, a.Ledger.Reserved)
	}
	return nil
}

// atMost refuses numbers that no counter reaches, so that none overflows.
func atMost(numbers ...int64) error {
	for _, n := range numbers {
		if n < 0 || n > hooks.MaxInteger {
			return fmt.Errorf("it cannot count %d", n)
		}
	}
	return nil
}
