// Command hookline-sandbox is the small binary in which hooks run. People do
// not start it: the guard does, and so do hook test, CI and the server's lint
// and trial runs. One process serves one run.
//
//	hookline-sandbox worker CPU-SECONDS
//	hookline-sandbox broker CPU-SECONDS
//	hookline-sandbox lint CPU-SECONDS
//
// A worker speaks frames (package wire) over its standard input and output. A
// broker speaks to the worker there, gets its task on descriptor 3 and hands
// the outcome back on descriptor 4. A linter gets one script and answers with
// its findings. Each locks itself in first, and ends with code 97 if it cannot.
package main

import (
	"fmt"
	"os"
	"strconv"

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
	mode, numbers, ok := parse(args)
	if !ok {
		fmt.Fprintln(os.Stderr, "hookline-sandbox is started by hookline-peer and hookline; it has no use on its own")
		return exitUsage
	}
	in, out := wire.FD(0), wire.FD(1)
	if in.Block() != nil || out.Block() != nil {
		return exitUnconfined
	}
	switch mode {
	case "worker", "lint":
		if err := confine.Worker(numbers[0]); err != nil {
			unconfined(out, err)
			return exitUnconfined
		}
		serve := worker.Main
		if mode == "lint" {
			serve = worker.Lint
		}
		return status(serve(in, out))
	}
	return runBroker(in, out, numbers)
}

func runBroker(in, out wire.FD, numbers []uint64) int {
	task, result := wire.FD(3), wire.FD(4)
	if task.Block() != nil || result.Block() != nil {
		return exitUnconfined
	}
	return status(broker.Main(task, result, in, out, func(o broker.Opened) error {
		return confine.Broker(o.UID, o.GID, o.Read, 5, numbers[0])
	}))
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

// parse reads mode and numbers, all of them given.
func parse(args []string) (mode string, numbers []uint64, ok bool) {
	want := map[string]int{"worker": 1, "lint": 1, "broker": 1}
	if len(args) == 0 || len(args)-1 != want[args[0]] {
		return "", nil, false
	}
	for _, arg := range args[1:] {
		n, err := strconv.ParseUint(arg, 10, 32)
		if err != nil {
			return "", nil, false
		}
		numbers = append(numbers, n)
	}
	return args[0], numbers, numbers[0] >= 1 && numbers[0] <= maxCPUSeconds
}
