package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"

	"hookline/hooks"
	"hookline/internal/api"
	"hookline/internal/client"
	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/signer"

	"github.com/spf13/cobra"
)

func newReviewCommand(a *app) *cobra.Command {
	return group("review", "Read what others submitted, approve by signing",
		newReviewListCommand(a), newReviewShowCommand(a), newReviewServeCommand(a), newReviewApproveCommand(a),
		newReviewWordCommand(a, "reject", "Reject a version for good"),
		newReviewWordCommand(a, "request-changes", "Ask the author for a new version"))
}

func newReviewListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the versions that wait for a review",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			waiting, err := waitingForReview(c.Context(), cl, math.MaxInt)
			if err != nil {
				return err
			}
			return a.show(api.Page[api.Version]{Items: waiting}, func() { a.versions(waiting) })
		},
	}
}

// waitingForReview are the newest versions that nobody has decided about, at
// most limit.
func waitingForReview(ctx context.Context, cl *client.Client, limit int) ([]api.Version, error) {
	waiting := []api.Version{}
	enough := errors.New("enough")
	err := newWalker(cl).eachHook(ctx, func(v api.Version) error {
		if v.State == "submitted" || v.State == "changes-requested" {
			waiting = append(waiting, v)
		}
		if len(waiting) >= limit {
			return enough
		}
		return nil
	})
	if errors.Is(err, enough) {
		err = nil
	}
	return waiting, err
}

func newReviewShowCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "show HOOK@NUMBER|DIGEST",
		Short: "Show the statement that a reviewer signs, the script and the reviews",
		Long: `Fetches a version and checks on this machine that the script is the one that the
statement names and that the statement has the digest that was asked for. The
last line is the command that approves what was shown, and nothing else. Lint runs on
this machine over what came, whatever the server says about it; with -o json or yaml its
findings are the member "findings", null where it could not run ("lint_error" says why).`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			f, err := a.fetch(c.Context(), cl, args[0])
			if err != nil {
				return err
			}
			if a.output != outputTable {
				return a.show(a.reviewed(c.Context(), f), nil)
			}
			return a.show(f.version, func() {
				a.forReview(c.Context(), f)
				fmt.Fprintf(a.out, "\nto approve exactly this:\nhookline review approve %s --key FILE\n", f.digest)
			})
		},
	}
}

func (a *app) forReview(ctx context.Context, f fetched) {
	a.statement(f.statement, f.digest)
	a.linted(ctx, f)
	a.section("script, " + fmt.Sprint(len(f.version.Script)) + " bytes")
	a.script(f.version.Script)
	a.life(f.version)
}

// Columns of a line of a script: how many are shown in a row, and how wide a
// tab is at most.
const (
	scriptColumns = 100
	scriptTab     = 4
)

// script prints the script with line numbers. Nothing of it is out of sight:
// a long line goes on in the next row, behind a mark, and a character that
// could hide code from its reader is shown as an escape and counted.
func (a *app) script(b []byte) {
	text := string(b)
	number, long := 0, 0
	for line := range strings.Lines(text) {
		number++
		rows := scriptRows(safeLines(strings.TrimRight(line, "\n")))
		fmt.Fprintf(a.out, "%4d  %s\n", number, rows[0])
		for _, row := range rows[1:] {
			fmt.Fprintf(a.out, "%4s  %s\n", "↪", row)
		}
		if len(rows) > 1 {
			long++
		}
	}
	if safeLines(text) != text {
		fmt.Fprintln(a.out, "WARNING: the script holds control or invisible characters, shown here as escapes")
	}
	if long > 0 {
		fmt.Fprintf(a.out, "WARNING: the script has long lines (%d); they go on in the rows marked ↪\n", long)
	}
}

