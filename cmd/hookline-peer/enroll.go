package main

import (
	"context"
	"fmt"
	"os"
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
		Long: "Join a deployment. The line says whom this machine will trust: the policy's digest, the server's CA and the\n" +
			"deployment; nothing that a server says can change it. - reads the line from standard input.",
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
	cmd.Flags().BoolVar(&replace, "replace", false, "trust this deployment instead of the one of before")
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

func (a *app) enroll(ctx context.Context, line enroll.Line, e guard.Enrolment) error {
	if err := a.makeState(); err != nil {
		return err
	}
	if err := guard.CheckFree(a.guardDir(), e.Replace); err != nil {
		return err
	}
	if guard.Enrolled(a.guardDir()) {
		// A new deployment gets a new key, and nothing that the old network
		// side left there can lead our writes elsewhere.
		if err := os.RemoveAll(a.netDir()); err != nil {
			return errs.Wrap(errs.CodeForbidden, errs.Plain(err), "cannot remove the old key")
		}
		if err := a.makeState(); err != nil {
			return err
		}
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unnamed"
	}
	enrolled, err := peer.Enroll(ctx, line, a.netDir(), host, version)
	if err != nil {
		return err
	}
	e.Policy, e.PeerSPKI = enrolled.Policy, enrolled.SPKI
	e.Anchor = trust.Anchor{PolicyDigest: line.PolicyDigest, Deployment: line.Deployment}
	policy, err := e.Anchor.Policy(e.Policy)
	if err != nil {
		return err
	}
	a.showTrust(policy, line)
	if err := guard.Enroll(a.guardDir(), e); err != nil {
		return err
	}
	fmt.Fprintln(a.out, "enrolled. Nothing leaves this machine yet:")
	fmt.Fprintln(a.out, "  hookline-peer allow --send-reports=yes --hooks=ask")
	fmt.Fprintln(a.out, "  hookline-peer run")
	return nil
}

// showTrust prints what this machine will believe from now on.
func (a *app) showTrust(p *signing.Policy, line enroll.Line) {
	w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	defer func() { _ = w.Flush() }()
	fmt.Fprintln(w, "This machine will trust:")
	row := func(name, value string) { fmt.Fprintf(w, "  %s\t%s\n", name, printable(value)) }
	row("deployment", p.Deployment)
	row("server", line.Address+", CA "+line.CADigest)
	row("policy", line.PolicyDigest)
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
