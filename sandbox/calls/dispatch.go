package calls

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/redact"
	"hookline/sandbox"
	"hookline/sandbox/wire"
)

// answer is what a call is answered with.
type answer struct {
	head wire.Response
	body []byte
}

func (s *session) dispatch(req wire.Request, tail []byte) (answer, *Error) {
	switch req.Op {
	case wire.OpGet:
		return s.get(req.Arg)
	case wire.OpNames:
		return encoded(sortedKeys(s.task.Report))
	case wire.OpSet:
		return answer{}, s.set(req.Arg, tail)
	case wire.OpRead:
		return s.read(req.Arg)
	case wire.OpList:
		return s.list(req.Arg)
	case wire.OpStat:
		return s.stat(req.Arg)
	case wire.OpRun:
		return s.run(req.Arg, tail)
	case wire.OpUnavailable:
		return answer{}, Denied("there is no such call")
	}
	return answer{}, Denied("unknown call")
}

func encoded(v any) (answer, *Error) {
	body, err := encode(v)
	if err != nil {
		return answer{}, Failed("the answer cannot be encoded")
	}
	return answer{body: body}, nil
}

func (s *session) get(name string) (answer, *Error) {
	value, ok := s.task.Report[name]
	if !ok {
		return answer{head: wire.Response{Nil: true}}, nil
	}
	if len(value) > sandbox.MaxReadBytes {
		return answer{}, &Error{Code: errs.CodeLimitRead, Message: "the field is larger than 256 KiB"}
	}
	return answer{body: []byte(value)}, nil
}

func (s *session) read(p string) (answer, *Error) {
	if err := s.rules.read.Check(p); err != nil {
		return answer{}, err
	}
	body, err := s.host.ReadFile(p, s.rules.read)
	if err != nil {
		return answer{}, s.failed(wire.OpRead, p, hostError(err, "cannot read the file"))
	}
	if len(body) > sandbox.MaxReadBytes {
		return answer{}, s.failed(wire.OpRead, p, TooLarge())
	}
	s.out.Stats.BytesRead += int64(len(body))
	s.keep(len(body), func(r *sandbox.Recording) { r.Files[p] = slices.Clone(body) })
	return answer{body: body}, nil
}

func (s *session) list(dir string) (answer, *Error) {
	if err := s.rules.list.Check(dir); err != nil {
		return answer{}, err
	}
	names, err := s.host.List(dir, s.rules.list)
	if err != nil {
		return answer{}, s.failed(wire.OpList, dir, hostError(err, "cannot list the folder"))
	}
	if len(names) > sandbox.MaxListed {
		return answer{}, s.failed(wire.OpList, dir, TooMany())
	}
	a, failed := encoded(names)
	if failed != nil || len(a.body) > sandbox.MaxReadBytes {
		return answer{}, s.failed(wire.OpList, dir, TooMany())
	}
	s.keep(len(a.body), func(r *sandbox.Recording) { r.Folders[dir] = names })
	return a, nil
}

func (s *session) stat(p string) (answer, *Error) {
	if err := s.rules.stat.Check(p); err != nil {
		return answer{}, err
	}
	info, err := s.host.Stat(p, s.rules.stat)
	if err != nil {
		return answer{}, s.failed(wire.OpStat, p, hostError(err, "cannot look at the path"))
	}
	s.keep(len(p), func(r *sandbox.Recording) { r.Stats[p] = info })
	return encoded(info)
}

// run checks one command; who starts it holds it against the signed pattern
// once more.
func (s *session) run(name string, raw []byte) (answer, *Error) {
	args, err := arguments(raw)
	if err != nil {
		return answer{}, err
	}
	if err := s.rules.checkCommand(s.task, name, args); err != nil {
		return answer{}, err
	}
	if s.out.Stats.Commands++; s.out.Stats.Commands > sandbox.MaxCommandRuns {
		return answer{}, &Error{Code: errs.CodeLimitCalls, Message: fmt.Sprintf("more than %d commands", sandbox.MaxCommandRuns)}
	}
	out, rerr := s.host.Run(name, args)
	if rerr == nil && len(out.Stdout)+len(out.Stderr) > sandbox.MaxOutputBytes {
		rerr = TooMuchOutput()
	}
	ran := sandbox.RecordedCommand{Name: name, Args: args, Stdout: out.Stdout, Stderr: out.Stderr, Exit: out.Exit}
	if rerr != nil {
		failure := hostError(rerr, "cannot run the command")
		ran = sandbox.RecordedCommand{Name: name, Args: args, Code: string(failure.Code), Error: failure.Message}
		s.keep(len(failure.Message), func(r *sandbox.Recording) { r.Commands = append(r.Commands, ran) })
		return answer{}, failure
	}
	body := slices.Concat(out.Stdout, out.Stderr)
	s.out.Stats.BytesRead += int64(len(body))
	s.keep(len(body), func(r *sandbox.Recording) { r.Commands = append(r.Commands, ran) })
	return answer{head: wire.Response{Exit: out.Exit, Split: len(out.Stdout)}, body: body}, nil
}

