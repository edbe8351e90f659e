package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"hookline/internal/querylog"
	"hookline/store"
)

// querier is a connection, or a pool, that keeps its statements prepared.
type querier interface {
	query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	failed(ctx context.Context, err error) error // how an error of reading rows is reported
	log(ctx context.Context) *querylog.Log       // where its queries are written down; nil is nowhere
}

// noted runs a query, and writes it down with the rows that it read where
// somebody wants to know.
func noted(l *querylog.Log, query string, run func() (rows int64, err error)) error {
	if l == nil {
		_, err := run()
		return err
	}
	begun := time.Now()
	rows, err := run()
	l.Add(querylog.Entry{Query: query, Rows: rows, Took: time.Since(begun)})
	return err
}

// scanner is the row that a scan function reads.
type scanner interface{ Scan(into ...any) error }

// tx is the writer's connection inside a transaction. Nothing interrupts it:
// callers withdraw operations before they begin, or wait.
type tx struct {
	conn       *sql.Conn
	statements map[string]*sql.Stmt
	queries    *querylog.Log // of the operation that is run
}

func newTx(conn *sql.Conn) *tx {
	return &tx{conn: conn, statements: map[string]*sql.Stmt{}}
}

// prepare gives the statement to keep: it is closed with the connection.
func (t *tx) prepare(query string) (*sql.Stmt, error) {
	if s, ok := t.statements[query]; ok {
		return s, nil
	}
	s, err := t.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	t.statements[query] = s
	return s, nil
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	if err := storable(args); err != nil {
		return 0, err
	}
	var changed int64
	err := noted(t.queries, query, func() (int64, error) {
		s, err := t.prepare(query) //nolint:sqlclosecheck // kept for the next time
		if err != nil {
			return 0, err
		}
		r, err := s.ExecContext(context.Background(), args...)
		if err == nil {
			changed, err = r.RowsAffected()
		}
		return 0, err
	})
	if err != nil {
		return 0, err
	}
	return changed, nil
}

func (t *tx) query(_ context.Context, query string, args ...any) (*sql.Rows, error) {
	s, err := t.prepare(query) //nolint:sqlclosecheck // kept for the next time
	if err != nil {
		return nil, err
	}
	return s.QueryContext(context.Background(), args...)
}

// failed leaves the error to the writer, which must see it as it is.
func (t *tx) failed(_ context.Context, err error) error { return err }

func (t *tx) log(context.Context) *querylog.Log { return t.queries }

// rollback ends the transaction, where SQLite has not done so already.
func (t *tx) rollback() { _, _ = t.exec("ROLLBACK") }

func (t *tx) close() error {
	var err error
	for _, s := range t.statements {
		err = errors.Join(err, s.Close())
	}
	return errors.Join(err, t.conn.Close())
}

// reader is the pool of connections that cannot write.
type reader struct {
	path       string
	db         *sql.DB
	mu         sync.RWMutex
	statements map[string]*sql.Stmt
	closed     atomic.Bool
}

func newReader(ctx context.Context, path string, connections int) (*reader, error) {
	db, err := sql.Open(driverName, dsn(path, readerPragmas()))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &reader{path: path, db: db, statements: map[string]*sql.Stmt{}}, nil
}

// prepared is the statement, where somebody has prepared it already.
func (r *reader) prepared(query string) (*sql.Stmt, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	s, ok := r.statements[query]
	return s, ok
}

// prepare needs a connection of the pool for a new statement: nobody who has
// one may call it, and it holds no lock meanwhile, or all could wait for each
// other. Two callers may prepare the same; one of the two is kept.
func (r *reader) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if s, ok := r.prepared(query); ok { //nolint:sqlclosecheck // kept for the next time
		return s, nil
	}
	s, err := r.db.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if other, ok := r.statements[query]; ok {
		return other, s.Close() //nolint:sqlclosecheck // one of the two is kept
	}
	if r.closed.Load() {
		return nil, errors.Join(errClosed(), s.Close())
	}
	r.statements[query] = s
	return s, nil
}

func (r *reader) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s, err := r.prepare(ctx, query) //nolint:sqlclosecheck // kept for the next time
	if err != nil {
		return nil, r.failed(ctx, err)
	}
	rows, err := s.QueryContext(ctx, args...)
	if err != nil {
		return nil, r.failed(ctx, err)
	}
	return rows, nil
}

