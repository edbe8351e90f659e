package main

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"hookline/hooks"
	"hookline/internal/cli"
	"hookline/internal/errs"
	"hookline/internal/guardwire"
	"hookline/signing/trust"

	"github.com/spf13/cobra"
)

func (a *app) pendingCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "pending",
		Short: "Show the runs that wait for the owner's yes",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			reply, err := a.ask(cmd.Context(), guardwire.Request{Op: guardwire.OpPending})
			if err != nil {
				return err
			}
			if len(reply.Pending) == 0 {
				fmt.Fprintln(a.err, "nothing waits for you")
			}
			for _, p := range reply.Pending {
				a.showPending(p)
			}
			for _, r := range reply.Allowed {
				fmt.Fprintln(a.out, cli.Safe(allowedText(r)))
			}
			return nil
		},
	}
}

func (a *app) showPending(p guardwire.Pending) {
	w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	defer func() { _ = w.Flush() }()
	reviewers := strings.Join(p.Reviewers, ", ")
	if reviewers == "" {
		reviewers = "nobody else"
	}
	rows := [][2]string{
		{p.ID, fmt.Sprintf("%s version %d, for report %s", p.Hook, p.Version, p.OriginalID)},
		{"  signed by", p.Author + "; reviewed by " + reviewers},
		{"  runs as", p.As},
		{"  may read", none(strings.Join(p.Reads, ", "))},
	}
	rows = append(rows, powers(p)...)
	rows = append(rows, [][2]string{
		{"  would send", none(strings.Join(p.Fields, ", "))},
		{"  asked", clock(p.AskedAt) + ", valid until " + clock(p.NotAfter)},
		{"  version", p.Digest},
	}...)
	for _, row := range rows {
		fmt.Fprintf(w, "%s\t%s\n", printable(row[0]), printable(row[1]))
	}
}

// allowedText is a run that the owner allowed and that has not come yet.
func allowedText(r guardwire.Allowed) string {
	hook := "a hook"
	if r.Hook != "" {
		hook = fmt.Sprintf("%s version %d", r.Hook, r.Version)
	}
	return fmt.Sprintf("%s  %s, for report %s: allowed at %s, waits for %s", r.ID, hook, r.OriginalID, clock(r.AllowedAt), r.WaitsFor)
}

// powers are what a run may do besides reading files and sending fields: a row
// for each, none where there is nothing.
func powers(p guardwire.Pending) [][2]string {
	var rows [][2]string
	if len(p.Lists) > 0 {
		rows = append(rows, [2]string{"  may list", strings.Join(p.Lists, ", ")})
	}
	if len(p.Stats) > 0 {
		rows = append(rows, [2]string{"  may look at", strings.Join(p.Stats, ", ")})
	}
	for _, c := range p.Commands {
		rows = append(rows, [2]string{"  may start", commandText(c)})
	}
	return rows
}

// commandText is a command as it is started, and what it gets to see.
func commandText(c hooks.Command) string {
	var b strings.Builder
	b.WriteString(strings.Join(append([]string{c.Program}, quoted(c.Args)...), " "))
	if len(c.Paths) > 0 {
		b.WriteString("; " + hooks.PlacePath + " is one of " + strings.Join(c.Paths, ", "))
	}
	if len(c.Reads) > 0 {
		b.WriteString("; it reads " + strings.Join(c.Reads, ", "))
	}
	if c.Syslog {
		b.WriteString("; it reads the kernel's log")
	}
	return b.String()
}

// quoted shows where an argument begins and ends.
func quoted(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		if out[i] = a; strings.ContainsAny(a, " '\"\\,;") {
			out[i] = strconv.Quote(a)
		}
	}
	return out
}

func none(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// answerCommand is allow-once and deny.
func (a *app) answerCommand(verb string) *cobra.Command {
	short, done := "Let one waiting run happen", "%s may run once for report %s; the server is asked for it\n"
	if verb == "deny" {
		short, done = "Refuse a waiting run, for good", "%s will not run for report %s\n"
	}
	return &cobra.Command{
		Use: verb + " ID", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			reply, err := a.ask(cmd.Context(), guardwire.Request{Op: guardwire.Op(verb), ID: args[0]})
			if err != nil {
				return err
			}
			for _, p := range reply.Pending {
				fmt.Fprintf(a.out, done, printable(p.Hook), printable(p.OriginalID))
			}
			return nil
		},
	}
}

