// Package sshtest starts a real ssh-agent. Only tests import it.
package sshtest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"hookline/internal/waitfor"
)

// Socket is a path for an agent's socket, which must be short.
func Socket(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// Agent starts OpenSSH's own agent on a socket, until the test ends; false
// where it is not installed.
func Agent(t testing.TB, socket string) bool {
	t.Helper()
	binary, err := exec.LookPath("ssh-agent")
	if err != nil {
		t.Log("ssh-agent is not installed: the agent of golang.org/x/crypto alone is tested")
		return false
	}
	cmd := exec.Command(binary, "-D", "-a", socket) //nolint:noctx // it ends with the test
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	waitfor.True(t, 10*time.Second, "ssh-agent listens", func() bool {
		conn, err := net.Dial("unix", socket) //nolint:noctx // on this machine
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	if out, err := exec.Command("ssh", "-V").CombinedOutput(); err == nil { //nolint:noctx // it ends at once
		t.Logf("the agent is OpenSSH's: %s", out)
	}
	return true
}
