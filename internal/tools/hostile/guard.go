package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"hookline/internal/tools/hostile/attack"
	"hookline/internal/tools/hostile/corpus"
	"hookline/sandbox"
)

// What this program is started again as: a guard, which runs one corpus.Job or
// one attack.Job, and one that gives up the right to make namespaces first.
const (
	asGuard           = "guard"
	asTarget          = "target"
	withoutNamespaces = "without-namespaces"
)

func guard(args []string) error {
	switch args[0] {
	case withoutNamespaces:
		return dropNamespaces(args[1:])
	case asTarget:
		return attack.Serve(os.Stdin, os.Stdout)
	}
	return corpus.Serve(os.Stdin, os.Stdout)
}

// dropNamespaces starts this program once more without CAP_SYS_ADMIN, as in a
// container.
func dropNamespaces(args []string) error {
	runtime.LockOSThread() // what is dropped is the thread's, and it is this one that goes on
	if err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_SYS_ADMIN, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot drop a capability: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(self, append([]string{self}, args...), os.Environ()) //nolint:gosec // itself
}

// asGuardOf has a guard of the configuration do a job, and returns what it says.
func (p *place) asGuardOf(c configuration, mode string, job any) ([]byte, error) {
	args := []string{mode}
	if c.off == layerNamespaces {
		args = []string{withoutNamespaces, mode}
	}
	input, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(p.self, args...) //nolint:noctx // each run has its own bound
	cmd.Env, cmd.Dir = []string{}, "/"
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), os.Stderr
	if c.user && os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: sandbox.Nobody, Gid: sandbox.Nobody}}
	}
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("the guard did not survive (%s): %w", c.name(), err)
	}
	return out, nil
}

// runJob has a guard of the configuration run a job.
func (p *place) runJob(c configuration, job corpus.Job) ([]corpus.Result, error) {
	out, err := p.asGuardOf(c, asGuard, job)
	if err != nil {
		return nil, err
	}
	var results []corpus.Result
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var r corpus.Result
		if err := dec.Decode(&r); errors.Is(err, io.EOF) {
			return results, nil
		} else if err != nil {
			return nil, fmt.Errorf("cannot read what the guard said: %w", err)
		}
		results = append(results, r)
	}
}
