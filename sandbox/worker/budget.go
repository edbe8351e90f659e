package worker

import (
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"time"

	lua "github.com/yuin/gopher-lua"

	"hookline/internal/errs"
	"hookline/sandbox"
)

const (
	objectsMetric = "/memory/classes/heap/objects:bytes" // dead ones included
	liveMetric    = "/gc/heap/live:bytes"                // at the last collection
)

// budget counts the steps of a run and ends it at its bounds. It is the
// context.Context of the Lua state: the VM asks Done before each instruction.
type budget struct {
	used    int64
	next    int64 // the count at which to call check
	look    int64 // the count at which check looks at the bounds
	peak    int64 // largest heap seen, bytes
	others  int64 // heap that is not this run's, bytes: none in a process of its own
	expired atomic.Pointer[string]
	state   *lua.LState // for the line at which a bound was hit
	sample  [2]metrics.Sample
	trace   func() // of a traced run, else nil
	end     func(code errs.Code, message string, line int)
}

// Done counts one instruction. It never returns a channel: a bound that is
// hit ends the process instead of raising something that Lua could catch.
func (b *budget) Done() <-chan struct{} {
	b.used++
	if b.used >= b.next {
		b.check()
	}
	return nil
}

// Deadline, Err and Value complete context.Context; the VM does not use them.
func (b *budget) Deadline() (time.Time, bool) { return time.Time{}, false }

// Err is always nil.
func (b *budget) Err() error { return nil }

// Value is always nil.
func (b *budget) Value(any) any { return nil }

// spend counts n steps of a library function. One step is about the work of
// one VM instruction.
func (b *budget) spend(n int64) {
	b.used += n
	if b.used >= b.next {
		b.check()
	}
}

// allocated counts the making of n bytes, before they are made where that is
// possible.
func (b *budget) allocated(n int) {
	b.used += int64(n) / 64
	if n >= 64<<10 {
		b.next, b.look = 0, 0
	}
	b.spend(1)
}

// check looks whether a bound is reached. In a traced run it is asked at each
// step, and looks less often.
func (b *budget) check() {
	if b.trace != nil {
		b.trace()
		b.next = b.used + 1
		if b.used < b.look {
			return
		}
	}
	if b.used > sandbox.MaxInstructions {
		b.end(errs.CodeLimitTime, "more than 50 million instructions", b.line())
	}
	if message := b.expired.Load(); message != nil {
		b.end(errs.CodeLimitTime, *message, b.line())
	}
	objects, over := b.overHeap()
	if over {
		b.end(errs.CodeLimitMemory, "more than 32 MiB of memory", b.line())
	}
	b.look = b.used + checkEvery
	if objects > largeHeap {
		b.look = b.used + checkEveryLarge
	}
	if b.trace == nil {
		b.next = b.look
	}
}

// overHeap reports whether what lives is over its bound, after a collection
// where too much is not collected.
func (b *budget) overHeap() (objects int64, over bool) {
	objects, live := b.heap()
	if objects > maxUncollected {
		runtime.GC()
		objects, live = b.heap()
	}
	return objects, live > sandbox.MaxHeapBytes
}

// lookWhile looks at the heap now and then while something runs that does not
// count its steps, and ends the run where it grows too large. done ends the
// looking.
func (k *worker) lookWhile() (done func()) {
	stop, ended := make(chan struct{}), make(chan struct{})
	ticker := time.NewTicker(compileHeapLooks)
	go func() {
		defer close(ended)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
				if _, over := k.budget.overHeap(); over {
					k.finish(errs.CodeLimitMemory, "more than 32 MiB of memory while compiling", 0)
				}
			}
		}
	}()
	return func() { close(stop); <-ended }
}

// heap returns the bytes of all objects, and of those that the last
// collection found alive.
func (b *budget) heap() (objects, live int64) {
	b.sample[0].Name, b.sample[1].Name = objectsMetric, liveMetric
	metrics.Read(b.sample[:])
	objects, live = int64(b.sample[0].Value.Uint64())-b.others, int64(b.sample[1].Value.Uint64())-b.others
	b.peak = max(b.peak, objects)
	return objects, live
}

// line is the line of the script that is running, 0 where unknown.
func (b *budget) line() (line int) {
	defer func() {
		if recover() != nil { // the VM's state can be half made at any instruction
			line = 0
		}
	}()
	state := b.state
	if state == nil {
		return 0
	}
	if state.G.CurrentThread != nil {
		state = state.G.CurrentThread
	}
	for level := range 20 {
		frame, ok := state.GetStack(level)
		if !ok {
			return 0
		}
		if _, err := state.GetInfo("Sl", frame, lua.LNil); err == nil && frame.Source != "" && frame.CurrentLine > 0 {
			return frame.CurrentLine
		}
	}
	return 0
}
