package review

import (
	"context"
	"fmt"
	"strings"
	"time"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
)

// Leases a minute of an activation.
const (
	DefaultPerMinute = 600
	MaxPerMinute     = 6000
)

// Activate starts an approved version, or starts again one that was paused,
// expired, disabled or superseded, within its signed bounds: at most quantity
// results until deadline, on percent of the peers (0: the signed
// max_percent), at most per-minute leases (0: 600). The signatures are
// verified again. Any other active version of the hook is superseded.
//
// The ledger of a version goes on when it is started again, so that quantity
// counts what it has brought before too.
func (s *Service) Activate(ctx context.Context, p auth.Principal, digest string, quantity int64, deadline time.Time, r hooks.Rollout) (Life, error) {
	return s.start(ctx, p, digest, "", bounds{quantity, deadline, r}, func(l Life) (hooks.State, error) {
		return next(l.State(), hooks.EventActivate)
	})
}

// Bounds changes quantity, deadline and rollout of an active version within
// its signed bounds, by the rules of Activate; it stays active, and its ledger
// goes on. What is out already may still bring its result within the quantity.
func (s *Service) Bounds(ctx context.Context, p auth.Principal, digest string, quantity int64, deadline time.Time, r hooks.Rollout) (Life, error) {
	return s.start(ctx, p, digest, "new bounds: ", bounds{quantity, deadline, r}, func(l Life) (hooks.State, error) {
		if from := l.State(); from != hooks.StateActive {
			return "", errs.New(errs.CodeTransitionNotAllowed, "cannot change the bounds of a hook version that is %s", from).
				WithHint("only an active version has bounds to change; activate it with others: hookline hook activate")
		}
		return hooks.StateActive, nil
	})
}

// bounds is what an operator asks for; what is zero was left open.
type bounds struct {
	quantity int64
	deadline time.Time
	rollout  hooks.Rollout
}

func (b bounds) String() string {
	var words []string
	if b.quantity != 0 {
		words = append(words, fmt.Sprintf("quantity %d", b.quantity))
	}
	if !b.deadline.IsZero() {
		words = append(words, "until "+b.deadline.UTC().Format(time.RFC3339))
	}
	if b.rollout.Percent != 0 {
		words = append(words, fmt.Sprintf("percent %d", b.rollout.Percent))
	}
	if b.rollout.PerMinute != 0 {
		words = append(words, fmt.Sprintf("per minute %d", b.rollout.PerMinute))
	}
	if len(words) == 0 {
		return "at its signed bounds"
	}
	return strings.Join(words, ", ")
}

// start makes a version active within bounds, where allowed says that it may.
func (s *Service) start(ctx context.Context, p auth.Principal, digest, what string, b bounds, allowed func(Life) (hooks.State, error)) (Life, error) {
	if err := checkDigest(digest); err != nil {
		return Life{}, err
	}
	grant, err := s.Gate.Authorize(ctx, p, auth.HooksActivate, target(digest), what+b.String())
	if err != nil {
		return Life{}, err
	}
	life, err := s.Versions.Life(ctx, digest)
	if err != nil {
		return Life{}, err
	}
	to, err := allowed(life)
	if err != nil {
		return Life{}, err
	}
	s.ruling.RLock()
	defer s.ruling.RUnlock()
	st, err := s.verified(life.Version)
	if err != nil {
		return Life{}, err
	}
	a, err := s.activation(life, st.Predicate, b)
	if err != nil {
		return Life{}, err
	}
	a.State = to
	if err := s.Changes.Activate(ctx, a, life.State(), grant); err != nil {
		return Life{}, err
	}
	if s.Activated != nil {
		s.Activated(digest)
	}
	return s.Versions.Life(ctx, digest)
}

// verified checks signatures, threshold and window now, with the code that
// the peers use: the row in the store proves nothing.
func (s *Service) verified(v Version) (hooks.Statement, error) {
	ok, err := s.Rules().Verify(v.Script, v.Statement, v.Signatures)
	if err != nil {
		return hooks.Statement{}, err
	}
	now := s.now()
	if err := ok.CheckWindow(now, now); err != nil {
		return hooks.Statement{}, err
	}
	return ok.Statement(), nil
}

// activation makes the row within the signed bounds.
func (s *Service) activation(life Life, p hooks.Predicate, b bounds) (hooks.Activation, error) {
	now := s.now()
	a := hooks.Activation{
		Digest: life.Version.Digest, Hook: p.Hook, Keys: p.Match.Keys(),
		Quantity: b.quantity, Deadline: b.deadline.UTC().Truncate(time.Millisecond), MaxBytes: p.MaxBytes,
		Rollout: withDefaults(b.rollout, p), CreatedAt: now, ChangedAt: now,
	}
	if old := life.Activation; old != nil {
		a.Ledger, a.CreatedAt = old.Ledger, old.CreatedAt
	}
	if err := checkBounds(a, p, now); err != nil {
		return hooks.Activation{}, err
	}
	return a, checkRoom(a)
}

func withDefaults(r hooks.Rollout, p hooks.Predicate) hooks.Rollout {
	if r.Percent == 0 {
		r.Percent = p.MaxPercent
	}
	if r.PerMinute == 0 {
		r.PerMinute = DefaultPerMinute
	}
	return r
}

// checkBounds holds what an operator asks for against what people signed.
func checkBounds(a hooks.Activation, p hooks.Predicate, now time.Time) error {
	bound := func(field, format string, args ...any) error {
		return errs.New(errs.CodeBoundExceeded, format, args...).At(field).
			WithHint("an activation can only narrow what was signed; a wider one needs a new version")
	}
	end := time.Unix(p.NotAfter, 0).UTC()
	switch {
	case a.Quantity < 1 || a.Quantity > p.MaxReports:
		return bound("quantity", "it is not between 1 and the signed max_reports %d", p.MaxReports)
	case !a.Deadline.After(now):
		return bound("deadline", "it is not after now, %s", now.Format(time.RFC3339))
	case a.Deadline.After(end):
		return bound("deadline", "it is after the signed not_after %s", end.Format(time.RFC3339))
	case a.Rollout.Percent < 1 || a.Rollout.Percent > p.MaxPercent:
		return bound("percent", "it is not between 1 and the signed max_percent %d", p.MaxPercent)
	case a.Rollout.PerMinute < 1 || a.Rollout.PerMinute > MaxPerMinute:
		return bound("per_minute", "it is not between 1 and %d", MaxPerMinute)
	}
	return nil
}

// checkRoom refuses to start what would stop at once, and keeps received +
// leased ≤ quantity where quantity becomes smaller.
func checkRoom(a hooks.Activation) error {
	l := a.Ledger
	switch {
	case l.Received+l.Leased >= a.Quantity:
		return errs.New(errs.CodeQuantityReached, "%d results are in and %d are on their way", l.Received, l.Leased).
			At("quantity").WithHint("ask for more than %d", l.Received+l.Leased)
	case l.Bytes >= a.MaxBytes:
		return errs.New(errs.CodeBytesReached, "its results have reached the signed max_bytes %d", a.MaxBytes).
			At("max_bytes").WithHint("submit a new version")
	case a.OverIssued():
		return errs.New(errs.CodeErrorRate, "%d jobs were issued for %d results", l.Issued, l.Received).
			At("quantity").WithHint("raise the quantity, or submit a version that fails less")
	}
	return nil
}
