package guard

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"hookline/internal/durable"
	"hookline/internal/errs"

	"golang.org/x/sys/unix"
)

// Names in the guard's folder.
const (
	pinFile     = "pin.json"
	trustFile   = "trust.json"
	revokedFile = "revoked.json"
	configFile  = "config.yaml"
	stateName   = "state.json"
	recordName  = "record.jsonl"
	sumsName    = "sums.json"
	reportsDir  = "reports"
	outboxDir   = "outbox"
	lockName    = "lock"
	// SocketName is the unix socket in the guard's folder.
	SocketName = "guard.sock"
)

// writeAtomic replaces a file so that a crash leaves the old or the new one,
// whole and on disk. What it leaves of a write that was cut short begins with
// a dot, which lists of a folder pass over.
func writeAtomic(dir, name string, b []byte) error {
	if err := durable.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
		return writeError(err, name)
	}
	return nil
}

func removeSynced(dir, name string) error {
	if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return durable.SyncDir(dir)
}

// writeError tells a full disk apart.
func writeError(err error, name string) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return errs.Wrap(errs.CodeStorageFull, errs.Plain(err), "cannot write %s", name).WithHint("free space on the disk of the peer's state")
	}
	return errs.Wrap(errs.CodeInternal, errs.Plain(err), "cannot write %s", name)
}

// readCapped reads a whole file of at most limit bytes.
func readCapped(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, errs.New(errs.CodeTooLarge, "cannot read %s: it is larger than %d bytes", filepath.Base(path), limit)
	}
	return b, nil
}

// encode is the JSON of files and record lines: HTML escaping off, no newline.
func encode(v any) ([]byte, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, errs.Wrap(errs.CodeInternal, err, "cannot encode")
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}

// decodeOwn decodes a file that a guard wrote; unknown keys mean that a newer
// one did, and guessing could forget a count.
func decodeOwn(name string, b []byte, into any) error {
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return errs.Wrap(errs.CodeBadInput, err, "cannot read the guard's own file").At(name).
			WithHint("restore it from a copy, or enrol this machine anew; nothing runs until then")
	}
	if _, err := d.Token(); err != io.EOF {
		return errs.New(errs.CodeBadInput, "the guard's own file has something behind its end").At(name)
	}
	return nil
}

// prepare makes the guard's folders. Others may pass through to the socket
// where the guard is root's, and see nothing else.
func prepare(dir string) error {
	mode := os.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711
	}
	for _, d := range []struct {
		path string
		mode os.FileMode
	}{{dir, mode}, {filepath.Join(dir, reportsDir), 0o700}, {filepath.Join(dir, outboxDir), 0o700}} {
		if err := os.MkdirAll(d.path, d.mode); err != nil {
			return errs.Wrap(errs.CodeForbidden, errs.Plain(err), "cannot make %s", d.path).
				WithHint("run it as the user who owns the state folder, or give another --state")
		}
		// The umask may have taken bits away, an older folder may have more.
		if err := os.Chmod(d.path, d.mode); err != nil {
			return errs.Wrap(errs.CodeForbidden, errs.Plain(err), "cannot set the mode of %s", d.path)
		}
	}
	return nil
}

// lock keeps a second guard, or an enrolment, out of the folder until it is
// closed or the process ends.
func lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, errs.Wrap(errs.CodeForbidden, errs.Plain(err), "cannot open the guard's lock").
			WithHint("run it as root or as the user who owns the state folder")
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, errs.New(errs.CodeStateHeld, "cannot use %s: %s holds it", dir, holder(dir)).
			WithHint("one process at a time uses a folder: stop hookline-peer run first, or give another --state")
	}
	// For people only: the kernel's lock is what counts, on a full disk too.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f, nil
}

// holder names the process that holds the lock, as far as it has said so.
func holder(dir string) string {
	b, err := readCapped(filepath.Join(dir, lockName), 64)
	if pid, bad := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && bad == nil && pid > 0 {
		return "process " + strconv.Itoa(pid)
	}
	return "another process"
}