// arguments decodes what a worker gives as a command's arguments.
func arguments(raw []byte) ([]string, *Error) {
	args := []string{}
	if err := json.Unmarshal(raw, &args); err != nil || len(args) > hooks.MaxArguments {
		return nil, Denied(fmt.Sprintf("the arguments must be at most %d texts", hooks.MaxArguments))
	}
	return args, nil
}

// hostError is what a hook hears of a host's error.
func hostError(err error, otherwise string) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	return Failed(otherwise)
}

// record keeps what the owner wants to see: what was asked of the machine, and
// every call that was refused or failed. Its texts are the worker's until
// cleanCalls.
func (s *session) record(req wire.Request, tail []byte, a answer, err *Error, took time.Duration) {
	if err != nil && err.Code == errs.CodeDenied {
		s.out.Denied++
	}
	touches := slices.Contains([]string{wire.OpRead, wire.OpList, wire.OpStat, wire.OpRun}, req.Op)
	if err == nil && !touches || len(s.out.Calls) >= sandbox.MaxRecordedCalls {
		return
	}
	call := sandbox.Call{Name: req.Op, Arg: req.Arg, Bytes: len(a.body), Took: took}
	if req.Op == wire.OpRun {
		call.Arg = commandLine(req.Arg, tail)
	}
	call.Arg = redact.Clip(call.Arg, 4*maxArgument)
	if err != nil {
		call.Code, call.Reason = string(err.Code), redact.Clip(err.Message, 4*maxArgument)
	}
	s.out.Calls = append(s.out.Calls, call)
}

// cleanCalls makes the texts of the record fit to be shown. It is the end of
// the run: nobody waits for an answer meanwhile.
func (s *session) cleanCalls() {
	for i := range s.out.Calls {
		call := &s.out.Calls[i]
		call.Arg, call.Reason = s.short(call.Arg), s.short(call.Reason)
		if call.Name == wire.OpUnavailable {
			call.Name, call.Arg = Clip(call.Arg, 32), ""
		}
	}
}

// short is a worker's text for the record.
func (s *session) short(text string) string {
	return Clip(s.clean(text), maxArgument)
}

// keep adds to the recording of a trial run.
func (s *session) keep(size int, add func(*sandbox.Recording)) {
	if !s.task.Record {
		return
	}
	if s.out.Recording == nil {
		s.out.Recording = &sandbox.Recording{
			Files: map[string][]byte{}, Folders: map[string][]string{}, Stats: map[string]wire.FileInfo{},
		}
	}
	s.kept += size
	add(s.out.Recording)
}

// NoSuchFile is what a host says of a path that is not there.
const NoSuchFile = "no such file"

// failed keeps why a host did not answer for a path, and returns it.
func (s *session) failed(call, p string, err *Error) *Error {
	s.keep(len(p)+len(err.Message), func(r *sandbox.Recording) {
		failure := sandbox.RecordedFailure{Call: call, Path: p, Code: string(err.Code), Error: err.Message}
		switch absent := err.Code == errs.CodeCallFailed && err.Message == NoSuchFile; {
		case absent && !slices.Contains(r.Missing, p):
			r.Missing = append(r.Missing, p)
		case !absent && !slices.Contains(r.Failed, failure):
			r.Failed = append(r.Failed, failure)
		}
	})
	return err
}

// commandLine is a command as people write it, of what a worker said.
func commandLine(name string, raw []byte) string {
	args, err := arguments(raw)
	if err != nil {
		return name
	}
	return strings.Join(append([]string{name}, args...), " ")
}
