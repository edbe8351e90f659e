package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/trust"

	"github.com/spf13/cobra"
)

const (
	statementName    = "statement.json"
	signaturePattern = "*.sigstore.json"
)

// Checks that come before those of signing.Rules.
const (
	checkFresh   = "freshness"
	checkDigest  = "digest"
	checkVersion = "version"
)

// verification is what verify found.
type verification struct {
	Version     string         `json:"version,omitempty"` // as the statement has it
	Digest      string         `json:"digest"`
	Verified    bool           `json:"verified"`
	Policy      string         `json:"policy_digest"`
	Revocations int            `json:"revocations"` // how many are known here
	Checks      []signing.Step `json:"checks"`
}

func newVerifyCommand(a *app) *cobra.Command {
	var policyFile string
	c := &cobra.Command{
		Use:   "verify DIR|HOOK@NUMBER|DIGEST",
		Short: "Check a version on this machine as a peer does, and print each check",
		Long: `Holds a version against the policy and the revocations that this machine trusts. DIR is
a folder with statement.json, hook.lua and *.sigstore.json; anything else is asked of the
server, which is believed nothing. With --policy that file decides, and no revocations are
known. What only a peer can know (its own runs, its owner's limits) is not looked at here:
hookline-peer explain.

Exit code 1 where a check refuses.`,
		Example: `  hookline verify extra@3
  hookline verify ./received --policy offline/policy.yaml`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			v, err := a.verify(c.Context(), args[0], policyFile)
			if err != nil {
				return err
			}
			if err := a.show(v, func() { a.verification(v) }); err != nil {
				return err
			}
			if !v.Verified {
				return errFailed
			}
			return nil
		},
	}
	c.Flags().StringVar(&policyFile, "policy", "", "policy file to hold it against, instead of what this machine trusts")
	return c
}

// presented is a version as it came, in bytes.
type presented struct {
	script, statement []byte
	files             [][]byte
	before            []signing.Step // checks that the way here made
}

func (a *app) verify(ctx context.Context, ref, policyFile string) (verification, error) {
	rules, first, err := a.verifyRules(ctx, policyFile)
	if err != nil {
		return verification{}, err
	}
	var v presented
	if info, statErr := os.Stat(ref); statErr == nil && info.IsDir() {
		v, err = readPresented(ref)
	} else {
		v, err = a.fetchPresented(ctx, ref)
	}
	if err != nil {
		return verification{}, err
	}
	v.before = append(first, v.before...)
	return verified(rules, v), nil
}

// verifyRules are those of a policy file alone, or the trusted ones, whose
// freshness is the first check of a peer.
func (a *app) verifyRules(ctx context.Context, policyFile string) (signing.Rules, []signing.Step, error) {
	now := a.now()
	if policyFile != "" {
		p, err := readPolicy(policyFile)
		if err != nil {
			return signing.Rules{}, nil, err
		}
		fmt.Fprintf(a.err, "warning: %s decides alone: what was revoked is not known\n", safe(policyFile))
		return signing.Rules{Policy: p, Now: now}, nil, nil
	}
	t, err := a.trustedOffline(ctx)
	if err != nil {
		return signing.Rules{}, nil, err
	}
	floor := t.Floor(now)
	return t.Rules(floor, now), []signing.Step{freshness(t, floor, now)}, nil
}

// freshness is the first check of a peer.
func freshness(t *trust.Trusted, floor, now time.Time) signing.Step {
	fresh := signing.Step{Name: checkFresh, Verdict: signing.VerdictPassed, Detail: "until " + clock(t.Freshness(now).Expires)}
	if err := t.CheckFresh(floor, now); err != nil {
		fresh = refused(checkFresh, errs.CodeOf(err), err.Error())
		if e, ok := errs.As(err); ok {
			fresh.Hint = e.Hint
		}
	}
	return fresh
}

// trustedOffline is trusted, and where the server cannot be asked the newest
// that this machine has seen.
func (a *app) trustedOffline(ctx context.Context) (*trust.Trusted, error) {
	t, err := a.trusted(ctx)
	if !errs.Is(err, errs.CodeUnavailable) {
		return t, err
	}
	s, settingsErr := a.settings()
	if settingsErr != nil || s.RootDigest == "" {
		return nil, err
	}
	known, knownErr := a.knownTrust(trust.Anchor{RootDigest: s.RootDigest, Deployment: s.Deployment})
	if knownErr != nil || known == nil {
		return nil, err
	}
	fmt.Fprintln(a.err, "warning: the server cannot be asked; policy and revocations are the newest that this machine has seen")
	return known, nil
}

