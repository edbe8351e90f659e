// Package sqlite is the embedded store: one database file that implements
// every store interface which the domain packages declare.
//
//	db, err := sqlite.Open(ctx, "/var/lib/hooklined/hookline.db", sqlite.Options{})
//	if err != nil {
//		return err
//	}
//	defer db.Close()
//
// All writing goes through one goroutine that commits in groups: the
// operations that wait are run in one transaction, each inside its own
// savepoint, the transaction is synced to disk once, and only then is anybody
// answered. An operation that fails is rolled back alone; a commit that fails
// fails all of its group and leaves nothing behind. Reads use a pool of
// connections that cannot write and see the last commit (write-ahead log).
//
// One process has a database open at a time. The files are readable by their
// owner only.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"hookline/internal/errs"
	"hookline/store"
)

// DB is everything that its consumers ask of a store.
var _ store.Store = (*DB)(nil)

// Options tune a DB; the zero value is ready to use.
type Options struct {
	Readers  int   // connections for reading; 0 means 4
	Queue    int   // operations that may wait for the writer before callers block; 0 means 1,024
	MaxBatch int   // operations of one commit; 0 means 256
	MaxPages int64 // upper bound of the file in pages of 4,096 bytes; 0 means none
	Import   bool  // open also where an import is not finished
}

func (o Options) withDefaults() Options {
	if o.Readers <= 0 {
		o.Readers = 4
	}
	if o.Queue <= 0 {
		o.Queue = 1024
	}
	if o.MaxBatch <= 0 {
		o.MaxBatch = 256
	}
	return o
}

// DB is an open database. Its methods may be called from many goroutines.
type DB struct {
	path   string
	lock   *os.File
	writes *sql.DB // one connection, owned by writer
	writer *writer
	reader *reader
	closed func() error
}

// Open opens the database at path, makes it when there is none, and brings
// its schema up to date. It refuses a database that another process has open
// (errs.CodeConflict), one with a newer schema, and a file that is no Hookline
// database (errs.CodeUnavailable). Only Options.Import opens one that an import
// has not filled yet (errs.CodeUnavailable).
func Open(ctx context.Context, path string, o Options) (*DB, error) {
	o = o.withDefaults()
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, errs.Wrap(errs.CodeBadInput, err, "cannot open store %q", path)
	}
	if err := prepareFiles(path); err != nil {
		return nil, errs.Wrap(errs.CodeUnavailable, err, "cannot open store %s", path).
			WithHint("the data folder must exist, or be creatable, and belong to the server's user")
	}
	lock, err := lockFile(path)
	if err != nil {
		return nil, err
	}
	d := &DB{path: path, lock: lock}
	if err := d.start(ctx, o); err != nil {
		_ = d.release()
		return nil, err
	}
	return d, nil
}

// start opens the connections, migrates and starts the writer.
func (d *DB) start(ctx context.Context, o Options) error {
	var err error
	if d.writes, err = sql.Open(driverName, dsn(d.path, writerPragmas(o))); err != nil {
		return openError(d.path, err)
	}
	d.writes.SetMaxOpenConns(1)
	d.writes.SetMaxIdleConns(-1) // a connection given back may be inside a transaction
	conn, err := d.writes.Conn(ctx)
	if err != nil {
		return openError(d.path, err)
	}
	if err := migrate(ctx, conn, migrations); err != nil {
		_ = conn.Close()
		return openError(d.path, err)
	}
	if d.reader, err = newReader(ctx, d.path, o.Readers); err != nil {
		_ = conn.Close()
		return openError(d.path, err)
	}
	if err := d.filled(ctx, o); err != nil {
		_ = conn.Close()
		return openError(d.path, err)
	}
	d.writer = newWriter(d.path, d.writes, conn, o)
	d.closed = sync.OnceValue(func() error { return errors.Join(d.writer.close(), d.release()) })
	return nil
}

// filled refuses a database that an import has not filled yet.
func (d *DB) filled(ctx context.Context, o Options) error {
	m, err := importMark(ctx, d.reader)
	if err != nil || o.Import {
		return err
	}
	return m.Unfinished()
}

// Close answers what waits, folds the log into the file and closes it. Every
// later change is refused with errs.CodeUnavailable.
func (d *DB) Close() error { return d.closed() }

// release closes whatever is open; readers first, so that the last
// connection, the writer's, removes the log.
func (d *DB) release() error {
	var err error
	if d.reader != nil {
		err = d.reader.close()
	}
	if d.writes != nil {
		err = errors.Join(err, d.writes.Close())
	}
	return errors.Join(err, d.lock.Close())
}

// Ready says whether the store takes writes and answers reads. When the last
// commit failed for want of space it tries a small one.
func (d *DB) Ready(ctx context.Context) error {
	if _, err := one(ctx, d.reader, scanInt, "SELECT version FROM schema_version"); err != nil {
		return err
	}
	return d.writer.do(ctx, func(t *tx) error {
		if !d.writer.failing {
			return nil
		}
		_, err := t.exec("UPDATE schema_version SET probed = probed + 1")
		return err
	})
}

// Facts says what the database is.
func (d *DB) Facts(ctx context.Context) (store.Facts, error) {
	f := store.Facts{Kind: "sqlite", Address: d.path}
	schema, err := one(ctx, d.reader, scanInt, "SELECT version FROM schema_version")
	if err != nil {
		return f, err
	}
	f.Schema = strconv.FormatInt(schema, 10)
	f.Server, err = one(ctx, d.reader, scanText, "SELECT sqlite_version()")
	return f, err
}

// write runs one operation in the next commit.
func (d *DB) write(ctx context.Context, op func(*tx) error) error {
	return d.writer.do(ctx, op)
}
