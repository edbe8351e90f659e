// Package calls answers what a worker asks for, by the rules of the signed
// statement: one dispatcher for live runs and for recorded ones, so that a
// trial run refuses exactly what a peer refuses.
//
// Everything that comes from the worker is hostile. Serve bounds frames,
// traffic, calls, fields and log, checks each call against Rules, and gives
// back an Outcome that holds nothing that was not checked here.
package calls

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/redact"
	"hookline/sandbox"
	"hookline/sandbox/wire"
)

const (
	maxArgument = 200     // bytes of a recorded argument
	maxKept     = 4 << 20 // bytes of a recording

	maxTraceLine = 4 << 10 // bytes of one line of a trace
)

const tooMuchTraffic = "more than 8 MiB went through calls"

// Host is what a run may see of a machine, or of its recording. Paths have
// passed the rules that come with them; a link on the way may be followed
// once, to a path that passes them as well. Errors are *Error where the hook
// may know the reason.
type Host interface {
	// ReadFile returns at most sandbox.MaxReadBytes, which stay as they are
	// until the next call.
	ReadFile(path string, rules Rules) ([]byte, error)
	// List returns the names in a folder, sorted, at most sandbox.MaxListed.
	List(dir string, rules Rules) ([]string, error)
	// Stat looks at a path; a link in the last place is itself looked at.
	Stat(path string, rules Rules) (wire.FileInfo, error)
	// Run starts a command whose name and arguments have passed the rules, and
	// waits for its end.
	Run(name string, args []string) (sandbox.CommandOutput, error)
}

// Serve answers one worker over r and w until it ends, and returns how the
// run ended. Outcome.Code is CodeSandboxCrash when the worker went away
// without a word.
func Serve(r io.Reader, w io.Writer, t sandbox.Task, h Host, deny []string) sandbox.Outcome {
	s := &session{
		task: t, host: h, rules: newRuleBook(t, deny), r: wire.NewReader(r), w: w, now: time.Now,
		fields: hooks.Fields{}, sizes: map[string]int{}, issued: map[errs.Code]bool{},
		redact: redact.New(redact.Names{Hosts: t.Redact.Hosts, Users: t.Redact.Users}),
	}
	if s.start() {
		for s.step() {
		}
	}
	return s.outcome()
}

type session struct {
	task    sandbox.Task
	host    Host
	rules   ruleBook
	redact  *redact.Redactor
	now     func() time.Time // only for how long calls took
	r       *wire.Reader
	w       io.Writer
	frame   []byte // written last; its room is used again
	out     sandbox.Outcome
	fields  hooks.Fields
	sizes   map[string]int // canonical bytes of each field, name included
	total   int
	logged  int
	started bool               // the worker is confined and has the script
	issued  map[errs.Code]bool // codes that calls of this run were answered with
	traced  int                // bytes
	kept    int                // bytes of the recording
}

// start waits for a confined worker, then hands it the script.
func (s *session) start() bool {
	req, _, ok := s.receive()
	if !ok {
		return false
	}
	if req.Op != wire.OpReady {
		s.end(req)
		return false
	}
	s.started = true
	head := wire.Start{
		RuntimeMS: s.task.Predicate.MaxRuntimeMS,
		NowMS:     s.task.Now.UnixMilli(),
		Facts:     s.task.Facts,
		Trace:     s.task.Trace,
		Stay:      s.task.Measure,
	}
	return s.send(head, s.task.Script)
}

func (s *session) step() bool {
	req, tail, ok := s.receive()
	if !ok {
		return false
	}
	switch {
	case req.Op == wire.OpEnd:
		s.end(req)
		return false
	case req.Op == wire.OpLog:
		s.log(string(tail))
		return true
	case req.Op == wire.OpTrace && s.task.Trace:
		s.trace(string(tail))
		return true
	}
	if s.out.Stats.Calls++; s.out.Stats.Calls > sandbox.MaxCalls {
		return s.stop(errs.CodeLimitCalls, fmt.Sprintf("more than %d calls", sandbox.MaxCalls))
	}
	began := s.now()
	a, err := s.dispatch(req, tail)
	if err != nil {
		a = answer{head: wire.Response{Code: string(err.Code), Error: err.Message}}
		s.issued[err.Code] = true
	}
	s.record(req, tail, a, err, s.now().Sub(began))
	if s.kept > maxKept {
		return s.stop(errs.CodeLimitCalls, "more than 4 MiB to record")
	}
	return s.send(a.head, a.body)
}