// readPresented reads a folder: what somebody was handed, without a server.
func readPresented(dir string) (presented, error) {
	var v presented
	var err error
	if v.statement, err = readFile(filepath.Join(dir, statementName), hooks.MaxStatementBytes); err != nil {
		return v, notPresented(err)
	}
	if v.script, err = readFile(filepath.Join(dir, hooks.ScriptName), hooks.MaxScriptBytes); err != nil {
		return v, notPresented(err)
	}
	names, err := filepath.Glob(filepath.Join(escapeGlob(dir), signaturePattern))
	if err != nil {
		return v, errs.Wrap(errs.CodeBadInput, err, "cannot look for signature files in %s", dir)
	}
	if len(names) > signing.MaxSignatureFiles {
		return v, errs.New(errs.CodeTooLarge, "cannot read %s: it has more than %d signature files", dir, signing.MaxSignatureFiles)
	}
	for _, name := range names {
		b, err := readFile(name, signing.MaxSignatureFileBytes)
		if err != nil {
			return v, err
		}
		v.files = append(v.files, b)
	}
	return v, nil
}

// escapeGlob keeps a folder's name from being taken for a pattern.
func escapeGlob(dir string) string {
	var out []rune
	for _, r := range dir {
		if r == '*' || r == '?' || r == '[' || r == '\\' {
			out = append(out, '\\')
		}
		out = append(out, r)
	}
	return string(out)
}

func notPresented(err error) error {
	if e, ok := errs.As(err); ok && e.Code == errs.CodeNotFound {
		return e.WithHint("verify takes a folder with %s, %s and %s; make the first with: hookline hook statement", statementName, hooks.ScriptName, signaturePattern)
	}
	return err
}

// fetchPresented asks the server; what it sends is a claim like any other.
func (a *app) fetchPresented(ctx context.Context, text string) (presented, error) {
	var out presented
	r, err := parseVersionRef(text)
	if err != nil {
		return out, err
	}
	cl, err := a.client()
	if err != nil {
		return out, err
	}
	digest, err := r.resolve(ctx, cl)
	if err != nil {
		return out, err
	}
	v, err := cl.Version(ctx, digest)
	if err != nil {
		return out, err
	}
	out = presented{script: v.Script, statement: v.Statement, files: v.Signatures}
	out.before = []signing.Step{{Name: checkDigest, Verdict: signing.VerdictPassed, Detail: "the statement is the one that was asked for"}}
	if got := hooks.Digest(v.Statement); got != digest {
		out.before[0] = refused(checkDigest, errs.CodeStatementMalformed, "the server sent the statement "+short(got)+"… instead of "+short(digest)+"…")
		return out, nil
	}
	if st, err := hooks.ParseStatement(v.Statement); err == nil && r.hook != "" && (st.Predicate.Hook != r.hook || st.Predicate.Version != r.number) {
		out.before = append(out.before, refused(checkVersion, errs.CodeStatementMalformed, fmt.Sprintf("the server sent %s@%d instead of %s", st.Predicate.Hook, st.Predicate.Version, r.text)))
	}
	return out, nil
}

func refused(name string, code errs.Code, detail string) signing.Step {
	return signing.Step{Name: name, Verdict: signing.VerdictRefused, Code: code, Detail: detail, Hint: "tell whoever runs the server"}
}

// verified makes all checks, and lists those that were not reached too.
func verified(rules signing.Rules, v presented) verification {
	out := verification{Digest: hooks.Digest(v.statement), Policy: rules.Policy.Digest, Revocations: rules.Revoked.Len(), Verified: true}
	if st, err := hooks.ParseStatement(v.statement); err == nil {
		out.Version = fmt.Sprintf("%s@%d", st.Predicate.Hook, st.Predicate.Version)
	}
	out.Checks = append(v.before, rules.Explain(v.script, v.statement, v.files)...)
	for i := range out.Checks {
		step := &out.Checks[i]
		if !out.Verified {
			*step = signing.Step{Name: step.Name, Verdict: signing.VerdictNotReached}
		}
		out.Verified = out.Verified && step.Verdict == signing.VerdictPassed
	}
	return out
}

func (a *app) verification(v verification) {
	a.pairs(
		[2]string{"version", v.Version}, [2]string{"digest", v.Digest}, [2]string{"policy", v.Policy},
		[2]string{"revocations", fmt.Sprintf("%d known", v.Revocations)},
	)
	fmt.Fprintln(a.out)
	rows := [][]string{{"CHECK", "VERDICT", "CODE", "DETAIL"}}
	for _, s := range v.Checks {
		rows = append(rows, []string{s.Name, string(s.Verdict), string(s.Code), s.Detail})
	}
	a.table(rows)
	for _, s := range v.Checks {
		if s.Hint != "" {
			fmt.Fprintf(a.err, "hint: %s\n", safe(s.Hint))
		}
	}
	word := "VERIFIED"
	if !v.Verified {
		word = "REFUSED"
	}
	fmt.Fprintf(a.out, "\n%s\n", word)
}
