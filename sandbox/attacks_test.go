package sandbox_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"hookline/internal/tools/hostile/attack"
	"hookline/sandbox"
)

// asTarget is the child of the test program that has itself attacked.
const asTarget = "target"

// What an escaped hook could try with system calls fails in every part of a
// run, once it is locked in; without a sandbox nearly all of it works, or this
// would show nothing. `make hostile` does the same with each layer missing.
func TestAttacksOnTheSystem(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "hookline-attacks")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	job := attack.Job{
		Binary: binary, Probe: filepath.Join(dir, "probe"), Dir: filepath.Join(dir, "aims"),
		Parts: []string{attack.Unconfined, attack.Worker, attack.Broker}, Slow: true,
	}
	build := exec.Command("go", "build", "-trimpath", "-o", job.Probe, "hookline/internal/tools/hostile/probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // what a process does on all its threads needs pure Go
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the probe: %v\n%s", err, out)
	}
	if os.Geteuid() != 0 {
		t.Log("no command attacks: its program must be root's")
		checkAttacks(t, job, os.Geteuid(), false)
		return
	}
	var remove func()
	if job.Command, remove, err = attack.Install(job.Probe); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remove)
	job.Parts = append(job.Parts, attack.Command)
	asRoot := job
	asRoot.Dir += "-of-root"
	asRoot.Parts = append(slices.Clone(job.Parts), attack.RootBroker, attack.RootCommand)
	t.Run("root", func(t *testing.T) { checkAttacks(t, asRoot, sandbox.Nobody, false) })
	t.Run("ordinary user", func(t *testing.T) { checkAttacks(t, job, sandbox.Nobody, true) })
}

func checkAttacks(t *testing.T, job attack.Job, uid int, ordinary bool) {
	if err := attack.Prepare(job.Dir, job.Parts, uid); err != nil {
		t.Fatal(err)
	}
	input, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err == nil && ordinary {
		self = copyProgram(t, "target")
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := childCommand(self, ordinary)
	cmd.Args = append(cmd.Args, asTarget)
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the guard did not survive: %v", err)
	}
	var answer attack.Answer
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatal(err)
	}
	for _, left := range answer.Left {
		t.Error(left)
	}
	works := 0
	for _, part := range job.Parts {
		for _, a := range attack.All() {
			result, made := answer.Results[part][a.Name]
			switch {
			case !made:
				t.Errorf("the %s did not try %s", part, a.Name)
			case part == attack.Unconfined && result == attack.Through:
				works++
			case part != attack.Unconfined && result == attack.Through && attack.Harmless(part, a.Name) == "":
				t.Errorf("the %s got through with %s (%s)", part, a.Name, a.What)
			}
		}
	}
	if works < 60 {
		t.Errorf("only %d attacks work without the sandbox", works)
	}
}
