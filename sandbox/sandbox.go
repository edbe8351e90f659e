// Package sandbox runs a hook's Lua in a confined process of the small binary
// hookline-sandbox and returns only what the hook was allowed to bring.
//
// A run has three parties. The worker (package sandbox/worker) holds the Lua
// VM and can use nothing but two pipes. The broker answers its calls and
// checks each against the signed capabilities: live (package sandbox/broker,
// another process of the same binary) on a peer, recorded (package
// sandbox/replay, in process, nothing of the host) for tests, CI and trial
// runs. The caller starts both, joins their pipes, and enforces the wall
// clock. Nothing here decides whether a hook may run: that is signing.Rules
// and the guard.
package sandbox

import (
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/sandbox/wire"
)

// Limits that hold for every run, each measured to stop what is in the hostile
// corpus and to leave room for ten times what an honest hook takes. Those that
// the worker keeps by itself are in sandbox/worker.
const (
	// MaxInstructions is about a second of Lua. A step is an instruction of the
	// VM, or as much work in the library and in the compiler.
	MaxInstructions = 50_000_000
	// MaxHeapBytes bounds what is alive after a collection.
	MaxHeapBytes = 32 << 20
	// MaxDataBytes is RLIMIT_DATA of a worker, exact where RLIMIT_AS is not. The
	// runtime maps 72 MiB of it before it starts, most never touched.
	MaxDataBytes = 128 << 20
	// MaxFrameBytes holds the largest answer, a read or an output, with its head.
	MaxFrameBytes = 512 << 10
	// MaxTrafficBytes bounds what all calls of a run move through a broker.
	MaxTrafficBytes = 8 << 20
	// MaxCalls bounds the calls of a run: at 15 µs each, less than a tenth of a second.
	MaxCalls = 5000
	// MaxReadBytes is one file, one field of the report, or the names of a folder.
	MaxReadBytes = 256 << 10
	// MaxLogBytes is what a run may log: for people, who do not read more.
	MaxLogBytes = 16 << 10
	// MaxRecordedCalls is how many calls of a run its owner finds in the record.
	MaxRecordedCalls = 200
	// MaxErrorBytes is an error's text, which leaves the peer in HookError_<hook>.
	MaxErrorBytes = 200
	// KillAfter is how long past its runtime a worker may be before it is killed.
	KillAfter = time.Second
	// MaxTaskBytes is a task or an outcome between guard and broker: a report of
	// 1 MiB and its escapes, or a recording.
	MaxTaskBytes = 8 << 20
	// MaxFindings and LintRuntime bound one lint.
	MaxFindings = 200
	LintRuntime = 5 * time.Second
	// MaxTraceBytes bounds a traced trial run, besides its 1,000 lines.
	MaxTraceBytes = 1 << 20
)

// Limits of fs.list and of commands.
const (
	// MaxListed is the names of one folder: more are no diagnosis.
	MaxListed = 4096
	// MaxCommandRuns bounds the processes that a run can make the guard start.
	MaxCommandRuns = 100
	// MaxOutputBytes is what a command may print, stdout and stderr together: it
	// has to fit one frame.
	MaxOutputBytes = 256 << 10
	// CommandRuntime is the wall clock of one command, CommandCPUSeconds its
	// processor time (RLIMIT_CPU counts whole seconds).
	CommandRuntime    = 1500 * time.Millisecond
	CommandCPUSeconds = 2
	// MaxCommandDataBytes is RLIMIT_DATA of a command: dpkg takes 20 MiB.
	MaxCommandDataBytes = 128 << 20
)

// The layers of the confinement that a kernel or a container can lack and
// that an owner may accept to do without; see package sandbox/confine. The
// others (seccomp, resource limits, no_new_privs, the user) never.
const (
	LayerLandlock   = "landlock"
	LayerNamespaces = "namespaces"
)

// Task is one run. The script and predicate are what was verified, or, for a
// trial run, what would be signed.
type Task struct {
	Script    []byte
	Predicate hooks.Predicate // capabilities, fields, limits, as
	Report    hooks.Report    // the peer's own copy of the original
	Facts     hooks.Facts
	Redact    Redaction
	Now       time.Time // what time.now() starts from
	Filer     Filer     // who filed the report
	Measure   bool      // look at the memory that the worker took; trial runs only
	Trace     bool      // tell each line as it runs; trial runs only
	Record    bool      // keep what the machine answered, for fixtures; trial runs only
}

// Filer is who filed the report. The zero value is somebody unknown: no
// process is theirs, and they are not root.
type Filer struct {
	UID   uint32 `json:"uid"`
	Known bool   `json:"known"`
}

// Trusted reports whether what the report says may choose what a hook that
// runs as root looks at: only root's own word may.
func (f Filer) Trusted() bool { return f.Known && f.UID == 0 }

// Steered reports whether the run must be kept from following the report:
// it runs as root, and somebody else wrote what it works on.
func (t Task) Steered() bool { return t.Predicate.As == hooks.AsRoot && !t.Filer.Trusted() }

// CommandTask is what the shim of a command gets: the program, what it may
// read, and who it is.
type CommandTask struct {
	Program string   `json:"program"`
	Args    []string `json:"args"`  // without the program's own name
	Reads   []string `json:"reads"` // files, and folders with all below ("/a/**")
	Deny    []string `json:"deny"`  // the peer's own, as they really are: no read at, above or below one
	UID     uint32   `json:"uid"`
	GID     uint32   `json:"gid"`
	Syslog  bool     `json:"syslog"`
}

