package sandbox_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hookline/internal/tools/hostile/corpus"
	"hookline/sandbox"
)

// A part of a run that lies, stops, dies or eats is an outcome of that run
// only: its code comes in time, the next run is well, and nothing is left.
// Each lie is told to a guard of this user and, as root, of an ordinary one.
func TestLies(t *testing.T) {
	t.Parallel()
	program := copyProgram(t, "liar")
	cases := lyingCases()
	dir := makeFixtures(t)
	good := corpus.Good(dir)
	job := corpus.Job{Binary: binary, Parallel: 8, Good: &good} // most only wait
	for name, c := range cases {
		folder := filepath.Join(filepath.Dir(binary), liesPrefix+name)
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, sandbox.BinaryName)
		if err := os.Link(program, path); err != nil {
			t.Fatal(err)
		}
		job.Runs = append(job.Runs, corpus.Run{Name: name, Binary: path, Task: c.task()})
	}
	// What a part that nothing confines leaves running ends by itself, and must
	// have by then: it comes first.
	slices.SortFunc(job.Runs, func(a, b corpus.Run) int {
		return cmp.Or(cmp.Compare(last(a.Name), last(b.Name)), cmp.Compare(a.Name, b.Name))
	})
	users := map[string]bool{"own user": false}
	if os.Geteuid() == 0 {
		users["ordinary user"] = true
	}
	for user, ordinary := range users {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			tellLies(t, program, ordinary, job, cases)
		})
	}
}

func last(name string) int {
	if strings.HasSuffix(name, ".spawn") {
		return 0
	}
	return 1
}

func tellLies(t *testing.T, program string, ordinary bool, job corpus.Job, cases map[string]lyingCase) {
	input, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	cmd := childCommand(program, ordinary)
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the guard did not survive: %v", err)
	}
	seen := 0
	for dec := json.NewDecoder(bytes.NewReader(out)); ; seen++ {
		var r corpus.Result
		if err := dec.Decode(&r); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for _, wrong := range r.Wrong {
			if r.Name != "" || !strings.Contains(wrong, "(sleep) Z") { // see spawnHolder
				t.Errorf("%s: %s", r.Name, wrong)
			}
		}
		if c, ok := cases[r.Name]; ok {
			c.check(t, r)
		}
	}
	if seen != len(cases)+1 {
		t.Errorf("%d results of %d lies", seen, len(cases))
	}
}

// lyingCase is what must come of a lie.
type lyingCase struct {
	codes  string // of the outcome, or of the error where the run could not be set up
	fields int
	denied int
	script string
}

// lieRuntime is short, for those that time ends.
const lieRuntime = 300 * time.Millisecond

const late = "limit-time"

func (c lyingCase) task() sandbox.Task {
	t := corpus.Base(c.script, "/proc/meminfo")
	t.Predicate.MaxRuntimeMS = 8000
	if c.codes == late && c.script != callsCommand {
		t.Predicate.MaxRuntimeMS = lieRuntime.Milliseconds()
	}
	t.Predicate.Capabilities.CmdRun = append(t.Predicate.Capabilities.CmdRun, corpus.Command("sleep", "1000"), corpus.Command("uname", "-r"))
	return t
}

func (c lyingCase) check(t *testing.T, r corpus.Result) {
	const busy = 10 * time.Second // on a busy machine, with several at a time
	t.Helper()
	code := r.Outcome.Code
	if r.Error != "" {
		code = "error: " + r.Error
	}
	codes := strings.Split(c.codes, "|")
	if !slices.ContainsFunc(codes, func(want string) bool {
		return code == want || strings.HasPrefix(want, "error") && strings.HasPrefix(code, want)
	}) {
		t.Errorf("%s: %q (%s), expected one of %q", r.Name, code, r.Outcome.Error, codes)
	}
	if limit := c.task().Runtime() + 2*sandbox.KillAfter + busy; r.Took > limit {
		t.Errorf("%s: took %v", r.Name, r.Took)
	}
	if len(r.Outcome.Fields) != c.fields || r.Outcome.Denied != c.denied {
		t.Errorf("%s: %d fields, %d denied: %v", r.Name, len(r.Outcome.Fields), r.Outcome.Denied, r.Outcome.Fields)
	}
	if len(r.Outcome.Error) > sandbox.MaxErrorBytes {
		t.Errorf("%s: an error of %d bytes", r.Name, len(r.Outcome.Error))
	}
	if s := r.Outcome.Stats; s.Instructions < 0 || s.Instructions > 4*sandbox.MaxInstructions || s.PeakHeap < 0 || s.PeakHeap > sandbox.MaxDataBytes || r.Outcome.Line < 0 || r.Outcome.Line > 1<<20 {
		t.Errorf("%s: figures that cannot be: %+v line %d", r.Name, s, r.Outcome.Line)
	}
}

