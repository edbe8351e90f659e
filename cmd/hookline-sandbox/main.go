// Command hookline-sandbox is the small binary in which hooks run. People do
// not start it: the guard does, and so do hook test, CI and the server's lint
// and trial runs. One process serves one run.
//
//	hookline-sandbox worker CPU-SECONDS [processor=N] [without=LAYERS]
//	hookline-sandbox broker CPU-SECONDS [processor=N]
//	hookline-sandbox lint CPU-SECONDS [without=LAYERS]
//	hookline-sandbox command CPU-SECONDS [without=LAYERS]
//	hookline-sandbox probe CPU-SECONDS
//
// A worker speaks frames (package wire) over its standard input and output. A
// broker speaks to the worker there, gets its task on descriptor 3 and hands
// the outcome back on descriptor 4. A linter gets one script and answers with
// its findings. A command gets its task on descriptor 3 and becomes the
// program named there; if it cannot, it says why on descriptor 4, which else
// ends without a word. Each locks itself in first, and ends with code 97 if it
// cannot. LAYERS, separated by commas, may be missing here: landlock,
// namespaces. A probe puts each layer in force on itself and prints, as lines
// of JSON, which of them this machine gives.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"hookline/internal/errs"
	"hookline/sandbox"
	"hookline/sandbox/broker"
	"hookline/sandbox/confine"
	"hookline/sandbox/wire"
	"hookline/sandbox/worker"
)

const (
	exitUsage      = 2
	exitFailed     = 1
	exitUnconfined = 97
	maxCPUSeconds  = 60
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	call, ok := parse(args)
	if !ok {
		fmt.Fprintln(os.Stderr, "hookline-sandbox is started by hookline-peer and hookline; it has no use on its own")
		return exitUsage
	}
	in, out := wire.FD(0), wire.FD(1)
	if in.Block() != nil || out.Block() != nil {
		return exitUnconfined
	}
	if call.processor >= 0 {
		_ = confine.StayOn(call.processor) // for speed alone
	}
	switch call.mode {
	case "broker":
		return call.broker(in, out)
	case "command":
		return call.command()
	case "probe":
		return status(call.probe(out))
	}
	if err := confine.Worker(call.cpu, call.without); err != nil {
		unconfined(out, err)
		return exitUnconfined
	}
	serve := worker.Main
	if call.mode == "lint" {
		serve = worker.Lint
	}
	return status(serve(&talk{Reader: in}, out))
}

// call is what the arguments ask for.
type call struct {
	mode    string
	cpu     uint64 // seconds
	without []string

	processor int // to stay on, -1 for any
}

// The descriptors beyond the standard ones that a broker and a command get.
const (
	taskFD   = 3
	answerFD = 4
)

func (c call) broker(in, out wire.FD) int {
	task, result := wire.FD(taskFD), wire.FD(answerFD)
	if task.Block() != nil || result.Block() != nil {
		return exitUnconfined
	}
	return status(broker.Main(task, result, &talk{Reader: in}, out, func(o broker.Opened) error {
		return confine.Broker(confine.Reading{
			UID: o.UID, GID: o.GID, Read: o.Read, List: o.List, Without: o.Without,
			OpenFrom: answerFD + 1, CPUSeconds: c.cpu,
		})
	}))
}

// command becomes a program, and returns only where that failed.
func (c call) command() int {
	task, answer := wire.FD(taskFD), wire.FD(answerFD)
	if task.Block() != nil || answer.Block() != nil {
		return exitUnconfined
	}
	var head sandbox.CommandTask
	tail, _, err := wire.Read(task, &head, sandbox.MaxFrameBytes)
	if err == nil && len(tail) > 0 {
		err = wire.ErrMalformed
	}
	if err == nil {
		err = confine.Command(confine.Becoming{Task: head, CPUSeconds: c.cpu, Without: c.without, Status: answerFD})
	}
	_, _ = wire.Write(answer, sandbox.CommandAnswer{Code: string(errs.CodeOf(err)), Error: err.Error()}, nil, sandbox.MaxFrameBytes)
	return exitUnconfined
}

// probe prints what holds here.
func (c call) probe(out io.Writer) error {
	for _, layer := range confine.Probe(c.cpu) {
		line, err := json.Marshal(layer)
		if err != nil {
			return err
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return nil
}

func status(err error) int {
	if err != nil {
		return exitFailed
	}
	return 0
}

// unconfined tells the broker why no script will run.
func unconfined(out wire.FD, err error) {
	head := wire.Request{Op: wire.OpEnd, Code: string(errs.CodeSandboxUnconfined), Error: err.Error()}
	_, _ = wire.Write(out, head, nil, sandbox.MaxFrameBytes)
}

// parse reads the mode and what follows it, all of it known.
func parse(args []string) (c call, ok bool) {
	if len(args) < 2 || !slices.Contains([]string{"worker", "broker", "lint", "command", "probe"}, args[0]) {
		return call{}, false
	}
	c.mode = args[0]
	var err error
	if c.cpu, err = strconv.ParseUint(args[1], 10, 32); err != nil || c.cpu < 1 || c.cpu > maxCPUSeconds {
		return call{}, false
	}
	c.processor = -1
	rest := args[2:]
	if text, named := optional(&rest, "processor="); named && (c.mode == "worker" || c.mode == "broker") {
		if c.processor, err = strconv.Atoi(text); err != nil || c.processor < 0 {
			return call{}, false
		}
	} else if named {
		return call{}, false
	}
	if list, named := optional(&rest, "without="); named && c.mode != "broker" && c.mode != "probe" {
		c.without, err = confine.Without(list)
		return c, err == nil && len(rest) == 0
	}
	return c, len(rest) == 0
}

// optional takes the next argument, if it starts so.
func optional(rest *[]string, prefix string) (value string, ok bool) {
	if len(*rest) == 0 {
		return "", false
	}
	if value, ok = strings.CutPrefix((*rest)[0], prefix); ok {
		*rest = (*rest)[1:]
	}
	return value, ok
}
