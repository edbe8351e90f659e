package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"hookline/hooks"
	"hookline/internal/cli"
	"hookline/internal/errs"
	"hookline/internal/wording"
	"hookline/sandbox"
	"hookline/sandbox/replay"
	"hookline/signing"
)

// tested is what hook test tells of a run.
type tested struct {
	Ending hooks.Ending `json:"ending"`
	sandbox.Outcome
	Difference difference `json:"difference"`
	Used       []usage    `json:"used"`
}

// difference is what the run would change of the report: it only ever adds.
type difference struct {
	Stay   int          `json:"stay"` // fields of the report
	Added  []addedField `json:"added"`
	NotSet []string     `json:"not_set"` // declared, and not set by this run
}

type addedField struct {
	Name     string           `json:"name"`
	Type     hooks.FieldType  `json:"type"`
	Class    hooks.FieldClass `json:"class"`
	Raw      bool             `json:"raw"`
	Bytes    int              `json:"bytes"` // of the value's JSON
	MaxBytes int64            `json:"max_bytes"`
	Value    any              `json:"value"`
}

// usage is how much of one limit a run used; Left is percent. Both are absent
// where it has no limit, or is part of another one.
type usage struct {
	Name  string `json:"name"`
	Used  int64  `json:"used"`
	Limit int64  `json:"limit,omitempty"`
	Left  *int64 `json:"left,omitempty"`
	Unit  string `json:"unit"` // nanoseconds, as all times here; bytes, or "" for a number
}

func (t trial) result(out sandbox.Outcome) tested {
	r := tested{Outcome: out, Ending: out.Ending(), Difference: t.difference(out), Used: t.usage(out)}
	if r.Calls == nil {
		r.Calls = []sandbox.Call{}
	}
	return r
}

func (t trial) difference(out sandbox.Outcome) difference {
	d := difference{Stay: len(t.task.Report), Added: []addedField{}, NotSet: []string{}}
	if out.Code != "" {
		return d
	}
	for _, name := range sortedKeys(t.manifest.Fields) {
		value, ok := out.Fields[name]
		if !ok {
			d.NotSet = append(d.NotSet, name)
			continue
		}
		f := t.manifest.Fields[name]
		d.Added = append(d.Added, addedField{
			Name: name, Type: f.Type, Class: f.Class, Raw: f.Raw, Bytes: len(compact(value)), MaxBytes: f.MaxBytes, Value: value,
		})
	}
	return d
}

func (t trial) usage(out sandbox.Outcome) []usage {
	s := out.Stats
	result := 0
	if b, err := out.Fields.Canonical(); err == nil && len(out.Fields) > 0 {
		result = len(b)
	}
	all := []usage{
		{Name: "time", Used: s.Wall.Nanoseconds(), Limit: t.task.Runtime().Nanoseconds(), Unit: "nanoseconds"},
		{Name: "instructions", Used: s.Instructions, Limit: sandbox.MaxInstructions},
		{Name: "memory of the script", Used: s.PeakHeap, Limit: sandbox.MaxHeapBytes, Unit: "bytes"},
		{Name: "memory of the process", Used: s.PeakMemory, Limit: sandbox.MaxDataBytes, Unit: "bytes"},
		{Name: "calls", Used: int64(s.Calls), Limit: sandbox.MaxCalls},
		{Name: "traffic of calls", Used: s.Traffic, Limit: sandbox.MaxTrafficBytes, Unit: "bytes"},
		{Name: "read of the machine", Used: s.BytesRead, Unit: "bytes"},
		{Name: "commands", Used: int64(s.Commands), Limit: sandbox.MaxCommandRuns},
		{Name: "result", Used: int64(result), Limit: t.task.Predicate.MaxResultBytes, Unit: "bytes"},
	}
	for i := range all {
		if u := &all[i]; u.Limit > 0 {
			left := max(0, (u.Limit-u.Used)*100/u.Limit)
			u.Left = &left
		}
	}
	return all
}

