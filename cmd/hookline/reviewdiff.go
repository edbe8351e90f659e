package main

import (
	"context"
	"fmt"

	"hookline/hooks"
	"hookline/internal/api"
	"hookline/internal/client"
	"hookline/internal/code"
	"hookline/internal/errs"
	"hookline/internal/wording"
	"hookline/signing"
)

// maxBaselines bounds how many earlier versions are asked for.
const maxBaselines = 200

// baseline is what a version is compared with before somebody signs it.
type baseline struct {
	version  *signing.Verified // the last approved one; nil where there is none
	revoked  []string          // approved later ones that were revoked since
	distrust error             // why the version that the server offers is none
}

// lastApproved finds the newest approved version of a hook below a number. The
// server says which one that is; that it was approved is verified here. An
// approved version that was revoked is nothing to build on.
func (a *app) lastApproved(ctx context.Context, c *client.Client, rules signing.Rules, hook string, below int64) (baseline, error) {
	var b baseline
	page, err := c.VersionsOf(ctx, hook, below, maxBaselines)
	if errs.Is(err, errs.CodeNotFound) {
		return b, nil
	}
	if err != nil {
		return b, err
	}
	for _, v := range page.Items {
		if !wasApproved(v) {
			continue
		}
		verified, err := a.approved(ctx, c, rules, hook, below, v)
		switch {
		case errs.Is(err, errs.CodeUnavailable):
			return b, err
		case errs.Is(err, errs.CodeRevoked):
			b.revoked = append(b.revoked, fmt.Sprintf("%s@%d", hook, v.Number))
			continue
		case err != nil:
			b.distrust = errs.Wrap(errs.CodeOf(err), err, "%s@%d", hook, v.Number)
			return b, nil
		}
		b.version = verified
		return b, nil
	}
	return b, nil
}

// wasApproved goes by the server's word alone: one that lies hides a version
// that it could hide anyway.
func wasApproved(v api.Version) bool {
	switch hooks.State(v.State) {
	case hooks.StateSubmitted, hooks.StateChangesRequested, hooks.StateRejected:
		return false
	}
	return true
}

// approved fetches what the server offers and lets the one verifier decide.
func (a *app) approved(ctx context.Context, c *client.Client, rules signing.Rules, hook string, below int64, offered api.Version) (*signing.Verified, error) {
	f, err := a.fetch(ctx, c, offered.Digest)
	if err != nil {
		return nil, err
	}
	if p := f.statement.Predicate; p.Hook != hook || p.Version != offered.Number || p.Version >= below {
		return nil, errs.New(errs.CodeStatementMalformed, "the server sent %s@%d instead", p.Hook, p.Version)
	}
	return rules.Verify(f.version.Script, f.version.Statement, f.version.Signatures)
}

// difference shows what changed since the last approved version. Where there
// is nothing to compare with, the reader is told to read the whole; false
// means that.
func (a *app) difference(b baseline, st hooks.Statement, script []byte) bool {
	for _, name := range b.revoked {
		fmt.Fprintf(a.out, "\n%s was approved, and revoked since: it is not compared with\n", safe(name))
	}
	switch {
	case b.distrust != nil:
		a.section("difference")
		fmt.Fprintln(a.out, "WARNING: the server offers an earlier version as approved, and on this machine it is not:")
		fmt.Fprintf(a.out, "WARNING: %s\n", safe(b.distrust.Error()))
		fmt.Fprintln(a.out, "WARNING: either the policy changed since, or the server lies. There is nothing to compare with: READ THE WHOLE")
		return false
	case b.version == nil:
		a.section("difference")
		fmt.Fprintf(a.out, "no earlier version of %s was approved: all of it is new\n", safe(st.Predicate.Hook))
		return false
	}
	p := b.version.Statement().Predicate
	a.section(fmt.Sprintf("difference to %s@%d, the last approved version (verified on this machine: %s)", safe(p.Hook), p.Version, safe(b.version.Standing().String())))
	if changes := wording.Changes(p, st.Predicate); len(changes) > 0 {
		var rows [][]string
		for _, c := range changes {
			rows = append(rows, []string{string(c.Mark), c.Member, c.What})
		}
		a.table(rows)
	} else {
		fmt.Fprintln(a.out, "the statement says the same, for a later time")
	}
	was := b.version.Script()
	if string(was) == string(script) {
		fmt.Fprintln(a.out, "the script is the same")
		return true
	}
	a.section(fmt.Sprintf("script, changed since %s@%d", safe(p.Hook), p.Version))
	a.scriptChanges(was, script)
	return true
}

// scriptChanges prints the changed lines of a script, as little out of sight as
// in script.
func (a *app) scriptChanges(was, now []byte) {
	for _, h := range code.Hunks(was, now).Hunks {
		fmt.Fprintln(a.out, h.Head)
		for _, r := range h.Rows {
			rows := scriptRows(safeLines(r.Raw))
			fmt.Fprintf(a.out, "%s  %s\n", r.Sign(), rows[0])
			for _, row := range rows[1:] {
				fmt.Fprintf(a.out, "%s↪ %s\n", r.Sign(), row)
			}
			if r.NoEnd {
				fmt.Fprintln(a.out, `\ no line feed at the end`)
			}
		}
	}
}
