package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"hookline/internal/errs"
)

// BinaryName is the file name of the small binary.
const BinaryName = "hookline-sandbox"

// Credential is a user and group of the system. The zero value stands for
// nobody (65534), never for root.
type Credential struct{ UID, GID uint32 }

// Nobody is the unprivileged user and group that a zero Credential means.
const Nobody = 65534

// Runner runs verified hooks against the host it is on: one worker and one
// broker process per run. The zero value but for Binary is usable. A Runner
// may be used by several goroutines at a time.
type Runner struct {
	Binary   string           // path of hookline-sandbox, see FindBinary
	Deny     []string         // folders and files of the peer itself: never read, whatever was signed
	Service  Credential       // who the broker is for hooks.AsService, when started as root
	Reporter Credential       // who the broker is for hooks.AsReporter, when started as root
	Without  []string         // layers of the confinement that the owner accepts to miss: LayerLandlock, LayerNamespaces
	Now      func() time.Time // nil is time.Now; only for Stats.Wall
}

// FindBinary looks for the small binary: the file named by HOOKLINE_SANDBOX,
// then beside the running program, then in PATH.
func FindBinary() (string, error) {
	if path := os.Getenv("HOOKLINE_SANDBOX"); path != "" {
		return checkBinary(path)
	}
	if self, err := os.Executable(); err == nil {
		if path, err := checkBinary(filepath.Join(filepath.Dir(self), BinaryName)); err == nil {
			return path, nil
		}
	}
	if path, err := exec.LookPath(BinaryName); err == nil {
		return checkBinary(path)
	}
	return "", errs.New(errs.CodeSandboxUnconfined, "cannot find %s", BinaryName).
		WithHint("put it beside this program, or name it in HOOKLINE_SANDBOX")
}

func checkBinary(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err == nil {
		var info os.FileInfo
		if info, err = os.Stat(path); err == nil && (!info.Mode().IsRegular() || info.Mode()&0o111 == 0) {
			err = os.ErrPermission
		}
	}
	if err != nil {
		return "", errs.Wrap(errs.CodeSandboxUnconfined, err, "cannot use %s", path)
	}
	return path, nil
}
