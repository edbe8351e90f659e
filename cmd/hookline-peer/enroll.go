package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/guard"
	"hookline/internal/peer"
	"hookline/internal/strict"
	"hookline/signing"
	"hookline/signing/trust"

	"github.com/spf13/cobra"
)

const enrollTimeout = time.Minute

func (a *app) enrollCommand() *cobra.Command {
	var acceptSolo, replace bool
	cmd := &cobra.Command{
		Use:   "enroll LINE",
		Short: "Join a deployment with the enroll line that its people printed",
		Long: "Join a deployment. The line says whom this machine will trust: the root of the signed metadata, the server's CA\n" +
			"and the deployment; nothing that a server says can change it. - reads the line from standard input.\n\n" +
			"A machine that is enrolled can enrol again from the same root, for a new certificate: it stays the same peer and\n" +
			"forgets nothing. Another root needs --replace, which is recorded: run counts and revocations stay, this machine gets\n" +
			"a new key, trusted time begins anew, and what waited for you goes.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			line, err := a.readLine(args[0])
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), enrollTimeout)
			defer cancel()
			return a.enroll(ctx, line, guard.Enrolment{AcceptSolo: acceptSolo, Replace: replace, Now: a.now})
		},
	}
	cmd.Flags().BoolVar(&acceptSolo, "accept-solo", false, "trust a deployment where one person signs alone")
	cmd.Flags().BoolVar(&replace, "replace", false, "trust this root instead of the one of before")
	return cmd
}

func (a *app) readLine(arg string) (enroll.Line, error) {
	if arg == "-" {
		b := make([]byte, 4096)
		n, err := a.in.Read(b)
		if err != nil {
			return enroll.Line{}, errs.Wrap(errs.CodeEnrollLine, errs.Plain(err), "cannot read the enroll line")
		}
		arg = string(b[:n])
	}
	return enroll.ParseLine(arg)
}

// enroll joins in a folder beside the network side's own, which takes its place
// when all is checked and pinned: a refused enrolment leaves all as it was, and
// nothing that the old network side left there can lead our writes elsewhere.
func (a *app) enroll(ctx context.Context, line enroll.Line, e guard.Enrolment) error {
	if err := a.makeState(); err != nil {
		return err
	}
	e.Anchor = trust.Anchor{RootDigest: line.RootDigest, Deployment: line.Deployment}
	if err := guard.CheckEnrolment(a.guardDir(), e.Anchor, e.Replace, a.now); err != nil {
		return err
	}
	fresh := filepath.Join(a.state, "net.new")
	if err := a.freshNet(fresh, !e.Replace && guard.Enrolled(a.guardDir())); err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	host, err := os.Hostname()
	if err != nil {
		host = "unnamed"
	}
	enrolled, err := peer.Enroll(ctx, line, fresh, host, version)
	if err != nil {
		return err
	}
	e.Trust, e.PeerSPKI = enrolled.Trust, enrolled.SPKI
	if err := a.pin(line, e); err != nil {
		return err
	}
	if err = os.RemoveAll(a.netDir()); err == nil {
		err = os.Rename(fresh, a.netDir())
	}
	if err != nil {
		return errs.Wrap(errs.CodeForbidden, errs.Plain(err), "cannot put the network side's folder in its place").WithHint("enrol again")
	}
	fmt.Fprintln(a.out, "enrolled. Nothing leaves this machine that you have not allowed:")
	fmt.Fprintln(a.out, "  hookline-peer allow --send-reports=yes --hooks=ask")
	fmt.Fprintln(a.out, "  hookline-peer run")
	return nil
}

// freshNet makes an empty folder for the network side, with the key of before
// where the machine is to stay the peer that it was.
func (a *app) freshNet(dir string, keepKey bool) error {
	err := os.RemoveAll(dir)
	if err == nil {
		err = os.Mkdir(dir, 0o700)
	}
	if err == nil && keepKey {
		err = peer.CopyKey(a.netDir(), dir)
	}
	if err != nil {
		return errs.Wrap(errs.CodeForbidden, errs.Plain(err), "cannot make a folder for the network side")
	}
	return nil
}

// pin pins what this machine trusts from now on, and shows it.
func (a *app) pin(line enroll.Line, e guard.Enrolment) error {
	bundle, err := trust.ParseBundle(e.Trust)
	if err != nil {
		return err
	}
	trusted, err := e.Anchor.Open(bundle)
	if err != nil {
		return err
	}
	if err := guard.Enroll(a.guardDir(), e); err != nil {
		return err
	}
	a.showTrust(trusted, line)
	return nil
}

// showTrust prints what this machine believes from now on.
func (a *app) showTrust(t *trust.Trusted, line enroll.Line) {
	p := t.Policy()
	w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	defer func() { _ = w.Flush() }()
	fmt.Fprintln(w, "This machine trusts:")
	row := func(name, value string) { fmt.Fprintf(w, "  %s\t%s\n", name, printable(value)) }
	row("deployment", p.Deployment)
	row("server", line.Address+", CA "+line.CADigest)
	row("root", line.RootDigest)
	row("policy", p.Digest)
	for _, r := range t.Roles() {
		if r.Name == "root" || r.Name == "targets" {
			row(r.Name+" changed by", fmt.Sprintf("%d of %d keys", r.Threshold, len(r.Keys)))
		}
	}
	row("revoked", fmt.Sprintf("%d hooks, versions, keys and approvals", t.Revoked().Len()))
	row("profile", profileText(p))
	row("a hook needs", fmt.Sprintf("its author and %d reviewers%s", p.Reviewers, needsText(p)))
	row("a hook lives", "at most "+strict.FormatDuration(p.MaxLifetime))
	for _, person := range p.Persons {
		roles := make([]string, len(person.Roles))
		for i, r := range person.Roles {
			roles[i] = string(r)
		}
		ids := make([]string, len(person.Keys))
		for i, k := range person.Keys {
			ids[i] = k.ID.Short()
		}
		row(person.Name, strings.Join(roles, ", ")+" (key "+strings.Join(ids, ", ")+")")
	}
}

func profileText(p *signing.Policy) string {
	if p.Profile == signing.ProfileSolo {
		return "solo: one person signs alone, and you are asked before each run"
	}
	return string(p.Profile)
}

func needsText(p *signing.Policy) string {
	var more []string
	for name, n := range p.Needs {
		more = append(more, fmt.Sprintf("%d for %s", n, name))
	}
	slices.Sort(more)
	if len(more) == 0 {
		return ""
	}
	return "; " + strings.Join(more, ", ")
}
