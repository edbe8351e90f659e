package main

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"hookline/internal/cli"
	"hookline/internal/errs"
	"hookline/internal/guard"
	"hookline/internal/guardwire"

	"github.com/spf13/cobra"
)

func (a *app) logCommand() *cobra.Command {
	var job, output string
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Show the record: what was decided, what ran, and exactly what left",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return cli.Usagef("--output must be table or json, not %q", output)
			}
			lines, err := a.lines(cmd.Context(), job)
			if err != nil {
				return err
			}
			if output == "json" {
				a.showLines(lines)
				return nil
			}
			return a.showLog(lines)
		},
	}
	cmd.Flags().StringVar(&job, "job", "", "only lines of this job, or of its hook jobs")
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json (the record's own lines, with what moves a terminal's cursor escaped)")
	return cmd
}

// showLines prints lines as they stand in the record, but for what moves a
// terminal's cursor.
func (a *app) showLines(lines []json.RawMessage) {
	for _, line := range lines {
		fmt.Fprintf(a.out, "%s\n", cli.EscapeJSON(line))
	}
}

// lines reads the record in pieces.
func (a *app) lines(ctx context.Context, job string) ([]json.RawMessage, error) {
	var all []json.RawMessage
	for after := int64(0); ; {
		reply, err := a.ask(ctx, guardwire.Request{Op: guardwire.OpLog, JobID: job, After: after})
		if err != nil {
			return nil, err
		}
		all = append(all, reply.Lines...)
		if !reply.More || len(reply.Lines) == 0 {
			return all, nil
		}
		last, err := entryOf(reply.Lines[len(reply.Lines)-1])
		if err != nil {
			return nil, err
		}
		after = last.Seq
	}
}

func entryOf(line json.RawMessage) (guard.Entry, error) {
	var e guard.Entry
	if err := json.Unmarshal(line, &e); err != nil {
		return e, errs.Wrap(errs.CodeRecordDamaged, err, "cannot read a line of the record")
	}
	return e, nil
}

func (a *app) showLog(lines []json.RawMessage) error {
	w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	defer func() { _ = w.Flush() }()
	fmt.Fprintln(w, "LINE\tTIME\tKIND\tJOB\tHOOK\tRESULT\tCODE")
	for _, line := range lines {
		e, err := entryOf(line)
		if err != nil {
			return err
		}
		row := []string{
			fmt.Sprint(e.Seq), clock(e.Time), e.Kind, dash(e.JobID), dash(hookText(e)),
			dash(result(e)), dash(e.Code),
		}
		for i := range row {
			row[i] = strings.ReplaceAll(printable(row[i]), "\t", " ")
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return nil
}

// clock shows a time as hookline does: in UTC, and says so.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func hookText(e guard.Entry) string {
	if e.Hook == "" {
		return ""
	}
	text := fmt.Sprintf("%s v%d", e.Hook, e.Version)
	if e.Version == 0 {
		text = e.Hook
	}
	if e.Unverified {
		text += " (claimed)"
	}
	return text
}

// result is what came of it: a decision, an outcome with what left, or the
// few words of an entry that has neither.
func result(e guard.Entry) string {
	if e.Decision == "" && e.Outcome == "" || e.Kind == guard.KindTrust || e.Kind == guard.KindEnrolled {
		return shortened(strings.TrimPrefix(e.Decision+": "+e.Reason, ": "))
	}
	if e.Kind == guard.KindOutcome {
		return endingText(e) + sentFields(e)
	}
	return e.Decision + e.Outcome
}

var digests = regexp.MustCompile(`\b([0-9a-f]{16})[0-9a-f]{48}\b`)

// maxResult is the width of a result in the table, in characters.
const maxResult = 120

// shortened leaves of digests what names them, and cuts what is too wide for the
// table; --output json has all.
func shortened(s string) string {
	text := []rune(digests.ReplaceAllString(s, "$1…"))
	if len(text) > maxResult {
		text = append(text[:maxResult-1], '…')
	}
	return string(text)
}

// endingText is how a run ended: "succeeded, 2 calls denied".
func endingText(e guard.Entry) string { return e.How().Words(int64(e.Denied)) }

// sentFields names the fields that left.
func sentFields(e guard.Entry) string {
	if len(e.Fields) == 0 {
		return ""
	}
	return ": " + strings.Join(fieldNames(e.Fields), ", ")
}

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain JOB|latest",
		Short: "Say what happened to a job here, why, and what to do about it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			lines, err := a.linesOf(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if len(lines) == 0 {
				all, err := a.lines(cmd.Context(), "")
				if err != nil {
					return err
				}
				return unknownJob(all, args[0])
			}
			for _, line := range lines {
				e, err := entryOf(line)
				if err != nil {
					return err
				}
				a.explain(e)
			}
			return nil
		},
	}
}

// unknownJob says that a job has no line; where a flood was only counted, it
// may have been part of that.
func unknownJob(all []json.RawMessage, job string) error {
	counted := int64(0)
	for _, line := range all {
		e, err := entryOf(line)
		if err != nil {
			return err
		}
		for _, s := range e.Sums {
			counted += s.Count
		}
	}
	if counted == 0 {
		return errs.New(errs.CodeNotFound, "the record knows no job %.64q", job).WithHint("hookline-peer log")
	}
	return errs.New(errs.CodeNotFound, "the record has no line of job %.64q; %d lines were too many to write and were only counted, so it may be one of those", job, counted).
		WithHint("hookline-peer log: lines of the kind %s say when, and how many of which code; the server was told the code of each", guard.KindSummed)
}

