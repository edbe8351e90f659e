package sandbox_test

import (
	"bytes"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"hookline/sandbox"
	"hookline/sandbox/wire"
)

// A worker that is started without a mount namespace of its own must not
// cover anything of the machine's with its empty file system.
func TestWorkerMountsNothingOverTheMachine(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a process the first of its namespace")
	}
	before := mounts(t)
	cmd := exec.Command(binary, "worker", "5")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	var said bytes.Buffer
	cmd.Stdout = &said
	err := cmd.Run() // its input is empty: it ends once it is confined
	var head wire.Request
	if _, _, werr := wire.Read(&said, &head, sandbox.MaxFrameBytes); werr != nil || head.Op != wire.OpReady {
		t.Errorf("the worker did not get ready: %+v, %v, %v", head, werr, err)
	}
	if after := mounts(t); after != before {
		t.Errorf("mounts before:\n%s\nand after:\n%s", before, after)
	}
}

func mounts(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
