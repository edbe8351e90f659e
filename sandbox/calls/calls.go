// Package calls answers what a worker asks for, by the rules of the signed
// statement: one dispatcher for live runs and for recorded ones, so that a
// trial run refuses exactly what a peer refuses.
//
// Everything that comes from the worker is hostile. Serve bounds frames,
// traffic, calls, fields and log, checks each call against Rules, and gives
// back an Outcome that holds nothing that was not checked here.
package calls

import (
	"encoding/json"
	"errors"
	"io"
	"strings"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/redact"
	"hookline/sandbox"
	"hookline/sandbox/wire"
)

const (
	maxRecorded = 200 // calls kept in the outcome
	maxArgument = 200 // bytes of a recorded argument
)

// Host is what a run may see of a machine, or of its recording.
type Host interface {
	// ReadFile returns at most sandbox.MaxReadBytes. The path has passed the
	// rules; a link on the way may be followed once, to a path that passes
	// them as well. Errors are *Error where the caller may know the reason.
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
		task: t, host: h, rules: NewRules(t.Predicate.Capabilities, deny), r: r, w: w,
		fields: hooks.Fields{}, sizes: map[string]int{}, issued: map[errs.Code]bool{},
		names: redact.Names{Hosts: t.Redact.Hosts, Users: t.Redact.Users},
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
	rules   Rules
	names   redact.Names
	r       io.Reader
	w       io.Writer
	out     sandbox.Outcome
	fields  hooks.Fields
	sizes   map[string]int // canonical bytes of each field, name included
	total   int
	logged  int
	started bool               // the worker is confined and has the script
	issued  map[errs.Code]bool // codes that calls of this run were answered with
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
	}
	return s.send(head, s.task.Script)
}

func (s *session) step() bool {
	req, tail, ok := s.receive()
	if !ok {
		return false
	}
	switch req.Op {
	case wire.OpEnd:
		s.end(req)
		return false
	case wire.OpLog:
		s.log(string(tail))
		return true
	}
	if s.out.Stats.Calls++; s.out.Stats.Calls > sandbox.MaxCalls {
		return s.stop(errs.CodeLimitCalls, "more than 5000 calls")
	}
	body, none, err := s.dispatch(req, tail)
	head := wire.Response{Nil: none}
	if err != nil {
		head = wire.Response{Code: string(err.Code), Error: err.Message}
		s.issued[err.Code] = true
		body = nil
	}
	s.record(req, len(body), err)
	return s.send(head, body)
}

// receive reads one frame, or ends the run.
func (s *session) receive() (wire.Request, []byte, bool) {
	var req wire.Request
	tail, size, err := wire.Read(s.r, &req, sandbox.MaxFrameBytes)
	if errors.Is(err, wire.ErrTooBig) {
		return req, nil, s.stop(errs.CodeLimitCalls, "a call is too big")
	}
	if err != nil {
		return req, nil, s.stop(errs.CodeSandboxCrash, "the worker ended without a word")
	}
	if s.out.Stats.Traffic += int64(size); s.out.Stats.Traffic > sandbox.MaxTrafficBytes {
		return req, nil, s.stop(errs.CodeLimitCalls, "more than 8 MiB went through calls")
	}
	return req, tail, true
}

func (s *session) send(head any, tail []byte) bool {
	size, err := wire.Write(s.w, head, tail, sandbox.MaxFrameBytes)
	if err != nil {
		return s.stop(errs.CodeSandboxCrash, "the worker ended without a word")
	}
	if s.out.Stats.Traffic += int64(size); s.out.Stats.Traffic > sandbox.MaxTrafficBytes {
		return s.stop(errs.CodeLimitCalls, "more than 8 MiB went through calls")
	}
	return true
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
	return s.out
}

func (s *session) clean(text string) string {
	return redact.Text(Printable(text), s.names)
}

