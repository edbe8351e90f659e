package sandbox_test

import (
	"bytes"
	bigendian "encoding/binary"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hookline/hooks"
	"hookline/sandbox"
	"hookline/sandbox/wire"
)

// This test program in the place of the small binary: a folder's name says
// which part of a run lies, and how ("lies.worker.garbage"); the other parts
// are the real ones, whose binary is beside that folder.
const liesPrefix = "lies."

// lie plays a part, where this program was started as the small binary.
func lie() (code int, lied bool) {
	self, err := os.Executable()
	if err != nil || filepath.Base(self) != sandbox.BinaryName || len(os.Args) < 2 {
		return 0, false
	}
	dir := filepath.Dir(self)
	name, ok := strings.CutPrefix(filepath.Base(dir), liesPrefix)
	if !ok {
		return 0, false
	}
	part, how, _ := strings.Cut(name, ".")
	if os.Args[1] != part {
		honest := filepath.Join(filepath.Dir(dir), sandbox.BinaryName)
		err := syscall.Exec(honest, os.Args, os.Environ())
		fmt.Fprintln(os.Stderr, err)
		return 1, true
	}
	if lie, ok := lies()[name]; ok {
		lie()
		return 0, true
	}
	return misbehave(how), true
}

// misbehave is what any part can do.
func misbehave(how string) int {
	switch name, rest, _ := strings.Cut(how, "-"); name {
	case "garbage":
		say(bytes.Repeat([]byte("\x00\x00\x10\x00no frame at all\xff"), 1<<16))
	case "flood":
		for {
			say(make([]byte, 1<<16))
		}
	case "mutter":
		for {
			if _, err := os.Stderr.Write(bytes.Repeat([]byte("mutter "), 1<<13)); err != nil {
				hang()
			}
		}
	case "hang":
		hang()
	case "stop":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP) // the first process of a namespace does not stop
		hang()
	case "burn":
		for i := 0; ; i++ {
			runtime.KeepAlive(i)
		}
	case "close":
		for fd := range 5 {
			_ = syscall.Close(fd)
		}
		hang()
	case "spawn":
		spawnHolder()
	case "exit":
		var code int
		_, _ = fmt.Sscan(rest, &code)
		return code
	case "signal":
		var n int
		_, _ = fmt.Sscan(rest, &n)
		signal.Reset()
		_ = syscall.Kill(os.Getpid(), syscall.Signal(n))
		time.Sleep(100 * time.Millisecond) // the first process of a namespace ignores most
		return 3
	}
	return 0
}

func hang() {
	for {
		time.Sleep(time.Hour)
	}
}

// spawnHolder leaves processes behind that hold the pipes. Confined parts
// cannot; these end by themselves, and a guard that takes orphans in keeps
// what is left of them.
func spawnHolder() {
	_, _ = syscall.ForkExec("/bin/sleep", []string{"sleep", "1"}, &syscall.ProcAttr{Files: []uintptr{0, 1, 2, 3, 4}})
	_, _ = syscall.ForkExec("/bin/sleep", []string{"sleep", "1"}, &syscall.ProcAttr{Files: []uintptr{0, 1, 2}})
}

// say writes to the peer of the part that lies: a worker's is the broker, a
// broker's the guard, a command's whoever reads its output.
func say(b []byte) {
	fd := 1
	if os.Args[1] == "broker" {
		fd = 4
	}
	if _, err := wire.FD(fd).Write(b); err != nil {
		hang()
	}
}

// frame is a frame of the protocol, with no cap.
func frame(head any, tail string) []byte {
	b, err := wire.Encode(head, []byte(tail), 64<<20)
	if err != nil {
		panic(err)
	}
	return b
}

func tell(r wire.Request, tail string) { say(frame(r, tail)) }

// hear takes one frame from fd, whatever it says.
func hear(fd int) {
	var size [4]byte
	if _, err := io.ReadFull(wire.FD(fd), size[:]); err != nil {
		hang()
	}
	if _, err := io.CopyN(io.Discard, wire.FD(fd), int64(bigendian.BigEndian.Uint32(size[:]))); err != nil {
		hang()
	}
}

// ready is a worker that has begun as it must.
func ready() {
	tell(wire.Request{Op: wire.OpReady}, "")
	hear(0)
}

func end(code string) { tell(wire.Request{Op: wire.OpEnd, Code: code}, "") }

func set(name, value string) { tell(wire.Request{Op: wire.OpSet, Arg: name}, value) }