// CommandOutput is how a command ended.
type CommandOutput struct {
	Stdout, Stderr []byte // at most MaxOutputBytes together
	Exit           int    // 128 and the signal where one ended it
}

// BrokerTask is what a broker process gets: the task, and the paths of the
// peer itself, which are refused whatever was signed.
type BrokerTask struct {
	Task    Task     `json:"task"`
	Deny    []string `json:"deny"`
	UID     uint32   `json:"uid"` // who the broker becomes, where it was started as root
	GID     uint32   `json:"gid"`
	Without []string `json:"without"` // layers that may be missing
}

// FromBroker is the head of what a broker says to the guard: it asks for a
// command to be started, or hands the outcome of the run over, which ends it.
type FromBroker struct {
	Command *CommandCall `json:"command,omitempty"`
	Outcome *Outcome     `json:"outcome,omitempty"`
}

// CommandCall is one call of cmd.run that the broker has checked.
type CommandCall struct {
	Name string   `json:"name"`
	Args []string `json:"args"`
}

// CommandAnswer is the head of the guard's answer to a CommandCall; its tail
// is the output, stdout first.
type CommandAnswer struct {
	Code  string `json:"code,omitempty"` // errs code of a refusal, or of a limit that was hit
	Error string `json:"error,omitempty"`
	Exit  int    `json:"exit,omitempty"`
	Split int    `json:"split,omitempty"` // bytes of the tail that are stdout
}

// Redaction names what text fields must not show; see internal/redact.
type Redaction struct {
	Hosts []string `json:"hosts"`
	Users []string `json:"users"`
}

// Outcome is how a run ended. Code is "" for a run that ended well.
type Outcome struct {
	Code   string       `json:"code"`            // errs code: hook-error, limit-time, limit-memory, limit-calls, limit-result, sandbox-crash, bad-script, …
	Error  string       `json:"error"`           // at most MaxErrorBytes, redacted
	Line   int          `json:"line"`            // of the script, 0 where unknown
	Fields hooks.Fields `json:"fields"`          // the new fields; empty unless Code is ""
	Calls  []Call       `json:"calls"`           // brokered calls, at most 200 kept
	Denied int          `json:"denied"`          // calls refused by the broker
	Log    []string     `json:"log"`             // what the hook logged or printed, capped
	Trace  []string     `json:"trace,omitempty"` // lines with their locals, of a traced run
	Stats  Stats        `json:"stats"`

	Recording *Recording `json:"recording,omitempty"` // of a run with Task.Record
}

// Ending is how a run ended, in the word that people see.
func (o Outcome) Ending() hooks.Ending {
	outcome := hooks.OutcomeReceived
	switch {
	case o.Code != "":
		outcome = hooks.OutcomeFailed
	case len(o.Fields) == 0:
		outcome = hooks.OutcomeEmpty
	}
	return hooks.EndingOf(outcome, errs.Code(o.Code))
}

// Recording is what a machine answered to the calls of one run.
type Recording struct {
	Files    map[string][]byte        `json:"files"`   // path → content
	Folders  map[string][]string      `json:"folders"` // path → names
	Stats    map[string]wire.FileInfo `json:"stats"`
	Commands []RecordedCommand        `json:"commands"`
	Missing  []string                 `json:"missing"` // paths of fs.read, fs.list and fs.stat that are not there
	Failed   []RecordedFailure        `json:"failed"`  // their calls that failed otherwise
}

// RecordedFailure is one call of a path that failed, though it was signed.
type RecordedFailure struct {
	Call  string `json:"call"` // "fs.read", "fs.list" or "fs.stat"
	Path  string `json:"path"`
	Code  string `json:"code"` // errs code
	Error string `json:"error"`
}

// RecordedCommand is one command that ran, or why it brought nothing.
type RecordedCommand struct {
	Name   string   `json:"name"`
	Args   []string `json:"args"`
	Stdout []byte   `json:"stdout"`
	Stderr []byte   `json:"stderr"`
	Exit   int      `json:"exit"`
	Code   string   `json:"code,omitempty"` // errs code of one that failed, with no output then
	Error  string   `json:"error,omitempty"`
}

// Call is one brokered call, for the record.
type Call struct {
	Name   string        `json:"name"`   // "fs.read"
	Arg    string        `json:"arg"`    // first argument, or the command line; at most 200 bytes
	Code   string        `json:"code"`   // "" allowed; denied, limit-read, call-failed, …
	Reason string        `json:"reason"` // of a code; redacted, at most 200 bytes
	Bytes  int           `json:"bytes"`
	Took   time.Duration `json:"took"`
}

// Stats is what the run used.
type Stats struct {
	Wall         time.Duration `json:"wall"`
	Instructions int64         `json:"instructions"`
	PeakHeap     int64         `json:"peak_heap"` // bytes, 0 where unknown
	Calls        int           `json:"calls"`
	Traffic      int64         `json:"traffic"`     // bytes over the pipes
	BytesRead    int64         `json:"bytes_read"`  // of files and commands
	Commands     int           `json:"commands"`    // programs started
	PeakMemory   int64         `json:"peak_memory"` // resident bytes of the worker, as the kernel counts; 0 where unknown
}