func (s *session) log(text string) {
	text = Clip(text, sandbox.MaxLogBytes)
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		if s.logged >= sandbox.MaxLogBytes {
			return
		}
		line = Clip(s.clean(line), sandbox.MaxLogBytes-s.logged)
		s.logged += len(line) + 1
		s.out.Log = append(s.out.Log, line)
	}
}

// record keeps what the owner wants to see: what was read of the machine, and
// every call that was refused or failed.
func (s *session) record(req wire.Request, size int, err *Error) {
	call := sandbox.Call{Name: req.Op, Arg: Clip(Printable(Clip(req.Arg, 4*maxArgument)), maxArgument), Bytes: size}
	if req.Op == wire.OpUnavailable {
		call.Name, call.Arg = Clip(Printable(Clip(req.Arg, maxArgument)), 32), ""
	}
	if err != nil {
		call.Code = string(err.Code)
		if err.Code == errs.CodeDenied {
			s.out.Denied++
		}
	}
	if (err != nil || req.Op == wire.OpRead) && len(s.out.Calls) < maxRecorded {
		s.out.Calls = append(s.out.Calls, call)
	}
}

func (s *session) dispatch(req wire.Request, tail []byte) (body []byte, none bool, err *Error) {
	switch req.Op {
	case wire.OpGet:
		return s.get(req.Arg)
	case wire.OpNames:
		body, jerr := encode(sortedKeys(s.task.Report))
		if jerr != nil {
			return nil, false, Failed("cannot list the names")
		}
		return body, false, nil
	case wire.OpSet:
		return nil, false, s.set(req.Arg, tail)
	case wire.OpRead:
		body, err := s.read(req.Arg)
		return body, false, err
	case wire.OpUnavailable:
		return nil, false, Denied("not available in this version")
	}
	return nil, false, Denied("unknown call")
}

func (s *session) get(name string) (body []byte, none bool, err *Error) {
	value, ok := s.task.Report[name]
	if !ok {
		return nil, true, nil
	}
	if len(value) > sandbox.MaxReadBytes {
		return nil, false, &Error{Code: errs.CodeLimitRead, Message: "the field is larger than 256 KiB"}
	}
	return []byte(value), false, nil
}

func (s *session) read(p string) ([]byte, *Error) {
	if err := s.rules.Check(p); err != nil {
		return nil, err
	}
	body, err := s.host.ReadFile(p, s.rules)
	var known *Error
	switch {
	case errors.As(err, &known):
		return nil, known
	case err != nil:
		return nil, Failed("cannot read the file")
	case len(body) > sandbox.MaxReadBytes:
		return nil, &Error{Code: errs.CodeLimitRead, Message: "the file is larger than 256 KiB"}
	}
	return body, nil
}

// set takes one new field, after every check that the peer makes on results.
func (s *session) set(name string, raw []byte) *Error {
	i := declared(s.task.Predicate.Fields, name)
	if i < 0 {
		return &Error{Code: errs.CodeResultUndeclared, Message: "no such field is declared"}
	}
	if _, ok := s.task.Report[name]; ok {
		return &Error{Code: errs.CodeResultFieldExists, Message: "the original has this field already"}
	}
	value, size, err := newField(raw, s.task.Predicate.Fields[i], s.names)
	if err != nil {
		return err
	}
	// {} around all fields, and one comma less than fields.
	total := s.total - s.sizes[name] + size
	if int64(total)+1 > s.task.Predicate.MaxResultBytes {
		return &Error{Code: errs.CodeLimitResult, Message: "the fields are larger than max_result_bytes"}
	}
	s.total, s.sizes[name], s.fields[name] = total, size, value
	return nil
}

func declared(fields []hooks.DeclaredField, name string) int {
	for i := range fields {
		if fields[i].Name == name {
			return i
		}
	}
	return -1
}

// encode is the canonical JSON of the domain: no HTML escaping, sorted keys.
func encode(v any) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}