// explain tells one line of the record in words.
func (a *app) explain(e guard.Entry) {
	say := func(format string, args ...any) { fmt.Fprintln(a.out, cli.Safe(fmt.Sprintf(format, args...))) }
	say("%s  %s", clock(e.Time), headline(e))
	if told := a.explainChecks(e); !told && e.Reason != "" && e.Kind != guard.KindReport {
		say("    %s", e.Reason)
	}
	if e.Digest != "" && e.Kind != guard.KindTrust {
		say("    version %s%s", e.Digest, signers(e))
	}
	for _, may := range mayDo(e) {
		say("    may %s", may)
	}
	for _, s := range e.Sums {
		say("    %s", sumText(s))
	}
	for _, r := range e.Reads {
		say("    %s%s", strings.TrimRight(r.Name+" "+r.Arg, " "), readEnd(r))
	}
	if u := e.Used; u != nil {
		say("    used %s, %d instructions, %d calls, %d bytes read, %d programs", time.Duration(u.WallMS)*time.Millisecond,
			u.Instructions, u.Calls, u.BytesRead, u.Commands)
	}
	for _, line := range e.Log {
		say("    logged, and kept here: %s", line)
	}
	if e.Kind == guard.KindOutcome && len(e.Fields) > 0 {
		say("    what left: %s", e.Fields)
	}
	for _, info := range errs.Table() {
		if e.Code != "" && string(info.Code) == e.Code {
			say("    %s", strings.TrimSpace(e.Code+": "+info.Meaning+" "+cli.Advice(info.Remedy)))
		}
	}
}

// explainChecks prints each check of a decision with its verdict. Lines that
// name no check, though one refused, tell no more than their reason.
func (a *app) explainChecks(e guard.Entry) (told bool) {
	names := guard.CheckNames()
	if e.Kind != guard.KindDecision || e.Code != "" && !slices.Contains(names, e.Check) {
		return false
	}
	w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	defer func() { _ = w.Flush() }()
	verdict := "passed"
	for _, name := range names {
		text := verdict
		if name == e.Check {
			text, verdict = "refused, "+e.Code+": "+e.Reason, "not reached"
			if e.Decision == "deferred" {
				text = "waits, " + e.Code + ": " + e.Reason
			}
		}
		fmt.Fprintf(w, "    check %s\t%s\n", printable(name), printable(text))
	}
	return true
}

func headline(e guard.Entry) string {
	switch e.Kind {
	case guard.KindTrust:
		return "trust metadata: " + e.Decision
	case guard.KindSummed:
		return "too many lines that the other side caused, so only counted"
	case guard.KindReset:
		return "set back by user " + uidText(e.UID)
	case guard.KindReport:
		return "report " + e.JobID + " was filed by " + e.Reason + ", fields " + strings.Join(fieldNames(e.Fields), ", ")
	case guard.KindAnswered:
		return "report " + e.JobID + ": the server answered " + e.Decision
	case guard.KindDecision:
		return "job " + e.JobID + ", hook " + dash(hookText(e)) + ": " + e.Decision
	case guard.KindOutcome:
		return "job " + e.JobID + ", hook " + dash(hookText(e)) + " ended: " + endingText(e)
	case guard.KindOwner:
		return "the owner answered " + e.Decision + " to " + dash(e.Ask) + ", hook " + dash(hookText(e)) + " for report " + dash(e.OriginalID)
	}
	return e.Kind
}

// sumText is one count of a line that sums up: "decision refused, no-match:
// 17, the first JOB, the last JOB".
func sumText(s guard.Sum) string {
	text := strings.TrimSpace(s.Kind + " " + s.Decision)
	if s.Code != "" {
		text += ", " + s.Code
	}
	text += fmt.Sprintf(": %d", s.Count)
	if s.First != "" {
		text += ", the first " + s.First + ", the last " + s.Last
	}
	return text
}

func uidText(uid *int) string {
	if uid == nil {
		return "unknown"
	}
	return fmt.Sprint(*uid)
}

// mayDo lists what a run that was let happen, or waits, may do.
func mayDo(e guard.Entry) []string {
	if e.May == nil {
		return nil
	}
	may := []string{"run as " + e.As}
	for _, l := range []struct {
		verb  string
		paths []string
	}{{"read", e.May.FSRead}, {"list", e.May.FSList}, {"look at", e.May.FSStat}} {
		if len(l.paths) > 0 {
			may = append(may, l.verb+" "+strings.Join(l.paths, ", "))
		}
	}
	for _, c := range e.May.CmdRun {
		may = append(may, "start "+commandText(c))
	}
	return may
}

func signers(e guard.Entry) string {
	if len(e.Signers) == 0 {
		return ""
	}
	text := ", signed by " + e.Signers[0]
	if len(e.Signers) > 1 {
		text += ", reviewed by " + strings.Join(e.Signers[1:], ", ")
	}
	return text
}

func readEnd(r guard.Read) string {
	if r.Code != "" {
		return ": " + r.Code
	}
	return fmt.Sprintf(": %d bytes", r.Bytes)
}

// fieldNames are the names of a report's list or of a result's object.
func fieldNames(b json.RawMessage) []string {
	var names []string
	if json.Unmarshal(b, &names) == nil {
		return names
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(b, &fields) != nil {
		return nil
	}
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
