package corpus

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// MakeFixtures makes the files that the snippets aim at, in an empty folder
// that any user may enter. As root a device is among them.
func MakeFixtures(dir string) error {
	allowed := filepath.Join(dir, "allowed")
	at := func(name string) string { return filepath.Join(allowed, name) }
	err := errors.Join(
		os.Chmod(dir, 0o755),
		os.Mkdir(allowed, 0o755),
		os.WriteFile(filepath.Join(dir, "secret"), []byte("TOPSECRET\n"), 0o644),
		os.WriteFile(at("ok"), []byte("hello\n"), 0o644),
		os.WriteFile(at("big"), []byte(strings.Repeat("x", 200_000)), 0o644),
		os.Symlink("../secret", at("link_secret")),
		os.Symlink("..", at("link_dir")),
		os.Symlink("ok", at("link_ok")),
		os.Symlink("link_ok", at("link_link")),
		os.Link(filepath.Join(dir, "secret"), at("hard_secret")),
		syscall.Mkfifo(at("fifo"), 0o644),
		os.WriteFile(at("huge"), nil, 0o644),
		os.Truncate(at("huge"), 10<<30),
	)
	if os.Geteuid() == 0 {
		err = errors.Join(err, syscall.Mknod(at("zero"), syscall.S_IFCHR|0o666, 1<<8|5))
	}
	if err != nil {
		return fmt.Errorf("cannot make the fixtures: %w", err)
	}
	return nil
}
