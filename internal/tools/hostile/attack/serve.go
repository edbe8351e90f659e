package attack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hookline/hooks"
	"hookline/internal/tools/hostile/corpus"
	"hookline/sandbox"
	"hookline/sandbox/spawn"
)

// The parts of a run that attack. The last two are of a hook that runs as root.
const (
	Unconfined  = "unconfined" // no part: what the attack does where nothing stops it
	Worker      = "worker"
	Broker      = "broker"
	Command     = "command"
	RootBroker  = "broker of root"
	RootCommand = "command of root"
)

// Job is what a guard is told to attack.
type Job struct {
	Binary  string   // the small binary
	Probe   string   // the program of internal/tools/hostile/probe
	Command string   // the same where root alone can write, so that it may be a command; "" for nowhere
	Dir     string   // see Prepare
	Parts   []string // who attacks
	Without []string // layers that may be missing
	Slow    bool     // the slow attacks, too
}

// Results holds what came of each attack, by part and name: Through, or what
// stopped it.
type Results map[string]map[string]string

// Answer is what Serve writes.
type Answer struct {
	Results Results
	Left    []string // behind, after all attacks
}

const (
	probeSeconds  = 2 // of processor time
	probeRuntime  = 2 * time.Second
	patience      = 30 * time.Second // on a busy machine, where nothing ends a probe
	commandsOnce  = 30               // commands of one run
	parallel      = 4                // most only start and end
	signalsToKeep = 64
)

// folder is the part's folder of files.
func folder(dir, part string) string { return filepath.Join(dir, strings.ReplaceAll(part, " ", "-")) }

// Prepare makes the files that each part of a job aims at, which belong to the
// user that the part will be: uid, but for those of root.
func Prepare(dir string, parts []string, uid int) error {
	for _, part := range parts {
		owner := uid
		if os.Geteuid() == 0 && (part == RootBroker || part == RootCommand) {
			owner = 0
		}
		if err := prepare(folder(dir, part), owner); err != nil {
			return fmt.Errorf("cannot make what the attacks aim at: %w", err)
		}
	}
	return nil
}

func prepare(dir string, owner int) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	names := []string{"secret", "open"}
	for _, a := range append(fileAttacks(), oldAttacks()...) {
		names = append(names, "own."+a.Name)
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, []byte("x"), 0o644), os.Lchown(path, owner, owner)); err != nil {
			return err
		}
	}
	return os.Lchown(dir, owner, owner)
}

// Serve reads one Job and has it attacked, with this process as the guard.
func Serve(in io.Reader, out io.Writer) error {
	var job Job
	if err := json.NewDecoder(in).Decode(&job); err != nil {
		return fmt.Errorf("cannot read the job: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot take in orphans: %w", err)
	}
	answer, err := Run(job)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(answer)
}

// Run is Serve in this process. It listens where SocketName says, and is not
// ended by SIGTERM meanwhile.
func Run(job Job) (Answer, error) {
	var config net.ListenConfig
	l, err := config.Listen(context.Background(), "unix", SocketName(os.Getpid()))
	if err != nil {
		return Answer{}, fmt.Errorf("cannot listen: %w", err)
	}
	defer l.Close()
	terms := make(chan os.Signal, signalsToKeep)
	signal.Notify(terms, syscall.SIGTERM)
	defer signal.Stop(terms)
	before := corpus.Look()
	results := Results{}
	for _, part := range job.Parts {
		if results[part], err = job.attack(part); err != nil {
			return Answer{}, fmt.Errorf("%s: %w", part, err)
		}
	}
	return Answer{results, corpus.Left(before)}, nil
}

func (j Job) attack(part string) (map[string]string, error) {
	var names []string
	for _, a := range All() {
		if !a.slow || j.Slow {
			names = append(names, a.Name)
		}
	}
	if part == Command || part == RootCommand {
		return j.commands(part, names)
	}
	found := map[string]string{}
	var mu sync.Mutex
	var first error
	var running sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for _, name := range names {
		slots <- struct{}{}
		running.Go(func() {
			said, err := j.probe(part, name)
			mu.Lock()
			defer mu.Unlock()
			if found[name] = said; err != nil && first == nil {
				first = err
			}
			<-slots
		})
	}
	running.Wait()
	return found, first
}

