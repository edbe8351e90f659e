package sqlite

import (
	"database/sql"
	"database/sql/driver"
	"errors"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"hookline/internal/errs"
)

// resultCode is SQLite's extended result code, 0 for any other error.
func resultCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

// failure is how trouble of SQLite itself reaches people, or nil where err is
// none: a coded refusal of the domain, a broken constraint, a defect. Peers
// read it, and strangers at /readyz: the path is for the log.
func failure(path string, err error) *errs.Error {
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) {
		return unavailable(path, err)
	}
	code := resultCode(err)
	if code == lib.SQLITE_IOERR_SHMSIZE {
		return full(path, err) // the shared memory file cannot grow
	}
	switch code & 0xff {
	case lib.SQLITE_FULL:
		return full(path, err)
	case lib.SQLITE_TOOBIG:
		return errs.Wrap(errs.CodeTooLarge, err, "cannot store: a value is too large")
	case lib.SQLITE_IOERR, lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN,
		lib.SQLITE_NOMEM, lib.SQLITE_PROTOCOL, lib.SQLITE_INTERRUPT, lib.SQLITE_ABORT,
		lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return unavailable(path, err)
	}
	return nil
}

func full(path string, err error) *errs.Error {
	return errs.Wrap(errs.CodeStorageFull, err, "cannot store: the server's disk is full").WithDetail("store %s", path).
		WithHint("nothing of this request was stored; free space on the file system of the server's database and send it again")
}

func unavailable(path string, err error) *errs.Error {
	return errs.Wrap(errs.CodeUnavailable, err, "cannot use the server's store").WithDetail("store %s", path).
		WithHint("nothing of this request was stored; see the server's log, check disk and file permissions, and send it again")
}

// openError says why a database does not open, with the hint of its cause. It
// is for the one who starts the server, and names the file.
func openError(path string, err error) error {
	if e, ok := errs.As(err); ok {
		return errs.New(e.Code, "cannot open store %s: %s", path, e.Error()).WithHint("%s", e.Hint)
	}
	if resultCode(err)&0xff == lib.SQLITE_NOTADB {
		return errs.Wrap(errs.CodeUnavailable, err, "cannot open store %s", path).
			WithHint("the file is no database; restore a backup, or give the server another path")
	}
	if f := failure(path, err); f != nil {
		return errs.Wrap(f.Code, err, "cannot open store %s", path).WithHint("%s", f.Hint)
	}
	return errs.Wrap(errs.CodeUnavailable, err, "cannot open store %s", path)
}

// errClosed answers what comes after Close.
func errClosed() error {
	return errs.New(errs.CodeUnavailable, "cannot use the store: it is closed").
		WithHint("the server is stopping; send it again when it is back")
}