const callsCommand = `local out = cmd.run("uname", { "-r" })`

func lyingCases() map[string]lyingCase {
	const crash, calls = "sandbox-crash", "limit-calls"
	cases := map[string]lyingCase{
		"worker.too-long":    {codes: calls},
		"worker.negative":    {codes: calls},
		"worker.too-short":   {codes: crash},
		"worker.head-beyond": {codes: crash},
		"worker.half":        {codes: late},
		"worker.half-stop":   {codes: late},
		"worker.half-exit":   {codes: crash},
		"worker.not-ready":   {codes: crash},
		"worker.ready-twice": {codes: "", denied: 1},
		"worker.early-end":   {codes: ""},
		"worker.unknown":     {codes: "", denied: 1},
		"worker.response":    {codes: crash},
		"worker.outcome":     {codes: crash},
		"worker.code-denied": {codes: "hook-error"},
		"worker.code-unsaid": {codes: "hook-error"},
		"worker.unconfined":  {codes: crash},
		"worker.figures":     {codes: ""},
		"worker.after-end":   {codes: "", fields: 1},
		"worker.undeclared":  {codes: ""},
		"worker.deaf":        {codes: late + "|" + calls},
		"worker.logs":        {codes: calls},
		"worker.ends":        {codes: ""},
		"worker.exit97-late": {codes: crash},
		"worker.garbage":     {codes: crash + "|" + calls},
		"worker.flood":       {codes: crash},
		"worker.spawn":       {codes: crash + "|" + late},
		"worker.exit-97":     {codes: "error"},

		"broker.too-long":   {codes: crash},
		"broker.too-short":  {codes: crash},
		"broker.half":       {codes: late},
		"broker.neither":    {codes: crash},
		"broker.both":       {codes: crash},
		"broker.request":    {codes: crash},
		"broker.undeclared": {codes: "field-undeclared"},
		"broker.existing":   {codes: "field-undeclared"},
		"broker.too-large":  {codes: "result-too-big"},
		"broker.and-fails":  {codes: "hook-error"},
		"broker.twice":      {codes: ""},
		"broker.unsigned":   {codes: ""},
		"broker.wrong-args": {codes: ""},
		"broker.thousand":   {codes: ""},
		"broker.deaf":       {codes: late + "|" + crash},
		"broker.after-end":  {codes: ""},
		"broker.garbage":    {codes: crash},
		"broker.made-up":    {codes: crash + "|limit-time|sandbox-killed"},
		"broker.long-error": {codes: "hook-error"},
		"broker.flood":      {codes: crash},
		"broker.spawn":      {codes: crash + "|" + late},
		"broker.exit-97":    {codes: "error"},

		"command.status":      {codes: "call-failed|" + late},
		"command.claims":      {codes: "call-failed"},
		"command.and-runs":    {codes: "call-failed"},
		"command.closes":      {codes: late},
		"command.loud-errors": {codes: "limit-output"},
		"command.deaf":        {codes: "limit-output"},
		"command.garbage":     {codes: "limit-output|" + late},
		"command.flood":       {codes: "limit-output|" + late},
		"command.spawn":       {codes: late + "|"},
		"command.exit-97":     {codes: "|call-failed"},
	}
	for _, part := range []string{"worker", "broker", "command"} {
		for _, how := range []string{"hang", "stop", "mutter", "burn"} {
			cases[part+"."+how] = lyingCase{codes: late}
		}
		cases[part+".close"] = lyingCase{codes: crash + "|" + late}
		cases[part+".exit-0"] = lyingCase{codes: crash}
		cases[part+".exit-1"] = lyingCase{codes: crash}
		for _, n := range []int{1, 2, 3, 4, 6, 9, 11, 13, 15, 24, 25, 31} {
			cases[fmt.Sprintf("%s.signal-%d", part, n)] = lyingCase{codes: crash + "|sandbox-killed|limit-memory|limit-time"}
		}
	}
	cases["command.mutter"] = lyingCase{codes: "limit-output|" + late}
	for _, how := range []string{"exit-0", "exit-1"} {
		cases["command."+how] = lyingCase{codes: "|call-failed"}
	}
	for name, c := range cases {
		c.script = "while true do end"
		if strings.HasPrefix(name, "command.") {
			c.script = callsCommand
			if strings.Contains(name, "signal") {
				c.codes = "|call-failed|sandbox-killed|limit-time|denied"
			}
			if name == "command.close" {
				c.codes = late + "|call-failed"
			}
		}
		cases[name] = c
	}
	return cases
}
