package sqlite

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"hookline/internal/durable"
	"hookline/internal/errs"
)

// driverName is the name under which modernc.org/sqlite registers itself.
const driverName = "sqlite"

// prepareFiles makes folder and file, readable by their owner only. SQLite
// gives its log and shared memory the mode of the database file.
func prepareFiles(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if err := os.Chmod(name, 0o600); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return durable.SyncDir(filepath.Dir(path)) // a new name survives a power cut
}

// lockFile takes the database for this process. The lock is the kernel's: it
// ends with the process, however that dies.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, errs.Wrap(errs.CodeUnavailable, err, "cannot lock store %s", path)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		owner := lockOwner(f)
		_ = f.Close()
		return nil, errs.New(errs.CodeConflict, "cannot open store %s: %s has it open", path, owner).
			WithHint("one server at a time can use a database; stop the other one, or give this one a folder of its own")
	}
	if err := writeOwner(f); err != nil {
		_ = f.Close()
		return nil, errs.Wrap(errs.CodeUnavailable, err, "cannot lock store %s", path)
	}
	return f, nil
}

// lockOwner reads who holds the lock, for people.
func lockOwner(f *os.File) string {
	b, err := io.ReadAll(io.LimitReader(f, 32))
	if err != nil {
		return "another process"
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return "another process"
	}
	return fmt.Sprintf("process %d", pid)
}

// writeOwner leaves this process's id in the lock file. A full disk must not
// keep a server from starting to read, so a lost id is no error.
func writeOwner(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil && !errors.Is(err, unix.ENOSPC) {
		return err
	}
	return nil
}

// dsn is the address of the file with pragmas, which run on every new
// connection in this order.
func dsn(path string, pragmas []string) string {
	q := url.Values{"_pragma": pragmas}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// sharedPragmas are those of every connection: nothing of a query's data spills into temporary files.
func sharedPragmas() []string {
	return []string{
		"busy_timeout(5000)", // a person's sqlite3 shell may hold the lock for a moment
		"temp_store(memory)",
		"trusted_schema(off)",
	}
}

func writerPragmas(o Options) []string {
	p := append(sharedPragmas(),
		"synchronous(full)",
		"foreign_keys(on)",
		"cache_size(-32000)",
		"journal_size_limit(67108864)",
	)
	if o.MaxPages > 0 {
		p = append(p, fmt.Sprintf("max_page_count(%d)", o.MaxPages))
	}
	return p
}

func readerPragmas() []string {
	return append(sharedPragmas(), "cache_size(-16000)", "query_only(on)")
}
