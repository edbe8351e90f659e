package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"hookline/internal/errs"
	"hookline/store/archive"
)

// Archive is a database that is open to be read from end to end, and no more.
type Archive struct {
	path string
	lock *os.File // where nobody else has the database open
	db   *sql.DB
	view *tx // one state of the database
}

var _ archive.Source = (*Archive)(nil)

// OpenArchive opens the database at path to read the whole of it. It changes
// nothing, and a server that has the database open goes on. errs.CodeNotFound
// where there is none; errs.CodeUnavailable where the schema is not this
// version's.
func OpenArchive(ctx context.Context, path string) (*Archive, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, errs.Wrap(errs.CodeBadInput, err, "cannot open store %q", path)
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil, errs.New(errs.CodeNotFound, "there is no store %s", path).WithHint("give the folder, or the database file, of a server")
	}
	a := &Archive{path: path}
	if err := a.open(ctx); err != nil {
		_ = a.Close()
		return nil, openError(path, err)
	}
	return a, nil
}

func (a *Archive) open(ctx context.Context) (err error) {
	address := dsn(a.path, readerPragmas()) + "&mode=ro"
	if a.lockAlone() {
		address += "&immutable=1" // else reading alone would leave a log behind
	}
	if a.db, err = sql.Open(driverName, address); err != nil {
		return err
	}
	a.db.SetMaxOpenConns(1)
	conn, err := a.db.Conn(ctx)
	if err != nil {
		return err
	}
	a.view = newTx(conn)
	have, err := schemaVersion(ctx, conn)
	if err != nil {
		return err
	}
	return currentSchema(have)
}

// lockAlone takes the lock of a database that was closed well and that nobody
// has open, so that no server starts to write to it meanwhile.
func (a *Archive) lockAlone() bool {
	f, err := os.OpenFile(a.path+".lock", os.O_RDONLY, 0)
	if err != nil {
		return false
	}
	locked := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	// Looked for under the lock: a server that was just killed has left one.
	if _, noLog := os.Stat(a.path + "-wal"); locked != nil || !errors.Is(noLog, os.ErrNotExist) {
		_ = f.Close()
		return false
	}
	a.lock = f
	return true
}

// currentSchema refuses what only opening it for writing would bring up to
// date.
func currentSchema(have int) error {
	names, err := migrations.ReadDir("migrations")
	switch {
	case err != nil:
		return err
	case have < len(names):
		return errs.New(errs.CodeUnavailable, "its schema is version %d and this program reads %d", have, len(names)).
			WithHint("start this version's server on it once, which brings it up to date; or export it with the older program")
	case have > len(names):
		return newerSchema(have, len(names))
	}
	return nil
}

// Close gives back what is open.
func (a *Archive) Close() error {
	var err error
	if a.view != nil {
		err = a.view.close()
	}
	if a.db != nil {
		err = errors.Join(err, a.db.Close())
	}
	if a.lock != nil {
		err = errors.Join(err, a.lock.Close())
	}
	return err
}

// ArchiveBegin begins a transaction, which sees the database as it is now until
// its end.
func (a *Archive) ArchiveBegin(ctx context.Context) (func() error, error) {
	if _, err := a.view.exec("BEGIN"); err != nil {
		return nil, openError(a.path, err)
	}
	m, err := importMark(ctx, a.view)
	if err == nil {
		err = m.Unfinished()
	}
	if err != nil {
		a.view.rollback()
		return nil, openError(a.path, err)
	}
	return func() error {
		a.view.rollback()
		return nil
	}, nil
}

// ArchivePage lists records of a kind.
func (a *Archive) ArchivePage(ctx context.Context, k archive.Kind, after string, limit int) ([]archive.Record, error) {
	all, err := records(ctx, a.view, k, after, limit)
	if err != nil {
		return nil, readError(a.path, err)
	}
	return all, nil
}

// ArchiveForeign lists the kinds that this version does not know.
func (a *Archive) ArchiveForeign(ctx context.Context) ([]archive.Kind, error) {
	kinds, err := list(ctx, a.view, func(s scanner) (k archive.Kind, err error) {
		err = s.Scan(&k)
		return k, err
	}, `SELECT DISTINCT kind FROM foreign_records ORDER BY kind`)
	return kinds, readError(a.path, err)
}

func readError(path string, err error) error {
	if err == nil {
		return nil
	}
	return errs.Wrap(errs.CodeUnavailable, err, "cannot read store %s", path).
		WithHint("the database may be damaged; see what sqlite3 FILE 'PRAGMA integrity_check' says")
}
