package review

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/signing"
)

// maxAhead is how far not_before may lie ahead, for clocks that differ. More
// would let signatures of today be used in years: max_lifetime bounds the
// length of the window, not where it lies.
const maxAhead = 24 * time.Hour

// Submit takes a new version: the manifest as the author wrote it, the
// script, the statement made of both, and the author's signature file.
//
// Everything is checked before anything is stored: sizes, the manifest, the
// script, the author's signature under the policy, the window, that the
// number is the next one, and that the manifest says what the statement says,
// so that nobody is shown another one than was signed. Where the policy needs
// no reviewer the version is approved at once.
func (s *Service) Submit(ctx context.Context, p auth.Principal, manifest, script, statement, signature []byte) (Life, error) {
	if err := checkSizes(manifest, script, statement, signature); err != nil {
		return Life{}, err
	}
	digest := hooks.Digest(statement)
	grant, err := s.Gate.Authorize(ctx, p, auth.HooksSubmit, target(digest), "submit")
	if err != nil {
		return Life{}, err
	}
	s.ruling.RLock()
	defer s.ruling.RUnlock()
	st, standing, err := s.examine(manifest, script, statement, signature)
	if err != nil {
		return Life{}, err
	}
	if err := s.checkNumber(ctx, st.Predicate); err != nil {
		return Life{}, err
	}
	state := hooks.StateSubmitted
	if standing.Met() {
		if state, err = next(state, hooks.EventApprove); err != nil {
			return Life{}, err
		}
	}
	v := Version{
		Digest: digest, Hook: st.Predicate.Hook, Number: st.Predicate.Version, State: state,
		Manifest: bytes.Clone(manifest), Script: bytes.Clone(script), Statement: bytes.Clone(statement),
		Signatures: [][]byte{bytes.Clone(signature)}, SubmittedBy: p.User, SubmittedAt: s.now(),
	}
	if err := s.Changes.AddVersion(ctx, v, grant); err != nil {
		return Life{}, err
	}
	return s.Versions.Life(ctx, digest)
}

// checkSizes refuses what no later check needs to look at.
func checkSizes(manifest, script, statement, signature []byte) error {
	for _, part := range []struct {
		name string
		got  []byte
		most int
	}{
		{"manifest", manifest, hooks.MaxManifestBytes},
		{"script", script, hooks.MaxScriptBytes},
		{"statement", statement, hooks.MaxStatementBytes},
		{"signature", signature, signing.MaxSignatureFileBytes},
	} {
		if len(part.got) == 0 {
			return errs.New(errs.CodeBadInput, "it is missing").At(part.name)
		}
		if len(part.got) > part.most {
			return errs.New(errs.CodeTooLarge, "it is longer than %d bytes", part.most).At(part.name)
		}
		if n := lines(part.got); n > MaxLines {
			return errs.New(errs.CodeTooLarge, "it has %d lines, at most %d: people are to read them", n, MaxLines).At(part.name)
		}
	}
	return nil
}

// examine checks the four parts against each other and the policy.
func (s *Service) examine(manifest, script, statement, signature []byte) (hooks.Statement, signing.Standing, error) {
	var none hooks.Statement
	if err := hooks.CheckScript(script); err != nil {
		return none, signing.Standing{}, err
	}
	m, err := hooks.ParseManifest(manifest)
	if err != nil {
		return none, signing.Standing{}, err
	}
	st, standing, err := s.Rules().Examine(script, statement, [][]byte{signature})
	if err != nil {
		return none, signing.Standing{}, err
	}
	if end := time.Unix(st.Predicate.NotAfter, 0); !s.now().Before(end) {
		return none, signing.Standing{}, errs.New(errs.CodeExpired, "cannot take the version: it was valid until %s",
			end.UTC().Format(time.RFC3339)).At("predicate.not_after").WithHint("submit again; check the clock of your machine")
	}
	if start := time.Unix(st.Predicate.NotBefore, 0); start.After(s.now().Add(maxAhead)) {
		return none, signing.Standing{}, errs.New(errs.CodeNotYetValid, "cannot take the version: it is valid from %s only",
			start.UTC().Format(time.RFC3339)).At("predicate.not_before").WithHint("submit it when it is to run; check the clock of your machine")
	}
	return st, standing, agree(m, st, script)
}

// agree refuses a manifest that says something else than the statement: bound
// to the same deployment, author, number and start it must give the very
// statement that was signed.
func agree(m hooks.Manifest, st hooks.Statement, script []byte) error {
	p := st.Predicate
	made, err := m.Statement(hooks.Binding{
		Deployment: p.Deployment, Author: p.Author, Version: p.Version, Now: time.Unix(p.NotBefore, 0).UTC(),
	}, script)
	if err != nil {
		return err
	}
	want, err := made.Canonical()
	if err != nil {
		return err
	}
	got, err := st.Canonical()
	if err != nil {
		return err
	}
	if !bytes.Equal(want, got) {
		return errs.New(errs.CodeBadManifest, "the manifest does not say what the signed statement says").
			At(firstDifference(made.Predicate, p)).WithHint("submit with: hookline hook submit, which makes both from one file")
	}
	return nil
}

// firstDifference names a member of the predicate in which two differ.
func firstDifference(a, b hooks.Predicate) string {
	for _, f := range []struct {
		name string
		a, b any
	}{
		{"hook", a.Hook, b.Hook},
		{"level", a.Level, b.Level},
		{"match", a.Match, b.Match},
		{"capabilities", a.Capabilities, b.Capabilities},
		{"as", a.As, b.As},
		{"fields", a.Fields, b.Fields},
		{"limits.lifetime", a.NotAfter, b.NotAfter},
		{"limits.max_reports", a.MaxReports, b.MaxReports},
		{"limits.max_runs_per_peer", a.MaxRunsPerPeer, b.MaxRunsPerPeer},
		{"limits.max_percent", a.MaxPercent, b.MaxPercent},
		{"limits.max_bytes", a.MaxBytes, b.MaxBytes},
		{"limits.max_result_bytes", a.MaxResultBytes, b.MaxResultBytes},
		{"limits.max_runtime", a.MaxRuntimeMS, b.MaxRuntimeMS},
	} {
		if fmt.Sprint(f.a) != fmt.Sprint(f.b) {
			return f.name
		}
	}
	return "manifest"
}

// checkNumber refuses any number but the next: the store refuses a taken one
// again where two authors submit at the same moment.
func (s *Service) checkNumber(ctx context.Context, p hooks.Predicate) error {
	latest, err := s.Versions.LatestNumber(ctx, p.Hook)
	if err != nil {
		return err
	}
	if p.Version != latest+1 {
		return errs.New(errs.CodeVersionTaken, "the next version of %s is %d, not %d", p.Hook, latest+1, p.Version).
			At("predicate.version").WithHint("submit again; the command takes the next number")
	}
	return nil
}