// receive reads one frame, or ends the run. The tail stays until the next.
func (s *session) receive() (wire.Request, []byte, bool) {
	var req wire.Request
	tail, size, err := s.r.Next(&req, sandbox.MaxFrameBytes)
	if errors.Is(err, wire.ErrTooBig) {
		return req, nil, s.stop(errs.CodeLimitCalls, fmt.Sprintf("a call is larger than %d KiB", sandbox.MaxFrameBytes>>10))
	}
	if err != nil {
		return req, nil, s.stop(errs.CodeSandboxCrash, "the worker ended without a word")
	}
	if s.out.Stats.Traffic += int64(size); s.out.Stats.Traffic > sandbox.MaxTrafficBytes {
		return req, nil, s.stop(errs.CodeLimitCalls, tooMuchTraffic)
	}
	return req, tail, true
}

func (s *session) send(head any, tail []byte) bool {
	frame, err := wire.Append(s.frame[:0], head, tail, sandbox.MaxFrameBytes)
	if err == nil {
		_, err = s.w.Write(frame)
	}
	if err != nil {
		return s.lastWord()
	}
	s.frame = frame
	if s.out.Stats.Traffic += int64(len(frame)); s.out.Stats.Traffic > sandbox.MaxTrafficBytes {
		return s.stop(errs.CodeLimitCalls, tooMuchTraffic)
	}
	return true
}

// lastWord takes the end of a worker that did not wait for its answer: it came
// to a limit meanwhile, and may have said so.
func (s *session) lastWord() bool {
	for {
		req, _, ok := s.receive()
		if !ok {
			return false
		}
		if req.Op == wire.OpEnd {
			s.end(req)
			return false
		}
	}
}

func (s *session) stop(code errs.Code, message string) bool {
	s.out.Code, s.out.Error = string(code), message
	return false
}

// end takes the worker's word on how it ended: only a failure, and only one
// that a worker can know.
func (s *session) end(req wire.Request) {
	code := errs.Code(req.Code)
	switch code {
	case "", errs.CodeHookError, errs.CodeBadScript, errs.CodeLimitTime, errs.CodeLimitMemory,
		errs.CodeLimitResult, errs.CodeSandboxUnconfined:
	default:
		if !s.issued[code] {
			code = errs.CodeHookError
		}
	}
	// A worker that has run cannot be one that was never confined: that would
	// take what it read out of the outcome.
	if req.Op != wire.OpEnd || s.started && code == errs.CodeSandboxUnconfined {
		code, req.Error = errs.CodeSandboxCrash, "the worker spoke out of turn"
	}
	s.out.Code, s.out.Error = string(code), req.Error
	if req.Line > 0 && req.Line <= hooks.MaxScriptBytes {
		s.out.Line = req.Line
	}
	s.out.Stats.Instructions = clamp(req.Instructions, 4*sandbox.MaxInstructions)
	s.out.Stats.PeakHeap = clamp(req.Heap, sandbox.MaxDataBytes)
}

func clamp(n, limit int64) int64 { return max(0, min(n, limit)) }

// outcome closes the run: fields only when it ended well.
func (s *session) outcome() sandbox.Outcome {
	if s.out.Code == "" {
		s.out.Error, s.out.Line = "", 0
		s.out.Fields = s.fields
	}
	s.out.Error = Clip(s.clean(s.out.Error), sandbox.MaxErrorBytes)
	s.cleanCalls()
	return s.out
}

// trace keeps one line of a traced run.
func (s *session) trace(text string) {
	line := Clip(s.clean(text), maxTraceLine)
	if s.traced += len(line) + 1; s.traced <= sandbox.MaxTraceBytes {
		s.out.Trace = append(s.out.Trace, line)
	}
}

func (s *session) clean(text string) string {
	return s.redact.Text(Printable(text))
}

func (s *session) log(text string) {
	text = redact.Clip(text, sandbox.MaxLogBytes)
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		if s.logged >= sandbox.MaxLogBytes {
			return
		}
		line = Clip(s.clean(line), sandbox.MaxLogBytes-s.logged)
		s.logged += len(line) + 1
		s.out.Log = append(s.out.Log, line)
	}
}
