package sandbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/sandbox/spawn"
	"hookline/sandbox/wire"
)

// brokerGrace is how long a broker may take to hand the outcome back once its
// worker is gone.
const brokerGrace = time.Second

// Wanted is what must be known of a run to start its processes.
type Wanted struct {
	As      hooks.Identity
	Runtime time.Duration // of the hook
}

// Wanted is what t needs of its processes.
func (t Task) Wanted() Wanted { return Wanted{As: t.Predicate.As, Runtime: t.Runtime()} }

// Run runs one task and waits for its end. The outcome tells how the hook
// ended; an error means that the run could not be set up or confined, and
// then no Lua ran. What the worker says about itself is not asked for: the
// outcome is the broker's, and how a process died is the kernel's word.
func (r *Runner) Run(ctx context.Context, t Task) (Outcome, error) {
	if out, ok := Refused(t); ok {
		return out, nil
	}
	p, err := r.Prepare(t.Wanted())
	if err != nil {
		return Outcome{}, err
	}
	defer p.Close()
	return p.Run(ctx, t)
}

// Prepare starts the processes of one run before it is decided: they wait,
// confined as far as they can be without the task. Close ends them, also
// after Run.
func (r *Runner) Prepare(w Wanted) (*Prepared, error) {
	who, err := r.identity(w.As)
	if err != nil {
		return nil, err
	}
	pair, err := r.start(w.Runtime)
	if err != nil {
		return nil, errs.Wrap(errs.CodeSandboxUnconfined, err, "cannot start the sandbox")
	}
	return &Prepared{runner: r, wanted: w, who: who, pair: pair}, nil
}

// Prepared is the processes of one run, which is used once.
type Prepared struct {
	runner *Runner
	wanted Wanted
	who    Credential
	pair   *pair
}

// Close ends the processes and waits for them. It may be called twice.
func (p *Prepared) Close() {
	if p.pair != nil {
		p.pair.close()
		p.pair = nil
	}
}

// Run is Runner.Run in these processes. The task must want what they were
// prepared for.
func (p *Prepared) Run(ctx context.Context, t Task) (Outcome, error) {
	if out, ok := Refused(t); ok {
		return out, nil
	}
	if p.pair == nil || t.Wanted() != p.wanted {
		return Outcome{}, errs.New(errs.CodeInternal, "the processes were prepared for another run")
	}
	defer p.Close()
	began := p.runner.now()
	r := run{pair: p.pair, runner: p.runner, who: p.who, task: t}
	out, err := r.wait(ctx)
	if err != nil {
		return Outcome{}, err
	}
	out.Stats.Wall = p.runner.now().Sub(began)
	return out, nil
}

// denied is Deny under the names that the broker can meet: those given, and
// where they really are. The guard's own entry in /proc belongs to it.
func (r *Runner) denied() []string {
	deny := []string{fmt.Sprintf("/proc/%d", os.Getpid())}
	for _, p := range r.Deny {
		if abs, err := filepath.Abs(p); err == nil {
			deny = append(deny, abs)
		}
		if real, err := filepath.EvalSymlinks(p); err == nil {
			if abs, err := filepath.Abs(real); err == nil {
				deny = append(deny, abs)
			}
		}
	}
	return deny
}

func (r *Runner) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}

// Runtime is how long the task's hook may run.
func (t Task) Runtime() time.Duration {
	return time.Duration(min(max(t.Predicate.MaxRuntimeMS, 1), hooks.MaxRuntimeSeconds*1000)) * time.Millisecond
}

// Refused is the outcome of a script that is not even given to a worker.
func Refused(t Task) (Outcome, bool) {
	err := hooks.CheckScript(t.Script)
	if err == nil {
		return Outcome{}, false
	}
	return Outcome{Code: string(errs.CodeOf(err)), Error: err.Error()}, true
}