// probe starts one process that locks itself in and attacks.
func (j Job) probe(part, name string) (string, error) {
	in, err := os.Open(os.DevNull)
	if err != nil {
		return "", err
	}
	defer in.Close()
	said, out, err := spawn.Pipe(spawn.Reading)
	if err != nil {
		return "", err
	}
	defer said.Close()
	kind, uid := part, sandbox.Nobody
	if part == RootBroker {
		kind, uid = Broker, 0
	}
	args := []string{kind, name, strconv.Itoa(os.Getpid()), folder(j.Dir, part), strconv.Itoa(probeSeconds), strconv.Itoa(uid)}
	p, err := spawn.Start(spawn.Options{
		Binary: j.Probe, Args: args, CPU: probeSeconds * time.Second, Isolate: part == Worker, Files: []*os.File{in, out},
	})
	_ = out.Close()
	if err != nil {
		return "", fmt.Errorf("cannot start a probe: %w", err)
	}
	defer p.Close()
	after := patience
	if part != Unconfined && name == "cpu" {
		after = probeRuntime // the guard's own clock, as for any worker
	}
	stop := spawn.Guard(context.Background(), p, after)
	defer stop()
	_ = said.SetReadDeadline(time.Now().Add(patience))
	b, _ := io.ReadAll(io.LimitReader(said, 4096)) // what came before it was ended
	p.Wait(patience)
	exit, sig := p.Ended()
	word, _, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	switch {
	case strings.HasPrefix(word, "cannot"):
		return "", fmt.Errorf("the probe %s", bytes.TrimSpace(b))
	case word != "":
		return word, nil
	case p.Late():
		return "too long", nil
	case sig != 0:
		return unix.SignalName(sig), nil
	}
	return "died (" + strconv.Itoa(exit) + ")", nil
}

// commands has a hook run the probe as a signed command, once per attack.
func (j Job) commands(part string, names []string) (map[string]string, error) {
	dir := folder(j.Dir, part)
	found := map[string]string{}
	for some := range slices.Chunk(names, commandsOnce) {
		script := fmt.Sprintf(`local t = {}
			for name in (%q):gmatch("%%S+") do
				local ok, out, err, code = pcall(cmd.run, "probe", { name .. ".%d", %q })
				if not ok then t[name] = "refused: " .. tostring(out)
				elseif out ~= "" then t[name] = out
				else t[name] = "died (" .. code .. ")" end
			end
			report.set("JSON", t)`, strings.Join(some, " "), os.Getpid(), dir)
		t := corpus.Base(script)
		t.Predicate.MaxRuntimeMS = hooks.MaxRuntimeSeconds * 1000
		t.Predicate.Capabilities.CmdRun = []hooks.Command{{
			Name: "probe", Program: j.Command, Args: []string{hooks.PlacePackage, dir},
			Paths: []string{}, Reads: []string{filepath.Join(dir, "open")},
		}}
		t.Filer = sandbox.Filer{Known: true}
		if part == RootCommand {
			t.Predicate.As = hooks.AsRoot
		}
		out, err := (&sandbox.Runner{Binary: j.Binary, Without: j.Without}).Run(context.Background(), t)
		if err != nil {
			return nil, err
		}
		said, ok := out.Fields["JSON"].(map[string]any)
		if !ok {
			return nil, fmt.Errorf("the commands did not run: %s %s", out.Code, out.Error)
		}
		for name, what := range said {
			found[name] = clean(fmt.Sprint(what))
		}
	}
	missing := slices.DeleteFunc(slices.Clone(names), func(name string) bool { _, ok := found[name]; return ok })
	if len(missing) > 0 {
		return nil, fmt.Errorf("%d attacks were not made: %v of %v", len(missing), missing, slices.Sorted(maps.Keys(found)))
	}
	return found, nil
}

// clean is the word of an answer that tells how an attack ended.
func clean(said string) string {
	said = strings.TrimSpace(said)
	switch {
	case strings.Contains(said, "asked the system for something"):
		return "SIGSYS"
	case strings.Contains(said, "longer than"), strings.Contains(said, "processor time"):
		return "too long"
	case strings.Contains(said, "printed more than"):
		return "died loudly"
	case strings.HasPrefix(said, "refused: "):
		return strings.TrimPrefix(said, "refused: ")
	}
	word, _, _ := strings.Cut(said, " ")
	if word == "died" { // with its exit code
		return said
	}
	return word
}