// tested prints a run for people: what led there, how it ended, what it would
// add, and what it took.
func (a *app) tested(t trial, r tested) {
	if len(r.Trace) > 0 {
		fmt.Fprintln(a.out, "trace")
		for _, line := range r.Trace {
			fmt.Fprintf(a.out, "  %s\n", safe(line))
		}
		fmt.Fprintln(a.out)
	}
	if r.Code != "" {
		a.failedRun(t, r)
	} else {
		a.fieldsAdded(t, r)
	}
	a.callsMade(r.Outcome)
	if len(r.Log) > 0 {
		a.section("log")
		for _, line := range r.Log {
			fmt.Fprintf(a.out, "  %s\n", safe(line))
		}
	}
	a.section("used")
	rows := [][]string{{"", "USED", "OF", "LEFT"}}
	for _, u := range r.Used {
		rows = append(rows, u.row())
	}
	a.table(rows)
}

func (a *app) failedRun(t trial, r tested) {
	place := t.file(hooks.ScriptName)
	if r.Line > 0 {
		place += ":" + strconv.Itoa(r.Line)
	}
	fmt.Fprintf(a.out, "failed: %s: %s [%s]\n", safe(place), safe(r.Error), safe(r.Code))
	a.around(t.script, r.Line)
	fmt.Fprintf(a.out, "ending: %s; nothing would be added to the report\n", r.Ending.Words(int64(r.Denied)))
	if hint := r.remedy(); hint != "" {
		fmt.Fprintf(a.out, "hint: %s\n", safe(hint))
	}
}

// remedy is what the author of a failed run can do, "" where the reason says
// it itself.
func (r tested) remedy() string {
	switch {
	case strings.Contains(r.Error, replay.NotRecorded):
		return ""
	case r.commandWasLate():
		return fmt.Sprintf("one command has %v and %d s of processor time, whatever max_runtime says: let it do less", sandbox.CommandRuntime, sandbox.CommandCPUSeconds)
	}
	return cli.Hint(errs.New(errs.Code(r.Code), "%s", r.Error))
}

// commandWasLate reports whether the run ended with the time limit of a
// command rather than with its own.
func (r tested) commandWasLate() bool {
	if len(r.Calls) == 0 || r.Code != string(errs.CodeLimitTime) {
		return false
	}
	last := r.Calls[len(r.Calls)-1]
	own := strings.Contains(last.Reason, sandbox.CommandRuntime.String()) || strings.Contains(last.Reason, "processor time")
	return own && last.Name == signing.CapCmdRun && last.Code == r.Code && strings.Contains(r.Error, last.Reason)
}

// around prints a line of the script with two before and after it.
func (a *app) around(script []byte, line int) {
	const context, width = 2, 120
	lines := strings.Split(strings.TrimSuffix(string(script), "\n"), "\n")
	if line < 1 || line > len(lines) {
		return
	}
	for n := max(line-context, 1); n <= min(line+context, len(lines)); n++ {
		mark := " "
		if n == line {
			mark = ">"
		}
		text := safeLines(strings.ReplaceAll(clip(lines[n-1], width), "\t", "    "))
		fmt.Fprintln(a.out, strings.TrimRight(fmt.Sprintf("%s %4d  %s", mark, n, text), " "))
	}
}

func (a *app) fieldsAdded(t trial, r tested) {
	d := r.Difference
	if len(d.Added) > 0 {
		fmt.Fprintf(a.out, "ok: %s\n", fieldsOf(len(d.Added), "new "))
	} else {
		fmt.Fprintln(a.out, "empty: nothing to add")
	}
	fmt.Fprintf(a.out, "ending: %s\n", r.Ending.Words(int64(r.Denied)))
	a.section("the report (" + safe(t.from) + ") and what would be added")
	fmt.Fprintf(a.out, "  %s of the report stay as they are\n", fieldsOf(d.Stay, ""))
	for _, f := range d.Added {
		a.addedField(f)
	}
	if len(d.NotSet) > 0 {
		fmt.Fprintf(a.out, "  declared and not set: %s\n", safe(strings.Join(d.NotSet, ", ")))
	}
}

