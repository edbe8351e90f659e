// Package sandbox runs a hook's Lua in a confined process of the small binary
// hookline-sandbox and returns only what the hook was allowed to bring.
//
// A run has three parties. The worker (package sandbox/worker) holds the Lua
// VM and can use nothing but two pipes. The broker answers its calls and
// checks each against the signed capabilities: live (package sandbox/broker,
// another process of the same binary) on a peer, recorded (package
// sandbox/replay, in process, nothing of the host) for tests, CI and trial
// runs. The caller starts both, joins their pipes, and enforces the wall
// clock. Nothing here decides whether a hook may run: that is signing.Verify
// and the guard.
package sandbox

import (
	"time"

	"hookline/hooks"
)

// Limits that hold for every run; measured to stop the hostile corpus.
const (
	MaxInstructions = 50_000_000
	MaxHeapBytes    = 32 << 20
	MaxDataBytes    = 128 << 20 // RLIMIT_DATA
	MaxFrameBytes   = 512 << 10
	MaxTrafficBytes = 8 << 20 // all frames of a run
	MaxCalls        = 5000
	MaxReadBytes    = 256 << 10
	MaxLogBytes     = 16 << 10
	MaxErrorBytes   = 200
	KillAfter       = time.Second // past the runtime, the parent kills
	MaxTaskBytes    = 8 << 20     // between guard and broker
	MaxFindings     = 200         // of one lint
	LintRuntime     = 5 * time.Second
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
}

// BrokerTask is what a broker process gets: the task, and the paths of the
// peer itself, which are refused whatever was signed.
type BrokerTask struct {
	Task Task     `json:"task"`
	Deny []string `json:"deny"`
}

// Redaction names what text fields must not show; see internal/redact.
type Redaction struct {
	Hosts []string `json:"hosts"`
	Users []string `json:"users"`
}

// Outcome is how a run ended. Code is "" for a run that ended well.
type Outcome struct {
	Code   string       `json:"code"`   // errs code: hook-error, limit-time, limit-memory, limit-calls, limit-result, sandbox-crash, bad-script, …
	Error  string       `json:"error"`  // at most MaxErrorBytes, redacted
	Line   int          `json:"line"`   // of the script, 0 where unknown
	Fields hooks.Fields `json:"fields"` // the new fields; empty unless Code is ""
	Calls  []Call       `json:"calls"`  // brokered calls, at most 200 kept
	Denied int          `json:"denied"` // calls refused by the broker
	Log    []string     `json:"log"`    // what the hook logged or printed, capped
	Stats  Stats        `json:"stats"`
}

// Call is one brokered call, for the record.
type Call struct {
	Name  string `json:"name"` // "fs.read"
	Arg   string `json:"arg"`  // first argument, at most 200 bytes
	Code  string `json:"code"` // "" allowed; denied, limit-read, call-failed
	Bytes int    `json:"bytes"`
}

// Stats is what the run used.
type Stats struct {
	Wall         time.Duration `json:"wall"`
	Instructions int64         `json:"instructions"`
	PeakHeap     int64         `json:"peak_heap"` // bytes, 0 where unknown
	Calls        int           `json:"calls"`
	Traffic      int64         `json:"traffic"` // bytes over the pipes
}
