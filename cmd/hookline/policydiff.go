package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"hookline/hooks"
	"hookline/internal/api"
	"hookline/internal/client"
	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/trust/keeper"

	"github.com/spf13/cobra"
)

// maxDiffVersions bounds how many versions are held against two policies.
const maxDiffVersions = 1_000

// policyDiff is what another policy would change.
type policyDiff struct {
	Old     string       `json:"old_digest"`
	New     string       `json:"new_digest"`
	Lines   []string     `json:"difference"`
	Looked  bool         `json:"versions_known"` // false where there was no server to ask
	Holding int          `json:"versions_holding"`
	Losing  []losingView `json:"losing"`
}

// losingView is a version that counts under the old policy and not under the new.
type losingView struct {
	Version string    `json:"version"`
	Digest  string    `json:"digest"`
	Code    errs.Code `json:"code"`
	Why     string    `json:"why"`
}

func newPolicyDiffCommand(a *app) *cobra.Command {
	var versions string
	c := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Show what another policy changes, and which active hooks would not count any more",
		Long: `Compares two policy files (or offline folders) and holds each active or paused version of
the server against both: which would lose their threshold, or break another rule, and why.
The signatures are verified here, the server is believed nothing. With --versions it is a
folder of folders, each with statement.json, hook.lua and *.sigstore.json.

Exit code 1 where a version would not count any more.`,
		Example: `  hookline policy diff offline new.yaml`,
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			d, err := a.policyDiff(c.Context(), args[0], args[1], versions)
			if err != nil {
				return err
			}
			if err := a.show(d, func() { a.policyDifference(d) }); err != nil {
				return err
			}
			if len(d.Losing) > 0 {
				return errFailed
			}
			return nil
		},
	}
	c.Flags().StringVar(&versions, "versions", "", "folder of versions, instead of those of the server")
	return c
}

func (a *app) policyDiff(ctx context.Context, oldPath, newPath, versions string) (policyDiff, error) {
	var d policyDiff
	was, wasText, err := policyAndText(oldPath)
	if err != nil {
		return d, err
	}
	now, nowText, err := policyAndText(newPath)
	if err != nil {
		return d, err
	}
	d = policyDiff{Old: was.Digest, New: now.Digest, Lines: keeper.TextDifference(wasText, nowText), Losing: []losingView{}}
	if was.Deployment != now.Deployment {
		return d, errs.New(errs.CodeWrongDeployment, "cannot compare: %s is of deployment %s, %s of %s", oldPath, was.Deployment, newPath, now.Deployment)
	}
	all, looked, err := a.versionsInUse(ctx, versions)
	if err != nil {
		return d, err
	}
	d.Looked = looked
	for _, v := range all {
		before := signing.Rules{Policy: was, Now: a.now()}
		if _, err := before.Verify(v.script, v.statement, v.files); err != nil {
			continue // it counts for nothing already
		}
		after := signing.Rules{Policy: now, Now: a.now()}
		_, err := after.Verify(v.script, v.statement, v.files)
		if err == nil {
			d.Holding++
			continue
		}
		d.Losing = append(d.Losing, losing(v.statement, err))
	}
	return d, nil
}

func losing(statement []byte, err error) losingView {
	out := losingView{Digest: hooks.Digest(statement), Code: errs.CodeOf(err), Why: err.Error()}
	if st, err := hooks.ParseStatement(statement); err == nil {
		out.Version = fmt.Sprintf("%s@%d", st.Predicate.Hook, st.Predicate.Version)
	}
	return out
}

// policyAndText reads a policy and its file, from a file or an offline folder.
func policyAndText(path string) (*signing.Policy, []byte, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, policyName)
	}
	b, err := readFile(path, signing.MaxPolicyBytes)
	if err != nil {
		return nil, nil, err
	}
	p, err := signing.ParsePolicyFile(path, b)
	return p, b, err
}

// versionsInUse are the versions of a folder, or the active and paused ones of
// the server; known is false where there is neither.
func (a *app) versionsInUse(ctx context.Context, dir string) (all []presented, known bool, err error) {
	if dir != "" {
		all, err = readVersions(dir)
		return all, true, err
	}
	cl, err := a.serverFor(false)
	if err != nil || cl == nil {
		return nil, false, err
	}
	all, err = a.fetchInUse(ctx, cl)
	return all, true, err
}

func readVersions(dir string) ([]presented, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fileError(err, "cannot read "+dir)
	}
	if len(entries) > maxDiffVersions {
		return nil, errs.New(errs.CodeTooLarge, "cannot look at %s: it has more than %d folders", dir, maxDiffVersions)
	}
	var all []presented
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		v, err := readPresented(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// fetchInUse asks the server for the versions that could run now.
func (a *app) fetchInUse(ctx context.Context, cl *client.Client) ([]presented, error) {
	digests, err := digestsInUse(ctx, cl)
	if err != nil {
		return nil, err
	}
	all := make([]presented, 0, len(digests))
	for _, digest := range digests {
		v, err := cl.Version(ctx, digest)
		if err != nil {
			return nil, err
		}
		all = append(all, presented{script: v.Script, statement: v.Statement, files: v.Signatures})
	}
	return all, nil
}

// digestsInUse lists what the server says is active or paused.
func digestsInUse(ctx context.Context, cl *client.Client) ([]string, error) {
	var names, digests []string
	w := newWalker(cl)
	if err := w.eachHook(ctx, func(v api.Version) error { names = append(names, v.Hook); return nil }); err != nil {
		return nil, err
	}
	for _, name := range names {
		err := w.eachVersion(ctx, name, func(v api.Version) {
			if v.State == "active" || v.State == "paused" {
				digests = append(digests, v.Digest)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	if len(digests) > maxDiffVersions {
		return nil, errs.New(errs.CodeTooLarge, "cannot look at all versions: the server says that more than %d are active", maxDiffVersions)
	}
	return digests, nil
}

func (a *app) policyDifference(d policyDiff) {
	for _, line := range d.Lines {
		fmt.Fprintln(a.out, safe(line))
	}
	if len(d.Lines) == 0 {
		fmt.Fprintln(a.out, "the policies are the same")
	}
	fmt.Fprintln(a.out)
	if !d.Looked {
		fmt.Fprintln(a.err, "note: no server is known and no --versions were given: nothing is said about active hooks")
		return
	}
	if len(d.Losing) == 0 {
		switch d.Holding {
		case 0:
			fmt.Fprintln(a.out, "no version is active")
		case 1:
			fmt.Fprintln(a.out, "the one active version goes on counting")
		default:
			fmt.Fprintf(a.out, "all %d active versions go on counting\n", d.Holding)
		}
		return
	}
	if d.Holding > 0 {
		fmt.Fprintf(a.out, "active versions that would go on counting: %d; that would not:\n", d.Holding)
	} else {
		fmt.Fprintln(a.out, "no active version would go on counting:")
	}
	rows := [][]string{{"VERSION", "DIGEST", "CODE", "WHY"}}
	for _, l := range d.Losing {
		rows = append(rows, []string{l.Version, short(l.Digest), string(l.Code), l.Why})
	}
	a.table(rows)
}
