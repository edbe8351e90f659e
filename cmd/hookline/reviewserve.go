package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"hookline/hooks"
	"hookline/internal/api"
	"hookline/internal/client"
	"hookline/internal/errs"
	"hookline/internal/reviewpage"
	"hookline/internal/wording"
	"hookline/signing"
	"hookline/signing/signer"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// serveOptions are the flags of review serve.
type serveOptions struct {
	Key            string
	PassphraseFile string
	Policy         string
	Port           int
	Idle           time.Duration
}

func newReviewServeCommand(a *app) *cobra.Command {
	var o serveOptions
	c := &cobra.Command{
		Use:   "serve [HOOK@NUMBER|DIGEST] --key KEY",
		Short: "Read, compare and sign in a browser, on a page from this machine",
		Long: `Serves a page for one browser of this machine and prints its link, which works once. What
it shows was fetched and verified by this program, as review approve does it; what it signs
are the bytes that it showed. The passphrase of a key is asked for here in the terminal, at
the first signature, and kept until the end. Without --key there is nothing to sign with.

It ends with Ctrl-C, or when nobody has used it for a while.`,
		Example: `  hookline review serve --key bob.key
  hookline review serve extra@3 --key agent:bob@laptop`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.serveReview(c.Context(), args, o) },
	}
	fl := c.Flags()
	fl.StringVar(&o.Key, "key", "", keyUse)
	fl.StringVar(&o.PassphraseFile, "passphrase-file", "", passphraseFileUse)
	fl.StringVar(&o.Policy, "policy", "", "policy file to trust instead of the server's word")
	fl.IntVar(&o.Port, "port", 0, "port on 127.0.0.1; 0 is a free one")
	fl.DurationVar(&o.Idle, "idle", reviewpage.DefaultIdle, "ends when nobody has used the page for so long")
	return c
}

func (a *app) serveReview(ctx context.Context, args []string, o serveOptions) error {
	if o.Port < 0 || o.Port > 65535 {
		return usagef("--port %d is no port", o.Port)
	}
	if o.Idle <= 0 {
		return usagef("--idle %s: the page has to stay for a while", o.Idle)
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	d := &desk{app: a, client: cl, options: o}
	if inAgent(o.Key) { // it asks for nothing: what is wrong shows now
		if _, err := d.signer(); err != nil {
			return err
		}
	} else if o.Key != "" {
		if _, err := readFile(o.Key, maxKeyFile); err != nil {
			return err
		}
	}
	first := ""
	if len(args) > 0 {
		if first, err = a.resolveDigest(ctx, cl, args[0]); err != nil {
			return err
		}
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port)))
	if err != nil {
		return errs.Wrap(errs.CodeConflict, err, "cannot serve the page").WithHint("choose another port: --port")
	}
	defer l.Close()
	page, err := reviewpage.New(reviewpage.Parts{
		Desk: d, Addr: l.Addr().String(), First: first, Idle: o.Idle, Now: a.now,
		Say: func(s string) { fmt.Fprintln(a.err, safe(s)) },
	})
	if err != nil {
		return errs.Wrap(errs.CodeInternal, err, "cannot make the page")
	}
	defer a.keepTerminal()()
	fmt.Fprintln(a.err, "open this link in a browser on this machine; it works once. End with Ctrl-C.")
	fmt.Fprintln(a.out, page.Link())
	return page.Serve(ctx, l)
}

// keepTerminal returns what puts the terminal back as it is now: a passphrase
// may be asked for when the program ends, and then nothing typed would show.
func (a *app) keepTerminal() func() {
	tty, ok := a.terminal()
	if !ok {
		return func() {}
	}
	state, err := term.GetState(int(tty.Fd()))
	if err != nil {
		return func() {}
	}
	return func() { _ = term.Restore(int(tty.Fd()), state) }
}

// desk is what the page works with: the client, the rules and the key of this
// program. The page asks one thing at a time.
type desk struct {
	*app
	client  *client.Client
	options serveOptions

	lock   sync.Mutex
	opened *signer.Signer
}

// Key is the key as far as it is known.
func (d *desk) Key() reviewpage.Key {
	k := reviewpage.Key{Ref: d.options.Key}
	if key := d.known(); key != nil {
		k.ID = key.Public().ID
	}
	return k
}

func (d *desk) known() *signer.Signer {
	d.lock.Lock()
	defer d.lock.Unlock()
	return d.opened
}

// signer opens the key, once.
func (d *desk) signer() (*signer.Signer, error) {
	if key := d.known(); key != nil {
		return key, nil
	}
	key, err := d.openSigner(d.options.Key, d.options.PassphraseFile)
	if err != nil {
		return nil, err
	}
	d.lock.Lock()
	defer d.lock.Unlock()
	d.opened = key
	return key, nil
}

// Waiting is the queue.
func (d *desk) Waiting(ctx context.Context, limit int) ([]reviewpage.Waiting, error) {
	list, err := waitingForReview(ctx, d.client, limit)
	if err != nil {
		return nil, err
	}
	out := make([]reviewpage.Waiting, len(list))
	for i, v := range list {
		out[i] = reviewpage.Waiting{
			Digest: v.Digest, Hook: v.Hook, Number: v.Number, State: v.State, SubmittedBy: v.SubmittedBy, SubmittedAt: v.SubmittedAt,
			Approvals: v.Approvals, Needed: v.Needed,
		}
	}
	return out, nil
}