// unseen reports whether a character shows as a blank, or as nothing.
func unseen(r rune) bool {
	return r != ' ' && unicode.IsSpace(r) || r == '\u2800' || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// scriptRows breaks a line into rows; blanks other than a space or tab, and
// letters that show nothing, are shown as escapes.
func scriptRows(line string) []string {
	var rows []string
	var row strings.Builder
	columns := 0
	put := func(s string) {
		for _, r := range s {
			if columns == scriptColumns {
				rows = append(rows, row.String())
				row.Reset()
				columns = 0
			}
			row.WriteRune(r)
			columns++
		}
	}
	for _, r := range line {
		switch {
		case r == '\t':
			put(strings.Repeat(" ", scriptTab-columns%scriptTab))
		case unseen(r):
			put(fmt.Sprintf("\\u%04x", r))
		default:
			put(string(r))
		}
	}
	return append(rows, row.String())
}

// approveOptions are the flags of review approve.
type approveOptions struct {
	Key            string
	PassphraseFile string
	Policy         string
	Comment        string
	Yes            bool
}

func newReviewApproveCommand(a *app) *cobra.Command {
	var o approveOptions
	c := &cobra.Command{
		Use:   "approve HOOK@NUMBER|DIGEST --key KEY",
		Short: "Approve a version: sign its statement on this machine",
		Long: `Shows the statement, the script and what changed since the last approved version (which
this machine verifies itself), asks, and signs. With --yes nothing
is asked, so the version must be named by its whole digest, as review show and
hook digest print it: hook@number is whatever the server says at that moment. What lint
on this machine calls an error is not signed.`,
		Args: cobra.ExactArgs(1),
		RunE: a.changes(func(ctx context.Context, cl *client.Client, ref string) (api.Version, error) {
			return a.approve(ctx, cl, ref, o)
		}),
	}
	fl := c.Flags()
	fl.StringVar(&o.Key, "key", "", keyUse)
	fl.StringVar(&o.PassphraseFile, "passphrase-file", "", passphraseFileUse)
	fl.StringVar(&o.Policy, "policy", "", "policy file to trust instead of the server's word")
	fl.StringVar(&o.Comment, "comment", "", "a word to the author")
	fl.BoolVar(&o.Yes, "yes", false, "do not ask; needs the whole digest")
	_ = c.MarkFlagRequired("key")
	return c
}

func (a *app) approve(ctx context.Context, cl *client.Client, text string, o approveOptions) (api.Version, error) {
	var none api.Version
	if r, err := parseVersionRef(text); err == nil && o.Yes && !r.exact() {
		return none, usagef("with --yes it needs the whole digest of the version that you read, not %s; it stands at the end of: hookline review show %s", text, text)
	}
	f, err := a.fetch(ctx, cl, text)
	if err != nil {
		return none, err
	}
	rules, err := a.rules(ctx, cl, o.Policy)
	if err != nil {
		return none, err
	}
	standing, before, err := a.examined(ctx, cl, rules, f)
	if err != nil {
		return none, err
	}
	if err := a.toRead().toApprove(ctx, f, standing, before); err != nil {
		return none, err
	}
	if !o.Yes {
		fmt.Fprintln(a.err)
		p := f.statement.Predicate
		if err := a.confirm(fmt.Sprintf("Have you read the script, and do you approve %s@%d with digest %s?", p.Hook, p.Version, f.digest)); err != nil {
			return none, err
		}
	}
	key, err := a.openSigner(o.Key, o.PassphraseFile)
	if err != nil {
		return none, err
	}
	_, file, err := approval(rules, f, key)
	if err != nil {
		return none, err
	}
	return cl.Review(ctx, f.digest, api.NewReview{Verdict: "approve", Comment: o.Comment, Signature: file})
}

// examined holds a version against the rules by the same code as the peers,
// the author's and the earlier signatures too, and finds what it is compared
// with.
func (a *app) examined(ctx context.Context, cl *client.Client, rules signing.Rules, f fetched) (signing.Standing, baseline, error) {
	_, standing, err := rules.Examine(f.version.Script, f.version.Statement, f.version.Signatures)
	if err != nil {
		return standing, baseline{}, err
	}
	if err := a.opensNow(f.statement.Predicate); err != nil {
		return standing, baseline{}, err
	}
	before, err := a.lastApproved(ctx, cl, rules, f.statement.Predicate.Hook, f.statement.Predicate.Version)
	return standing, before, err
}

// approval signs the very bytes of a version, for whom it counts.
func approval(rules signing.Rules, f fetched, key *signer.Signer) (person string, file []byte, err error) {
	id := key.Public().ID
	if err := mayReview(rules.Policy, id, f); err != nil {
		return "", nil, err
	}
	if file, err = key.Sign(f.version.Statement); err != nil {
		return "", nil, err
	}
	person, err = counts(rules, f, file, id)
	return person, file, err
}

// maxAhead is how far an author's clock may be ahead of a reviewer's.
const maxAhead = 5 * time.Minute

// opensNow refuses a window in a time to come, in which nobody would think of
// the approval any more.
func (a *app) opensNow(p hooks.Predicate) error {
	if start := time.Unix(p.NotBefore, 0); start.After(a.now().Add(maxAhead)) {
		return errs.New(errs.CodeNotYetValid, "cannot approve: the version is valid from %s only", clock(start)).At("predicate.not_before").
			WithHint("ask the author to submit it when it is to run; check the clock of your machine")
	}
	return nil
}

// toApprove shows all that an approval covers, script included: what a server
// showed under the same name a moment ago need not be what it sent now. It
// refuses what lint refuses.
func (a *app) toApprove(ctx context.Context, f fetched, standing signing.Standing, before baseline) error {
	a.aboutToSign(f.statement, f.digest)
	a.section("script, " + fmt.Sprint(len(f.version.Script)) + " bytes")
	a.script(f.version.Script)
	a.difference(before, f.statement, f.version.Script)
	a.section("signed by")
	rows := [][2]string{{"author", standing.Author.Person}}
	for _, r := range standing.Reviewers {
		rows = append(rows, [2]string{"reviewer", r.Person})
	}
	for _, v := range standing.Void {
		rows = append(rows, [2]string{"does not count", v.Person + ": " + v.Reason})
	}
	a.pairs(rows...)
	if !a.linted(ctx, f) {
		return lintRefuses()
	}
	return nil
}

// mayReview refuses a signature that would count for nothing.
func mayReview(p *signing.Policy, id signing.KeyID, f fetched) error {
	person, ok := p.Person(id)
	if !ok {
		return errs.New(errs.CodeSignerUnknown, "cannot approve: your key %s is not in the policy", id.Short())
	}
	author, _ := p.Person(signing.KeyID(f.statement.Predicate.Author))
	if author.Name == person.Name {
		return errs.New(errs.CodeSignerRole, "cannot approve: %s is the author of this version", person.Name)
	}
	if !person.Has(signing.RoleReviewer) {
		return errs.New(errs.CodeSignerRole, "cannot approve: %s is not a reviewer in the policy", person.Name)
	}
	return nil
}

func newReviewWordCommand(a *app, verdict, short string) *cobra.Command {
	return a.sayWhy(verdict, short, "comment", func(ctx context.Context, cl *client.Client, digest, comment string) (api.Version, error) {
		return cl.Review(ctx, digest, api.NewReview{Verdict: verdict, Comment: comment})
	})
}
