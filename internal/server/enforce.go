package server

import (
	"context"
	"sync"
	"time"

	"hookline/collector"
	"hookline/internal/errs"
	"hookline/review"
	"hookline/signing"
	"hookline/signing/trust"
)

const (
	enforceAgain = 2 * time.Second // after an error, such as a store that is away
	freshEvery   = time.Minute
	verdictFor   = 10 * time.Second // windows of keys open and end
	maxVerdicts  = 10_000
)

// enforceLoop closes what does not count any more, at the start, when a
// revocation may have come just before a crash, and after each change.
func (s *Server) enforceLoop(ctx context.Context) {
	for {
		_, changed := s.trust.Bundle()
		var again <-chan time.Time
		if err := s.review.Enforce(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "cannot close every version that does not count any more; it is tried again", "error", err)
			again = time.After(enforceAgain)
		}
		select {
		case <-changed:
		case <-again:
		case <-ctx.Done():
			return
		}
	}
}

// verdicts remembers for a moment what the verifier said: one report can lead
// to many questions about one version. The zero value is ready.
type verdicts struct {
	mu    sync.Mutex
	under *trusted
	all   map[string]verdict
}

type verdict struct {
	refused *errs.Error
	until   time.Time
	files   int
}

// refused says why a version does not count, nil where it does.
func (v *verdicts) refused(under *trusted, rules signing.Rules, of review.Version) *errs.Error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.under != under || len(v.all) >= maxVerdicts {
		v.under, v.all = under, map[string]verdict{}
	}
	if known, ok := v.all[of.Digest]; ok && rules.Now.Before(known.until) && known.files == len(of.Signatures) {
		return known.refused
	}
	one := verdict{until: rules.Now.Add(verdictFor), files: len(of.Signatures)}
	if _, err := rules.Verify(of.Script, of.Statement, of.Signatures); err != nil {
		coded, ok := errs.As(err)
		if !ok {
			coded = errs.Wrap(errs.CodeInternal, err, "cannot verify the version")
		}
		one.refused = coded
	}
	v.all[of.Digest] = one
	return one.refused
}

// signed hands out what people signed, for peers to check.
func (s *Server) signed(ctx context.Context, version string) (collector.Signed, error) {
	l, err := s.db.Life(ctx, version)
	if err != nil {
		return collector.Signed{}, err
	}
	v, under, now := l.Version, s.trust.newest(), s.cfg.Now()
	return collector.Signed{
		Statement: v.Statement, Script: v.Script, Signatures: v.Signatures,
		Refused: s.verdicts.refused(under, under.Rules(under.Floor(now), now), v),
	}, nil
}

// freshLoop warns in the log when the metadata gets old, once for each step,
// until ctx is over.
func (s *Server) freshLoop(ctx context.Context, tick <-chan time.Time) {
	said := 0.0
	for {
		t, now := s.trust.newest(), s.cfg.Now()
		f := t.Freshness(now)
		step := stepOf(f.Share)
		if step > said {
			s.warnOld(ctx, f, step)
		}
		said = step
		select {
		case <-tick:
		case <-t.changed:
		case <-ctx.Done():
			return
		}
	}
}

// stepOf is the last step that a share has reached, 0 before the first.
func stepOf(share float64) float64 {
	for _, step := range []float64{1, trust.AlarmShare, trust.WarnShare} {
		if share >= step {
			return step
		}
	}
	return 0
}

// notice is what the pages say of old metadata.
func (s *Server) notice() string {
	f := s.trust.newest().Freshness(s.cfg.Now())
	until := f.Expires.UTC().Format(time.RFC3339)
	switch step := stepOf(f.Share); {
	case step >= 1:
		return "The trust metadata expired at " + until + ": peers run no hooks until somebody runs hookline trust freshen."
	case step > 0:
		return "The trust metadata expires at " + until + ", and then peers run no hooks: run hookline trust freshen."
	}
	return ""
}

func (s *Server) warnOld(ctx context.Context, f trust.Freshness, step float64) {
	args := []any{"role", f.Role, "expires", f.Expires.UTC().Format(time.RFC3339), "percent", int(f.Share * 100), "hint", "run: hookline trust freshen"}
	if step >= 1 {
		s.log.ErrorContext(ctx, "the trust metadata has expired: peers run no hooks", args...)
		return
	}
	s.log.WarnContext(ctx, "the trust metadata gets old; when it expires peers run no hooks", args...)
}