// Read is a version with all that review approve shows. What it would refuse
// is shown too, with the reason, and is not to be signed.
func (d *desk) Read(ctx context.Context, digest string) (*reviewpage.Version, error) {
	f, err := d.fetch(ctx, d.client, digest)
	if err != nil {
		return nil, err
	}
	t, err := d.trustedAs(ctx, d.client, d.options.Policy)
	if err != nil {
		return nil, err
	}
	now := d.now()
	floor := t.Floor(now)
	rules := t.Rules(floor, now)
	v := newPageVersion(f)
	v.Checks = verified(rules, presented{
		script: f.version.Script, statement: f.version.Statement, files: f.version.Signatures,
		before: []signing.Step{freshness(t, floor, now)},
	}).Checks
	if v.Warnings, err = d.warnings(); err != nil {
		return nil, err
	}
	standing, before, err := d.examined(ctx, d.client, rules, f)
	switch {
	case err == nil:
		v.Standing = &standing
	case standing.Author.Person == "":
		v.Blocked, v.Signatures = err, nil
	case errs.Is(err, errs.CodeNotYetValid):
		v.Blocked, v.Standing = err, &standing
	default:
		return nil, err
	}
	v.Against = comparison(before, f)
	v.Against.Unknown = err != nil
	lint := d.lintFor(ctx, v, f)
	if v.Blocked == nil {
		v.Blocked = lint
	}
	if key := d.known(); key != nil && v.Blocked == nil {
		v.Blocked = mayReview(rules.Policy, key.Public().ID, f)
	}
	return v, nil
}

// newPageVersion is a version before anything about it was found.
func newPageVersion(f fetched) *reviewpage.Version {
	v := &reviewpage.Version{
		Exact: reviewpage.Exact{Digest: f.digest, Statement: f.version.Statement, Script: f.version.Script, Signatures: f.version.Signatures},
		Hook:  f.statement.Predicate.Hook, Number: f.statement.Predicate.Version,
		Server: reviewpage.Claims{State: f.version.State, SubmittedBy: f.version.SubmittedBy, SubmittedAt: f.version.SubmittedAt},
	}
	for _, p := range statementParts(f.statement, f.digest) {
		shown := reviewpage.Part{Title: p.Title, Table: p.Table}
		for _, r := range p.Rows {
			shown.Rows = append(shown.Rows, reviewpage.Row(r))
		}
		v.Parts = append(v.Parts, shown)
	}
	for _, r := range f.version.Reviews {
		v.Server.Reviews = append(v.Server.Reviews, reviewpage.Word{User: r.User, Verdict: r.Verdict, Comment: r.Comment, At: r.At})
	}
	return v
}

// warnings are what the terminal says about the root of trust.
func (d *desk) warnings() ([]string, error) {
	s, err := d.settings()
	if err != nil || s.RootDigest != "" || d.getenv("HOOKLINE_TRUST_ROOT") != "" {
		return nil, err
	}
	return []string{"the policy is the word of " + d.client.Server() + " alone; pin its root with: hookline login --trust-root DIGEST"}, nil
}

func comparison(b baseline, f fetched) reviewpage.Difference {
	out := reviewpage.Difference{Revoked: b.revoked}
	if b.distrust != nil {
		out.Distrust = b.distrust.Error()
	}
	if b.version == nil {
		return out
	}
	was := b.version.Statement().Predicate
	out.To, out.Signed = fmt.Sprintf("%s@%d", was.Hook, was.Version), b.version.Standing().String()
	out.Members = wording.Changes(was, f.statement.Predicate)
	out.Script = b.version.Script()
	return out
}

// lintFor shows what lint says, and returns why the version is not to be
// signed for it.
func (d *desk) lintFor(ctx context.Context, v *reviewpage.Version, f fetched) error {
	findings, err := d.lintOf(ctx, f)
	if err != nil {
		v.NoLint = err.Error()
		if !errs.Is(err, errs.CodeSandboxUnconfined) {
			return lintRefuses()
		}
		return nil
	}
	for _, x := range findings {
		v.Findings = append(v.Findings, reviewpage.Finding{Place: findingPlace(hooks.ManifestName, hooks.ScriptName, x), Severity: x.Severity, Message: x.Message, Code: x.Code})
	}
	if hasErrors(findings) {
		return lintRefuses()
	}
	return nil
}

// Sign signs what was shown, under the policy and the revocations of now. Of
// the version nothing is fetched again.
func (d *desk) Sign(ctx context.Context, what reviewpage.Exact, comment string) (signing.Signer, error) {
	var none signing.Signer
	f, err := held(what)
	if err != nil {
		return none, err
	}
	key, err := d.signer()
	if err != nil {
		return none, err
	}
	rules, err := d.rules(ctx, d.client, d.options.Policy)
	if err != nil {
		return none, err
	}
	if err := d.opensNow(f.statement.Predicate); err != nil {
		return none, err
	}
	person, file, err := approval(rules, f, key)
	if err != nil {
		return none, err
	}
	if _, err := d.client.Review(ctx, f.digest, api.NewReview{Verdict: "approve", Comment: comment, Signature: file}); err != nil {
		return none, err
	}
	fmt.Fprintf(d.err, "signed %s@%d, digest %s, as %s\n", safe(f.statement.Predicate.Hook), f.statement.Predicate.Version, f.digest, safe(person))
	return signing.Signer{Person: person, KeyID: key.Public().ID}, nil
}

// held is a version that was shown, as fetch checked it.
func held(what reviewpage.Exact) (fetched, error) {
	v := api.Version{Script: what.Script, Statement: what.Statement, Signatures: slices.Clone(what.Signatures)}
	st, err := (versionRef{text: what.Digest, prefix: what.Digest}).check(what.Digest, v)
	return fetched{version: v, digest: what.Digest, statement: st}, err
}

// Answer rejects, or asks for changes.
func (d *desk) Answer(ctx context.Context, digest, verdict, comment string) error {
	_, err := d.client.Review(ctx, digest, api.NewReview{Verdict: verdict, Comment: comment})
	return err
}
