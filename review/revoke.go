package review

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/signing"
)

const (
	atOnce    = 20 // versions that Enforce holds at a time; each has scripts and signatures
	maxRounds = 10 // of one version that others change
)

// Enforce closes the versions that do not count any more under the rules in
// force: what was revoked, and what is approved, active or paused although its
// signatures do not suffice any more. It is called at the start and after each
// change of the rules; after an error it is to be called again. A key outside
// its window closes nothing, for the clock may be wrong: there is no way back.
func (s *Service) Enforce(ctx context.Context) error {
	s.ruling.Lock() // who has looked at older rules is through now
	rules := s.Rules()
	s.ruling.Unlock()
	rules.Policy = timeless(rules.Policy)
	var failed []error
	for after := ""; ; {
		newest, err := s.Versions.Hooks(ctx, after, atOnce)
		if err != nil {
			return errors.Join(append(failed, err)...)
		}
		for _, l := range newest {
			failed = append(failed, s.enforceHook(ctx, rules, l.Version.Hook))
		}
		if len(newest) < atOnce {
			return errors.Join(failed...)
		}
		after = newest[len(newest)-1].Version.Hook
	}
}

func (s *Service) enforceHook(ctx context.Context, rules signing.Rules, hook string) error {
	var failed []error
	for below := int64(math.MaxInt64); ; {
		list, err := s.Versions.VersionsOf(ctx, hook, below, atOnce)
		if err != nil {
			return errors.Join(append(failed, err)...)
		}
		for _, l := range list {
			if err := s.enforce(ctx, rules, l); err != nil {
				failed = append(failed, fmt.Errorf("version %s: %w", l.Version.Digest, err))
			}
		}
		if len(list) < atOnce {
			return errors.Join(failed...)
		}
		below = list[len(list)-1].Version.Number
	}
}

// enforce closes one version where it must be, and ends what is out for one
// that is closed, be it since a crash.
func (s *Service) enforce(ctx context.Context, rules signing.Rules, l Life) error {
	for range maxRounds {
		why := broken(rules, l)
		if why == nil {
			return nil
		}
		reason := shortened(why.Error())
		if l.State() == hooks.StateRevoked {
			return s.withdraw(ctx, l, reason)
		}
		if _, err := hooks.Next(l.State(), hooks.EventRevoke); err != nil {
			return nil //nolint:nilerr // it is closed in another way
		}
		grant, err := s.Gate.Server(auth.HooksRevoke, target(l.Version.Digest), string(errs.CodeOf(why))+": "+reason)
		if err != nil {
			return err
		}
		err = s.Changes.Revoke(ctx, l.Version.Digest, l.State(), reason, s.now(), grant)
		if err != nil && !errs.Is(err, errs.CodeConflict) {
			return err
		}
		if l, err = s.Versions.Life(ctx, l.Version.Digest); err != nil { // others may have changed it, or only begun to
			return err
		}
	}
	return errs.New(errs.CodeConflict, "others change it all the time")
}

// withdraw ends what is out for a revoked version.
func (s *Service) withdraw(ctx context.Context, l Life, why string) error {
	if s.Revoked == nil || l.Activation == nil || l.Activation.Ledger.Leased == 0 {
		return nil
	}
	return s.Revoked(ctx, l.Version.Digest, why)
}

// broken says why a version has to be closed, nil where it may stay.
func broken(rules signing.Rules, l Life) error {
	v := l.Version
	switch l.State() {
	case hooks.StateApproved, hooks.StateActive, hooks.StatePaused:
		_, err := rules.Verify(v.Script, v.Statement, v.Signatures)
		return err
	case hooks.StateRevoked:
		if l.Activation != nil {
			return errs.New(errs.CodeRevoked, "%s", l.Activation.Reason)
		}
		return errs.New(errs.CodeRevoked, "the version is revoked")
	}
	if _, _, err := rules.Examine(v.Script, v.Statement, v.Signatures); errs.Is(err, errs.CodeRevoked) {
		return err
	}
	return nil
}

// timeless is the policy with every key at any time.
func timeless(p *signing.Policy) *signing.Policy {
	always := *p
	always.Persons = slices.Clone(p.Persons)
	for i := range always.Persons {
		always.Persons[i].Windows = nil
	}
	return &always
}

// shortened keeps a reason within its cap, whole characters, on one line.
func shortened(reason string) string {
	reason = strings.Join(strings.Fields(reason), " ")
	if len(reason) <= MaxReasonBytes {
		return reason
	}
	n := MaxReasonBytes
	for n > 0 && !utf8.RuneStart(reason[n]) {
		n--
	}
	return reason[:n]
}