// lies are what only one part can do, by "part.name".
func lies() map[string]func() {
	all := map[string]func(){
		"worker.too-long":    func() { say([]byte("\xff\xff\xff\xff\x00\x00\x00\x02{}")); hang() },
		"worker.negative":    func() { say([]byte("\x80\x00\x00\x00\x80\x00\x00\x00")); hang() },
		"worker.too-short":   func() { say([]byte("\x00\x00\x00\x03abc")); hang() },
		"worker.head-beyond": func() { say([]byte("\x00\x00\x00\x06\x7f\xff\xff\xff{}")); hang() },
		"worker.half":        func() { ready(); say([]byte("\x00\x00\x01\x00\x00\x00")); hang() },
		"worker.half-stop":   func() { ready(); say([]byte("\x00\x00\x01\x00\x00\x00")); misbehave("stop") },
		"worker.half-exit":   func() { ready(); say([]byte("\x00\x00\x01\x00\x00\x00")) },
		"worker.not-ready":   func() { set("Int", "1"); hang() },
		"worker.ready-twice": func() { ready(); tell(wire.Request{Op: wire.OpReady}, ""); hear(0); end("") },
		"worker.early-end":   func() { end("") },
		"worker.unknown":     func() { ready(); tell(wire.Request{Op: "nonsense"}, ""); hear(0); end("") },
		"worker.response":    func() { ready(); say(frame(wire.Response{Nil: true, Split: 1 << 30}, "x")); hang() },
		"worker.outcome":     func() { ready(); say(frame(sandbox.FromBroker{Outcome: &sandbox.Outcome{}}, "")); hang() },
		"worker.code-denied": func() { ready(); end("denied") },
		"worker.code-unsaid": func() { ready(); end("revoked") },
		"worker.unconfined":  func() { ready(); end("sandbox-unconfined") },
		"worker.figures": func() {
			ready()
			tell(wire.Request{Op: wire.OpEnd, Line: 1 << 40, Instructions: 1 << 60, Heap: -5}, "")
		},
		"worker.after-end": func() {
			ready()
			set("Int", "1")
			hear(0)
			end("")
			set("Int", "2")
			set("Text", `"late"`)
			end("hook-error")
		},
		"worker.undeclared": func() {
			ready()
			set("Nope", "1")
			hear(0)
			set("Package", `"x"`)
			hear(0)
			end("")
		},
		"worker.deaf": func() {
			ready()
			for {
				tell(wire.Request{Op: wire.OpRead, Arg: "/proc/meminfo"}, "")
			}
		},
		"worker.logs": func() {
			ready()
			for {
				tell(wire.Request{Op: wire.OpLog}, strings.Repeat("x", 100_000))
			}
		},
		"worker.ends": func() {
			ready()
			for {
				end("")
			}
		},
		"worker.exit97-late": func() {
			ready()
			tell(wire.Request{Op: wire.OpRead, Arg: "/proc/meminfo"}, "")
			hear(0)
			os.Exit(97)
		},
		"broker.too-long":  func() { hear(3); say([]byte("\xff\xff\xff\xff\x00\x00\x00\x02{}")); hang() },
		"broker.too-short": func() { hear(3); say([]byte("\x00\x00\x00\x03abc")); hang() },
		"broker.half":      func() { hear(3); say([]byte("\x00\x00\x01\x00\x00\x00")); hang() },
		"broker.neither":   func() { hear(3); say(frame(sandbox.FromBroker{}, "")); hang() },
		"broker.both": func() {
			hear(3)
			say(frame(sandbox.FromBroker{Command: &sandbox.CommandCall{}, Outcome: &sandbox.Outcome{}}, ""))
			hang()
		},
		"broker.request":    func() { hear(3); say(frame(wire.Request{Op: wire.OpEnd}, "")); hang() },
		"broker.undeclared": func() { hear(3); outcome(sandbox.Outcome{Fields: hooks.Fields{"Nope": "x"}}) },
		"broker.existing":   func() { hear(3); outcome(sandbox.Outcome{Fields: hooks.Fields{"Package": "x"}}) },
		"broker.too-large":  func() { hear(3); outcome(sandbox.Outcome{Fields: hooks.Fields{"Text": strings.Repeat("x", 1<<20)}}) },
		"broker.and-fails":  func() { hear(3); outcome(sandbox.Outcome{Code: "hook-error", Fields: hooks.Fields{"Int": 1}}) },
		"broker.made-up":    func() { hear(3); outcome(sandbox.Outcome{Code: "made-up"}) },
		"broker.long-error": func() { hear(3); outcome(sandbox.Outcome{Code: "hook-error", Error: strings.Repeat("x", 1<<20)}) },
		"broker.twice":      func() { hear(3); outcome(sandbox.Outcome{}); outcome(sandbox.Outcome{Code: "hook-error"}) },
		"broker.unsigned":   func() { hear(3); run("id"); hear(3); outcome(sandbox.Outcome{}) },
		"broker.wrong-args": func() {
			hear(3)
			run("uname", "-a")
			hear(3)
			run("uname", "-r", "-a")
			hear(3)
			run("uname")
			hear(3)
			outcome(sandbox.Outcome{})
		},
		"broker.thousand": func() { hear(3); thousand(); outcome(sandbox.Outcome{}) },
		"broker.deaf": func() {
			hear(3)
			for {
				run("id", strings.Repeat("x", 5000))
			}
		},
		"broker.after-end": func() { hear(3); outcome(sandbox.Outcome{}); run("uname", "-r"); run("sleep", "1000"); hang() },
		"command.status":   func() { hear(3); status4([]byte("\xff\xff\xff\xff")); hang() },
		"command.claims":   func() { hear(3); status4(frame(sandbox.CommandAnswer{Code: "revoked", Error: "x"}, "")) },
		"command.and-runs": func() {
			hear(3)
			status4(frame(sandbox.CommandAnswer{Exit: 5, Split: 1 << 30}, "x"))
			misbehave("flood")
		},
		"command.closes":      func() { hear(3); _ = syscall.Close(4); hang() },
		"command.loud-errors": func() { hear(3); _ = syscall.Close(4); misbehave("mutter") },
		"command.deaf":        func() { _ = syscall.Close(4); misbehave("flood") },
	}
	return all
}

func outcome(o sandbox.Outcome) { say(frame(sandbox.FromBroker{Outcome: &o}, "")) }

func run(name string, args ...string) {
	say(frame(sandbox.FromBroker{Command: &sandbox.CommandCall{Name: name, Args: args}}, ""))
}

func thousand() {
	for range 1000 {
		run("id")
		hear(3)
	}
}

func status4(b []byte) { _, _ = unix.Write(4, b) }
