// Command probe locks itself in as a process of the sandbox does, makes one
// attack, and prints what came of it. internal/tools/hostile starts it.
//
//	probe worker|broker|unconfined ATTACK GUARD DIR CPU-SECONDS [UID]
//	probe ATTACK.GUARD DIR      as a confined command
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"hookline/internal/tools/hostile/attack"
	"hookline/sandbox/confine"
)

func main() {
	said, err := probe(os.Args[1:])
	if err != nil {
		said = "cannot: " + err.Error()
	}
	// One bare call: what is left may do no more.
	_, _ = unix.Write(1, []byte(said+"\n"))
	unix.Exit(0)
}

func probe(args []string) (string, error) {
	switch len(args) {
	case 2:
		name, guard, _ := strings.Cut(args[0], ".")
		pid, err := strconv.Atoi(guard)
		if err != nil {
			return "", err
		}
		return attack.Try(name, attack.Aim{Guard: pid, Dir: args[1]}), nil
	case 6:
		var number [3]int
		for i, at := range []int{2, 4, 5} {
			n, err := strconv.Atoi(args[at])
			if err != nil {
				return "", err
			}
			number[i] = n
		}
		if err := lockIn(args[0], args[3], number[1], number[2]); err != nil {
			return "", err
		}
		return attack.Try(args[1], attack.Aim{Guard: number[0], Dir: args[3]}), nil
	}
	return "", fmt.Errorf("it is started by internal/tools/hostile")
}

// lockIn locks this process in as the part of a run that it plays.
func lockIn(part, dir string, cpu, uid int) error {
	switch part {
	case "worker":
		return confine.Worker(uint64(cpu), without())
	case "broker":
		return confine.Broker(confine.Reading{
			UID: uint32(uid), GID: uint32(uid), Read: []string{filepath.Join(dir, "open")},
			Without: without(), OpenFrom: 3, CPUSeconds: uint64(cpu),
		})
	}
	return nil
}

// without is what may be missing: the tool switches namespaces off.
func without() []string { return []string{"namespaces"} }