func (a *app) addedField(f addedField) {
	words := []string{string(f.Type), string(f.Class)}
	if what := wording.Redaction(f.Type, f.Raw); what != "" {
		words = append(words, what)
	}
	about := fmt.Sprintf("(%s, %d of %d bytes)", strings.Join(words, ", "), f.Bytes, f.MaxBytes)
	lines := f.lines()
	if len(lines) == 0 {
		fmt.Fprintf(a.out, "+ %s = %s   %s\n", safe(f.Name), safe(clip(compact(f.Value), 200)), safe(about))
		return
	}
	fmt.Fprintf(a.out, "+ %s   %s\n", safe(f.Name), safe(about))
	for i, line := range lines {
		if i == maxFieldLines {
			fmt.Fprintf(a.out, "+   … %d more lines: --output json has them\n", len(lines)-i)
			return
		}
		fmt.Fprintln(a.out, strings.TrimRight("+   "+safe(clip(line, 200)), " "))
	}
}

// lines are the value of a field that is better read on several lines: a text
// of several, or JSON that is too long for one. nil for any other.
func (f addedField) lines() []string {
	const long = 120
	switch v := f.Value.(type) {
	case string:
		if v = strings.TrimSuffix(v, "\n"); strings.Contains(v, "\n") {
			return strings.Split(v, "\n")
		}
	case []any, map[string]any:
		if f.Bytes <= long {
			return nil
		}
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if enc.Encode(v) == nil {
			return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		}
	}
	return nil
}

func (a *app) callsMade(o sandbox.Outcome) {
	if len(o.Calls) == 0 {
		return
	}
	a.section("calls")
	rows := [][]string{{"CALL", "ARGUMENT", "ANSWER", "BYTES", "TIME"}}
	for _, call := range o.Calls {
		answer := call.Code
		if answer == "" {
			answer = "ok"
		}
		if call.Reason != "" {
			answer += ": " + call.Reason
		}
		rows = append(rows, []string{call.Name, call.Arg, answer, strconv.Itoa(call.Bytes), took(call.Took)})
	}
	a.table(rows)
	if len(o.Calls) < o.Stats.Calls {
		fmt.Fprintf(a.out, "%d calls in all, report.get and report.set included\n", o.Stats.Calls)
	}
}

func (u usage) row() []string {
	row := []string{u.Name, u.amount(u.Used), "", ""}
	if u.Used == 0 && strings.HasPrefix(u.Name, "memory") {
		row[1] = "unknown"
	}
	if u.Limit > 0 {
		row[2] = u.amount(u.Limit)
	}
	if u.Left != nil && row[1] != "unknown" {
		row[3] = strconv.FormatInt(*u.Left, 10) + "%"
	}
	return row
}

func (u usage) amount(n int64) string {
	switch u.Unit {
	case "bytes":
		return size(n)
	case "nanoseconds":
		return took(time.Duration(n))
	}
	return strconv.FormatInt(n, 10)
}

// size is bytes for people.
func size(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return strconv.FormatInt(n>>20, 10) + " MiB"
	case n >= 10<<10:
		return strconv.FormatInt((n+1023)>>10, 10) + " KiB"
	}
	return strconv.FormatInt(n, 10) + " B"
}

// took is a time for people.
func took(d time.Duration) string {
	switch {
	case d >= time.Millisecond && d%time.Millisecond == 0:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d >= time.Millisecond:
		return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 1, 64) + " ms"
	}
	return strconv.FormatInt(d.Microseconds(), 10) + " µs"
}

// compact is a value's JSON on one line.
func compact(v any) string {
	b, err := hooks.Fields{"v": v}.Canonical()
	if err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(strings.TrimPrefix(string(b), `{"v":`), "}")
}
