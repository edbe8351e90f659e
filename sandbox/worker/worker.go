// Package worker runs one hook's Lua: the inside of the sandbox.
//
// Main is called in a process that confine.Worker has already locked in. It
// gets the script from the broker over its one input pipe, runs it, and says
// over its one output pipe what it wants and how it ended. Nothing that it
// says is believed without a check; see package calls.
//
// Bounds are kept here so that a hook gets a clear answer; what keeps the
// host safe if one of them has a hole is the confinement and the parent.
// Every step of the VM and of the replaced library counts towards one budget,
// the heap is measured as it is spent, and a bound that is hit ends the
// process at once: there is no Lua error to catch.
package worker

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/redact"
	"hookline/sandbox"
	"hookline/sandbox/wire"
)

// Main runs the one script that comes over r and answers over w. It ends the
// process itself at every limit and at the end, so it returns only when the
// broker went away.
func Main(r io.Reader, w io.Writer) error {
	debug.SetMemoryLimit(softMemory)
	k := &worker{r: wire.NewReader(r), w: w, exit: os.Exit}
	if _, err := wire.Write(w, wire.Request{Op: wire.OpReady}, nil, sandbox.MaxFrameBytes); err != nil {
		return err
	}
	var start wire.Start
	script, _, err := k.r.Next(&start, sandbox.MaxFrameBytes)
	if err != nil {
		return err
	}
	k.start = start
	k.began = time.Now()
	k.budget.end = k.finish
	runtime := time.Duration(min(start.RuntimeMS, hooks.MaxRuntimeSeconds*1000)) * time.Millisecond
	time.AfterFunc(runtime, func() { k.expire(runtime) })
	k.run(string(script))
	return nil
}

// worker is the state of the process. Only the Lua goroutine uses it, but for
// finish, which the timer may call as well.
type worker struct {
	r      *wire.Reader
	w      io.Writer
	write  sync.Mutex // whole frames
	frame  []byte     // written last; its room is used again
	ended  sync.Once
	exit   func(int)
	start  wire.Start
	began  time.Time
	budget budget
	logged int
}

// expire ends the run at its time: first by the budget, which knows the line,
// then, where a step does not come back, without it.
func (k *worker) expire(after time.Duration) {
	message := fmt.Sprintf("longer than %v", after)
	k.budget.expired.Store(&message)
	time.Sleep(graceAfterDeadline)
	k.finish(errs.CodeLimitTime, message, 0)
}

// finish tells the broker how the run ended and ends the process.
func (k *worker) finish(code errs.Code, message string, line int) {
	k.ended.Do(func() {
		k.write.Lock() // for ever: nothing may follow
		head := wire.Request{
			Op: wire.OpEnd, Code: string(code), Error: redact.Clip(message, maxErrorSent), Line: line,
			Instructions: k.budget.used, Heap: k.budget.peak,
		}
		_, _ = wire.Write(k.w, head, nil, sandbox.MaxFrameBytes)
		if k.start.Stay {
			time.Sleep(time.Minute) // the parent looks, and ends this process
		}
		k.exit(0)
	})
	select {} // another goroutine is ending the process
}

// callError is a call that the broker refused, or that failed.
type callError struct {
	code errs.Code
	text string
}

func (e *callError) Error() string { return e.text }

// call asks the broker and waits for its answer, whose body stays until the
// next call. none says that the thing asked for does not exist.
func (k *worker) call(op, arg string, tail []byte) (body []byte, none bool, err error) {
	answer, body, err := k.ask(op, arg, tail)
	return body, answer.Nil, err
}

// ask is call with all that the broker says.
func (k *worker) ask(op, arg string, tail []byte) (answer wire.Response, body []byte, err error) {
	if err := k.tell(wire.Request{Op: op, Arg: clip(arg, 4*hooks.MaxPathLength)}, tail); err != nil {
		return answer, nil, err
	}
	body, _, err = k.r.Next(&answer, sandbox.MaxFrameBytes)
	if err != nil {
		k.exit(0) // the broker ended the run
		return answer, nil, err
	}
	if answer.Code != "" {
		return answer, nil, &callError{code: errs.Code(answer.Code), text: answer.Error}
	}
	k.budget.spend(int64(len(body)) / 16)
	return answer, body, nil
}

// tell sends a frame that needs no answer.
func (k *worker) tell(head wire.Request, tail []byte) error {
	k.write.Lock()
	frame, err := wire.Append(k.frame[:0], head, tail, sandbox.MaxFrameBytes)
	if err == nil {
		k.frame = frame
		_, err = k.w.Write(frame)
	}
	k.write.Unlock()
	if errors.Is(err, wire.ErrTooBig) {
		return &callError{code: errs.CodeLimitResult, text: "larger than 512 KiB"}
	}
	if err != nil {
		k.exit(0)
	}
	return err
}

// log sends what a hook logs, up to the cap of a run.
func (k *worker) log(text string) {
	room := sandbox.MaxLogBytes - k.logged
	if room <= 0 {
		return
	}
	text = redact.Clip(text, room)
	k.logged += len(text) + 1
	_ = k.tell(wire.Request{Op: wire.OpLog}, []byte(text))
}

func clip(s string, limit int) string { return s[:min(len(s), limit)] }
