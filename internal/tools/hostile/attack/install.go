package attack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Install copies the probe to where it may be a command: a folder that nobody
// but root can change, all the way. remove takes it away again. Only root can.
func Install(probe string) (path string, remove func(), err error) {
	b, err := os.ReadFile(probe)
	if err != nil {
		return "", nil, err
	}
	for _, top := range []string{"/opt", "/usr/local/lib", "/var/lib", "/usr/lib"} {
		dir, err := os.MkdirTemp(top, "hookline-hostile")
		if err != nil {
			continue
		}
		path := filepath.Join(dir, "probe")
		if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(path, b, 0o755)); err != nil {
			_ = os.RemoveAll(dir)
			return "", nil, fmt.Errorf("cannot install the probe: %w", err)
		}
		return path, func() { _ = os.RemoveAll(dir) }, nil
	}
	return "", nil, errors.New("cannot install the probe: no folder of root's can be written")
}
