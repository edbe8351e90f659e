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

	"hookline/internal/tools/hostile/corpus"
	"hookline/sandbox"
)

// What this program is started again as: a guard, which runs one corpus.Job.
const (
	asGuard                  = "guard"
	asGuardWithoutNamespaces = "guard-without-namespaces" // it gives up the right to make them first
)

func guard(mode string) error {
	if mode == asGuardWithoutNamespaces {
		return dropNamespaces()
	}
	return corpus.Serve(os.Stdin, os.Stdout)
}

// dropNamespaces starts this program once more without CAP_SYS_ADMIN, as in a
// container.
func dropNamespaces() error {
	runtime.LockOSThread() // what is dropped is the thread's, and it is this one that goes on
	if err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_SYS_ADMIN, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot drop a capability: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(self, []string{self, asGuard}, os.Environ()) //nolint:gosec // itself
}

// runJob has a guard of the configuration run a job.
func (p *place) runJob(c configuration, job corpus.Job) ([]corpus.Result, error) {
	mode := asGuard
	if c.off == layerNamespaces {
		mode = asGuardWithoutNamespaces
	}
	input, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(p.self, mode) //nolint:noctx // each run has its own bound
	cmd.Env, cmd.Dir = []string{}, "/"
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), os.Stderr
	if c.user && os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: sandbox.Nobody, Gid: sandbox.Nobody}}
	}
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("the guard did not survive (%s): %w", c.name(), err)
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