func (a *app) allowCommand() *cobra.Command {
	var send, allowHooks string
	cmd := &cobra.Command{
		Use:   "allow",
		Short: "Show or change what this machine takes part in; everything is off at first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			req := guardwire.Request{Op: guardwire.OpAllow}
			if cmd.Flags().Changed("send-reports") {
				if send != "yes" && send != "no" {
					return cli.Usagef("--send-reports must be yes or no, not %q", send)
				}
				yes := send == "yes"
				req.SendReports = &yes
			}
			if cmd.Flags().Changed("hooks") {
				if allowHooks != "no" && allowHooks != "ask" && allowHooks != "yes" {
					return cli.Usagef("--hooks must be no, ask or yes, not %q", allowHooks)
				}
				req.AllowHooks = &allowHooks
			}
			reply, err := a.ask(cmd.Context(), req)
			if err != nil {
				return err
			}
			s := reply.Status
			fmt.Fprintf(a.out, "send reports  %s\nallow hooks   %s\n", yesNo(s.SendReports), hooksText(*s))
			return nil
		},
	}
	cmd.Flags().StringVar(&send, "send-reports", "", "yes or no: whether problem reports leave this machine")
	cmd.Flags().StringVar(&allowHooks, "hooks", "", "no, ask or yes: whether signed hooks run here")
	return cmd
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// hooksText says that solo asks even where the owner said yes.
func hooksText(s guardwire.Status) string {
	if s.AllowHooks == "yes" && s.Profile == "solo" {
		return "yes, each run is asked first (profile solo)"
	}
	return s.AllowHooks
}

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show how this peer stands", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			reply, err := a.ask(cmd.Context(), guardwire.Request{Op: guardwire.OpStatus})
			if err != nil {
				return err
			}
			if reply.Status == nil {
				return errs.New(errs.CodeInternal, "the guard did not say how it stands")
			}
			a.showStatus(*reply.Status)
			return nil
		},
	}
}

// trustText is how fresh the metadata is.
func trustText(t guardwire.Trusting) string {
	text := fmt.Sprintf("%.0f %% of its life has passed, its %s ends %s", 100*t.Share, t.Role, clock(t.Expires))
	switch {
	case t.Refusal != "":
		return "NO HOOK RUNS: " + t.Refusal
	case t.Share >= trust.AlarmShare:
		return "SOON TOO OLD: " + text
	case t.Share >= trust.WarnShare:
		return "grows old: " + text
	}
	return "fresh: " + text
}

func (a *app) showStatus(s guardwire.Status) {
	w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	defer func() { _ = w.Flush() }()
	connected := "no"
	switch {
	case s.Connected:
		connected = "yes"
	case !s.Running:
		connected = "no: hookline-peer is not running"
	case s.Trouble != "":
		connected = "no: " + s.Trouble
	}
	record := fmt.Sprintf("%d lines", s.RecordLines)
	if !s.RecordIntact {
		record += ", DAMAGED: see hookline-peer log"
	}
	for _, row := range [][2]string{
		{"enrolled", clock(s.EnrolledAt)},
		{"deployment", s.Deployment},
		{"profile", s.Profile},
		{"root", fmt.Sprintf("%s, version %d", s.Trust.RootDigest, s.Trust.RootVersion)},
		{"policy", s.Trust.PolicyDigest},
		{"trust", trustText(s.Trust)},
		{"revoked", fmt.Sprintf("%d seen, version %d", s.Trust.Revocations, s.Trust.RevocationsVersion)},
		{"peer", s.PeerID},
		{"connected", connected},
		{"send reports", yesNo(s.SendReports)},
		{"allow hooks", hooksText(s)},
		{"outbox", fmt.Sprintf("%d not yet confirmed by the server", s.Outbox)},
		{"own copies", fmt.Sprintf("%d reports", s.Reports)},
		{"runs", fmt.Sprintf("%d under way, %d allowed and not come yet, %d waiting for the owner", s.Runs, s.Allowed, s.Pending)},
		{"record", record},
	} {
		fmt.Fprintf(w, "%s\t%s\n", row[0], printable(row[1]))
	}
}