// identity is who the broker is. Started without root there is only one
// choice, which must not pass for root.
func (r *Runner) identity(as hooks.Identity) (Credential, error) {
	if os.Geteuid() != 0 {
		if as == hooks.AsRoot {
			return Credential{}, errs.New(errs.CodeSandboxUnconfined, "cannot run a hook as root: the guard is not root")
		}
		return Credential{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}, nil
	}
	who := Credential{}
	switch as {
	case hooks.AsRoot:
		return who, nil
	case hooks.AsReporter:
		who = r.Reporter
	default:
		who = r.Service
	}
	if who.UID == 0 || who.GID == 0 {
		who = Credential{UID: Nobody, GID: Nobody}
	}
	return who, nil
}

// pair is the two processes of one run and the guard's ends of the broker's pipes.
type pair struct {
	worker, broker *spawn.Process
	task, result   *os.File
}

// start starts both at the same time, joined by two pipes that stay only theirs.
func (r *Runner) start(runtime time.Duration) (*pair, error) {
	var files [8]*os.File
	for i, mine := range []spawn.End{spawn.Neither, spawn.Neither, spawn.Writing, spawn.Reading} {
		in, out, err := spawn.Pipe(mine)
		if err != nil {
			spawn.CloseAll(files[:]...)
			return nil, err
		}
		files[2*i], files[2*i+1] = in, out
	}
	p := &pair{task: files[5], result: files[6]}
	cpu := spawn.CPUSeconds(runtime)
	limit := time.Duration(cpu) * time.Second
	var on []string
	if n, ok := spawn.Processor(); ok {
		on = []string{"processor=" + strconv.Itoa(n)}
	}
	failed := make(chan error, 1)
	go func() {
		var err error
		p.worker, err = spawn.Start(spawn.Options{
			Binary: r.Binary, Args: r.mode("worker", cpu, on...), CPU: limit, Isolate: true, Files: []*os.File{files[0], files[3]},
		})
		failed <- err
	}()
	var err error
	p.broker, err = spawn.Start(spawn.Options{
		Binary: r.Binary, Args: append([]string{"broker", strconv.Itoa(cpu)}, on...), CPU: limit,
		Files: []*os.File{files[2], files[1], files[4], files[7]},
	})
	if werr := <-failed; err == nil {
		err = werr
	}
	spawn.CloseAll(files[0], files[1], files[2], files[3], files[4], files[7])
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// mode are the arguments of a mode of the small binary.
func (r *Runner) mode(name string, cpuSeconds int, more ...string) []string {
	args := append([]string{name, strconv.Itoa(cpuSeconds)}, more...)
	if len(r.Without) > 0 {
		args = append(args, "without="+strings.Join(r.Without, ","))
	}
	return args
}

func (p *pair) close() {
	for _, process := range []*spawn.Process{p.worker, p.broker} {
		if process != nil {
			process.Wait(0)
			process.Close()
		}
	}
	spawn.CloseAll(p.task, p.result)
}

// run is one run under way.
type run struct {
	*pair
	runner   *Runner
	who      Credential
	task     Task
	commands int
	ends     time.Time // the hook's own time is over
	deny     []string  // the peer's own
}

// wait hands the task to the broker, starts the commands that it asks for, and
// waits for its outcome.
func (r *run) wait(ctx context.Context) (Outcome, error) {
	after := r.task.Runtime() + KillAfter
	stop := spawn.Guard(ctx, r.worker, after, r.broker)
	defer stop()
	r.ends = time.Now().Add(r.task.Runtime())
	deadline := time.Now().Add(after + brokerGrace)
	_ = r.pair.task.SetWriteDeadline(deadline)
	_ = r.result.SetReadDeadline(deadline)
	out, err := r.talk(ctx)
	if ctx.Err() != nil {
		return Outcome{}, ctx.Err()
	}
	if err != nil {
		return r.brokerLost(err)
	}
	if r.task.Measure {
		out.Stats.PeakMemory = r.worker.PeakMemory()
	}
	stop() // what is killed from here on is not late
	return Conclude(out, r.worker, r.task)
}

// maxOutcomeValues bounds the JSON values of an outcome, which take far more
// memory than bytes: those of a result, and of calls and log.
const maxOutcomeValues = 110_000

// outcomeBytes is how large an outcome of the task can be: its fields, calls and
// log, and in trial runs what was recorded.
func (t Task) outcomeBytes() int {
	if t.Record || t.Trace {
		return MaxTaskBytes
	}
	return hooks.MaxResultBytes + 512<<10
}

// talk is the conversation with the broker.
func (r *run) talk(ctx context.Context) (Outcome, error) {
	r.deny = r.runner.denied()
	head := BrokerTask{Task: r.task, Deny: r.deny, UID: r.who.UID, GID: r.who.GID, Without: r.runner.Without}
	if _, err := wire.Write(r.pair.task, head, nil, MaxTaskBytes); err != nil {
		return Outcome{}, err
	}
	for {
		var said FromBroker
		if _, _, err := wire.ReadCounted(r.result, &said, r.task.outcomeBytes(), maxOutcomeValues); err != nil {
			return Outcome{}, err
		}
		switch {
		case said.Outcome != nil && said.Command == nil:
			return believable(*said.Outcome, r.task), nil
		case said.Command == nil || said.Outcome != nil:
			return Outcome{}, wire.ErrMalformed
		}
		answer, output := r.command(ctx, *said.Command)
		if _, err := wire.Write(r.pair.task, answer, output, MaxFrameBytes); err != nil {
			return Outcome{}, err
		}
	}
}

// brokerLost is the outcome when no word came from the broker.
func (p *pair) brokerLost(err error) (Outcome, error) {
	if spawn.ErrTimeout(err) {
		return Outcome{Code: string(errs.CodeLimitTime), Error: fmt.Sprintf("a call did not come back within %v", KillAfter+brokerGrace)}, nil
	}
	p.broker.Wait(brokerGrace)
	code, message := p.broker.Fate()
	if code == errs.CodeSandboxUnconfined {
		return Outcome{}, errs.New(code, "the broker %s", message)
	}
	if code != errs.CodeSandboxKilled {
		code = errs.CodeSandboxCrash
	}
	return Outcome{Code: string(code), Error: "the broker: " + message}, nil
}

// believable is what of a broker's word is taken: a code that there is, a short
// text, and no more of a record than a broker may keep.
func believable(out Outcome, t Task) Outcome {
	known := func(i errs.Info) bool { return string(i.Code) == out.Code }
	if out.Code != "" && !slices.ContainsFunc(errs.Table(), known) {
		out.Code = string(errs.CodeSandboxCrash)
	}
	short := func(s string) string { return strings.ToValidUTF8(s[:min(len(s), MaxErrorBytes)], "") }
	out.Error = short(out.Error)
	out.Calls = slices.Clone(out.Calls[:min(len(out.Calls), MaxRecordedCalls)])
	room := MaxLogBytes
	for i, line := range out.Log {
		if room -= len(line) + 1; room < 0 {
			out.Log = slices.Clone(out.Log[:i])
			break
		}
	}
	for i, c := range out.Calls {
		out.Calls[i].Name, out.Calls[i].Arg, out.Calls[i].Reason = short(c.Name), short(c.Arg), short(c.Reason)
	}
	if !t.Trace {
		out.Trace = nil
	}
	if !t.Record {
		out.Recording = nil
	}
	return out
}

// Conclude ends the worker and makes the run's final outcome of what the
// broker said: where the worker went away without a word, the kernel says why,
// and results are held against the statement once more.
func Conclude(out Outcome, worker *spawn.Process, t Task) (Outcome, error) {
	switch errs.Code(out.Code) {
	case errs.CodeSandboxCrash:
		worker.Wait(brokerGrace)
		code, message := worker.Fate()
		switch {
		case code == errs.CodeSandboxUnconfined && out.Stats.Traffic == 0: // it never said a word
			return Outcome{}, errs.New(code, "the worker %s", message)
		case code == errs.CodeSandboxUnconfined:
			code = errs.CodeSandboxCrash
		}
		out.Code, out.Error = string(code), message
	case errs.CodeSandboxUnconfined:
		return Outcome{}, errs.New(errs.CodeSandboxUnconfined, "cannot confine the sandbox: %s", out.Error)
	case "":
		if err := hooks.CheckNew(out.Fields, t.Predicate, t.Report); err != nil {
			out.Code, out.Error = string(errs.CodeOf(err)), err.Error()
			break
		}
		return out, nil
	}
	out.Fields = nil
	return out, nil
}