// failed prefers the context's own error to "interrupted".
func (r *reader) failed(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if r.closed.Load() {
		return errClosed()
	}
	if f := failure(r.path, err); f != nil {
		return f
	}
	return err
}

func (r *reader) log(ctx context.Context) *querylog.Log { return querylog.From(ctx) }

// snapshot runs read over one state of the database.
func (r *reader) snapshot(ctx context.Context, read func(querier) error) error {
	t, err := r.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return r.failed(ctx, err)
	}
	v := &view{reader: r, tx: t}
	err = v.read(read)
	for _, query := range v.unprepared { // for the next one, now that the connection is free
		_, _ = r.prepare(ctx, query) //nolint:sqlclosecheck // kept for the next time
	}
	return err
}

// view is a reader inside a snapshot.
type view struct {
	reader     *reader
	tx         *sql.Tx
	unprepared []string
}

// read gives the connection back whatever becomes of fn.
func (v *view) read(fn func(querier) error) error {
	defer func() { _ = v.tx.Rollback() }()
	return fn(v)
}

func (v *view) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := v.run(ctx, query, args)
	if err != nil {
		return nil, v.reader.failed(ctx, err)
	}
	return rows, nil
}

// run uses a statement that is there, and never waits for one: it holds a
// connection.
func (v *view) run(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	if s, ok := v.reader.prepared(query); ok {
		return v.tx.StmtContext(ctx, s).QueryContext(ctx, args...) //nolint:sqlclosecheck // closed with the transaction
	}
	v.unprepared = append(v.unprepared, query)
	return v.tx.QueryContext(ctx, query, args...)
}

func (v *view) failed(ctx context.Context, err error) error { return v.reader.failed(ctx, err) }

func (v *view) log(ctx context.Context) *querylog.Log { return querylog.From(ctx) }

func (r *reader) close() error {
	r.closed.Store(true)
	r.mu.Lock()
	statements := r.statements
	r.statements = map[string]*sql.Stmt{}
	r.mu.Unlock()
	var err error
	for _, s := range statements { // waits for those who still read
		err = errors.Join(err, s.Close())
	}
	return errors.Join(err, r.db.Close())
}

// storable refuses values that another backend could not store: SQLite itself
// takes texts of any bytes, and a gigabyte.
func storable(args []any) error {
	size := 0
	for _, arg := range args {
		switch v := arg.(type) {
		case string:
			if err := store.CheckText(v); err != nil {
				return err
			}
			size += len(v)
		case []byte:
			size += len(v)
		}
	}
	return store.CheckSize("a record", size)
}

// one reads the first row; sql.ErrNoRows where there is none.
func one[T any](ctx context.Context, q querier, scan func(scanner) (T, error), query string, args ...any) (T, error) {
	var none T
	all, err := read(ctx, q, 1, scan, query, args)
	switch {
	case err != nil:
		return none, err
	case len(all) == 0:
		return none, sql.ErrNoRows
	}
	return all[0], nil
}

// list reads every row.
func list[T any](ctx context.Context, q querier, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	return read(ctx, q, math.MaxInt, scan, query, args)
}

// read is the one place where rows are read: the first ones, at most most.
func read[T any](ctx context.Context, q querier, most int, scan func(scanner) (T, error), query string, args []any) (all []T, err error) {
	if err := storable(args); err != nil {
		return nil, err
	}
	err = noted(q.log(ctx), query, func() (int64, error) {
		rows, err := q.query(ctx, query, args...)
		if err != nil {
			return 0, err
		}
		defer func() { _ = rows.Close() }()
		for len(all) < most && rows.Next() {
			v, err := scan(rows)
			if err != nil {
				return int64(len(all)), err
			}
			all = append(all, v)
		}
		return int64(len(all)), errors.Join(q.failed(ctx, rows.Err()), rows.Close())
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

func scanInt(s scanner) (n int64, err error) {
	err = s.Scan(&n)
	return n, err
}

func scanText(s scanner) (text string, err error) {
	err = s.Scan(&text)
	return text, err
}

func scanBytes(s scanner) (b []byte, err error) {
	err = s.Scan(&b)
	return b, err
}

// toMS is how times are stored: milliseconds since 1970, 0 for the zero time.
func toMS(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMS(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
