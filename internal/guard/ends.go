package guard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/guardwire"
	"hookline/sandbox"
)

const maxReason = 500 // bytes of a reason that leaves

// conclude makes the answer of a run's end; what the hook brought is checked
// against the statement and the own copy before it can leave.
func (g *Guard) conclude(ctx context.Context, q *inquiry, out sandbox.Outcome, err error) guardwire.Message {
	m := g.judge(ctx, q, out, err)
	m.Finish.Denied = max(0, min(out.Denied, guardwire.MaxDenied))
	return m
}

func (g *Guard) judge(ctx context.Context, q *inquiry, out sandbox.Outcome, err error) guardwire.Message {
	if cause := context.Cause(ctx); cause != nil {
		if coded, ok := errs.As(cause); ok { // it does not verify any more
			return failed(q, coded)
		}
		code := errs.CodeRunCancelled
		if errors.Is(cause, errStopping) {
			code = errs.CodeRunInterrupted
		}
		return failed(q, errs.New(code, "the run was stopped: %s", cause))
	}
	switch {
	case err != nil:
		return failed(q, err)
	case out.Code != "":
		m := failed(q, errs.New(errs.Code(out.Code), "the hook failed"))
		why := whyItFailed(out, q.predicate())
		m.Reason = cut(why, maxReason)
		m.Finish.HookError = cut(joined(out.Code, why), sandbox.MaxErrorBytes)
		return m
	case len(out.Fields) == 0:
		return guardwire.Message{Kind: guardwire.KindFinish, JobID: q.jobID, Finish: &guardwire.Finish{Outcome: hooks.OutcomeEmpty}}
	}
	fields, err := checkedFields(q, out.Fields)
	if err != nil {
		return failed(q, err)
	}
	return guardwire.Message{
		Kind: guardwire.KindFinish, JobID: q.jobID,
		Finish: &guardwire.Finish{Outcome: hooks.OutcomeReceived, Fields: fields},
	}
}

func checkedFields(q *inquiry, fields hooks.Fields) ([]byte, error) {
	if err := hooks.CheckNew(fields, q.predicate(), q.original.Report); err != nil {
		return nil, err
	}
	b, err := fields.Canonical()
	if err != nil {
		return nil, err
	}
	if most := q.predicate().MaxResultBytes; int64(len(b)) > most {
		return nil, errs.New(errs.CodeResultTooBig, "the result has %d bytes, %d were signed", len(b), most)
	}
	return b, nil
}

// figure is a number with what it counts, as opposed to one in a name.
var figure = regexp.MustCompile(`\b[0-9][0-9.]*( [A-Za-z]|m?s\b)`)

// whyItFailed is the line of the script, and what the sandbox said, which it
// has redacted: of a limit which and how much, of a denial what was asked for.
func whyItFailed(out sandbox.Outcome, p hooks.Predicate) string {
	text := out.Error
	switch hooks.EndingOf(hooks.OutcomeFailed, errs.Code(out.Code)) { //nolint:exhaustive // the others say enough
	case hooks.EndingLimit:
		if most := limitOf(errs.Code(out.Code), p); most != "" && !figure.MatchString(text) {
			text = strings.TrimSpace(text + " (the limit: " + most + ")")
		}
	case hooks.EndingDenied:
		if name := deniedCall(out.Calls); name != "" && !strings.Contains(text, name) {
			text = joined(name, text)
		}
	}
	if out.Line > 0 {
		text = joined(fmt.Sprintf("line %d", out.Line), text)
	}
	return text
}

func joined(head, tail string) string {
	if tail == "" {
		return head
	}
	return head + ": " + tail
}

// limitOf is how much a limit is, for ends whose own words do not say so:
// those of processes that were stopped from outside.
func limitOf(code errs.Code, p hooks.Predicate) string {
	switch code { //nolint:exhaustive // only limits
	case errs.CodeLimitTime:
		return fmt.Sprintf("%s, %d instructions", time.Duration(p.MaxRuntimeMS)*time.Millisecond, sandbox.MaxInstructions)
	case errs.CodeLimitMemory:
		return fmt.Sprintf("%d MiB of Lua memory, %d MiB of the process", sandbox.MaxHeapBytes>>20, sandbox.MaxDataBytes>>20)
	case errs.CodeLimitCalls:
		return fmt.Sprintf("%d calls, %d KiB for one, %d MiB for all", sandbox.MaxCalls, sandbox.MaxFrameBytes>>10, sandbox.MaxTrafficBytes>>20)
	case errs.CodeLimitResult:
		return fmt.Sprintf("%d bytes in all, and each field's own", p.MaxResultBytes)
	case errs.CodeLimitRead:
		return fmt.Sprintf("%d KiB a read", sandbox.MaxReadBytes>>10)
	case errs.CodeLimitOutput:
		return fmt.Sprintf("%d KiB of output", sandbox.MaxOutputBytes>>10)
	}
	return ""
}

// deniedCall names the first call that was denied. A name that is none of the
// sandbox's was chosen by the hook: it stays in the record.
func deniedCall(calls []sandbox.Call) string {
	i := slices.IndexFunc(calls, func(c sandbox.Call) bool { return c.Code == string(errs.CodeDenied) })
	if i < 0 {
		return ""
	}
	known := []string{"fs.read", "fs.list", "fs.stat", "cmd.run", "report.get", "report.names", "report.set"}
	if slices.Contains(known, calls[i].Name) {
		return calls[i].Name
	}
	return "a call"
}

func failed(q *inquiry, err error) guardwire.Message {
	return guardwire.Message{
		Kind: guardwire.KindFinish, JobID: q.jobID, Code: string(errs.CodeOf(err)), Reason: reasonOf(err),
		Finish: &guardwire.Finish{Outcome: hooks.OutcomeFailed},
	}
}

// ended is a run's line in the record, with the exact bytes that will leave.
func ended(q *inquiry, out sandbox.Outcome, m guardwire.Message) Entry {
	e := q.entry().endedBy(m)
	e.Kind, e.Fields, e.Denied, e.Used = KindOutcome, json.RawMessage(m.Finish.Fields), m.Finish.Denied, usedOf(out.Stats)
	e.Log = keptLog(out.Log)
	for _, c := range out.Calls {
		e.Reads = append(e.Reads, Read{Name: c.Name, Arg: c.Arg, Code: c.Code, Bytes: c.Bytes})
	}
	return e
}

// endedBy is e with how the run ended.
func (e Entry) endedBy(m guardwire.Message) Entry {
	e.Outcome, e.Code, e.Reason = string(m.Finish.Outcome), m.Code, m.Reason
	e.Ending = hooks.EndingOf(m.Finish.Outcome, errs.Code(m.Code))
	return e
}

// usedOf is what a run used, nil where it did not come to run.
func usedOf(s sandbox.Stats) *Used {
	u := Used{
		WallMS: s.Wall.Milliseconds(), Instructions: s.Instructions, PeakHeap: s.PeakHeap,
		Calls: s.Calls, BytesRead: s.BytesRead, Commands: s.Commands,
	}
	if u == (Used{}) {
		return nil
	}
	return &u
}
