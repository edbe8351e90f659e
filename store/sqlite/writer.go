package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"hookline/internal/errs"
	"hookline/internal/querylog"
)

// writer owns the only connection that writes. Callers queue operations; its
// goroutine commits whatever waits in one transaction.
type writer struct {
	path     string
	db       *sql.DB
	queue    chan *operation
	stopped  chan struct{}
	maxBatch int

	mu     sync.RWMutex // held for reading while queueing, for writing to close
	closed bool

	// Only the writer's goroutine touches these.
	tx      *tx
	failing bool // the last commit failed
}

// The states of an operation: whoever moves it from queued decides.
const (
	opQueued int32 = iota
	opRunning
	opWithdrawn
)

// operation is one caller's atomic change.
type operation struct {
	run   func(*tx) error
	log   *querylog.Log // of the caller's request
	state atomic.Int32
	done  chan error
	err   error
}

func newWriter(path string, db *sql.DB, conn *sql.Conn, o Options) *writer {
	w := &writer{
		path:     path,
		db:       db,
		queue:    make(chan *operation, o.Queue),
		stopped:  make(chan struct{}),
		maxBatch: o.MaxBatch,
		tx:       newTx(conn),
	}
	go w.loop()
	return w
}

// do queues run and waits until it is on disk or refused. A context that ends
// while the operation waits withdraws it; one that has begun is waited for,
// so that the answer is always true. run must return what SQLite tells it.
func (w *writer) do(ctx context.Context, run func(*tx) error) error {
	op := &operation{run: run, log: querylog.From(ctx), done: make(chan error, 1)}
	if err := w.enqueue(ctx, op); err != nil {
		return err
	}
	select {
	case err := <-op.done:
		return err
	case <-ctx.Done():
	}
	if op.state.CompareAndSwap(opQueued, opWithdrawn) {
		return ctx.Err()
	}
	return <-op.done
}

func (w *writer) enqueue(ctx context.Context, op *operation) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return errClosed()
	}
	select {
	case w.queue <- op:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close refuses new operations, finishes those that wait and ends the goroutine.
func (w *writer) close() error {
	w.mu.Lock()
	w.closed = true
	close(w.queue)
	w.mu.Unlock()
	<-w.stopped
	return w.tx.close()
}

func (w *writer) loop() {
	defer close(w.stopped)
	for first := range w.queue {
		w.commit(w.gather(first))
	}
}

// gather takes what waits already. One yield lets callers who have just been
// answered queue their next operation, which makes groups larger and nobody
// slower.
func (w *writer) gather(first *operation) []*operation {
	runtime.Gosched()
	batch := appendLive(nil, first)
	for len(batch) < w.maxBatch {
		select {
		case op, open := <-w.queue:
			if !open {
				return batch
			}
			batch = appendLive(batch, op)
		default:
			return batch
		}
	}
	return batch
}

// appendLive leaves out an operation that its caller has withdrawn.
func appendLive(batch []*operation, op *operation) []*operation {
	if op.state.CompareAndSwap(opQueued, opRunning) {
		return append(batch, op)
	}
	return batch
}

// commit runs a group and answers it. Nobody is answered before the outcome
// of the commit is known: a refusal may rest on what a neighbour has written.
func (w *writer) commit(batch []*operation) {
	if len(batch) == 0 {
		return
	}
	err := w.transact(batch)
	w.failing = err != nil
	for _, op := range batch {
		if err != nil {
			op.err = err
		}
		op.done <- op.err
	}
}

// transact is one transaction around the group. Its error is that of every
// operation; the errors of single ones are left in them.
func (w *writer) transact(batch []*operation) error {
	if err := w.begin(); err != nil {
		return w.broken(err)
	}
	for _, op := range batch {
		var lost error
		if op.err, lost = w.apply(op); lost == nil {
			lost = w.fatal(op.err)
		}
		if lost != nil {
			w.tx.rollback()
			return w.broken(lost)
		}
	}
	if _, err := w.tx.exec("COMMIT"); err != nil {
		w.tx.rollback()
		return w.broken(err)
	}
	return nil
}

// begin starts a transaction, on a new connection when the old one is of no
// use any more.
func (w *writer) begin() error {
	_, err := w.tx.exec("BEGIN IMMEDIATE")
	if err == nil {
		return nil
	}
	_ = w.tx.close()
	conn, connErr := w.db.Conn(context.Background())
	if connErr != nil {
		return errors.Join(err, connErr)
	}
	w.tx = newTx(conn)
	_, err = w.tx.exec("BEGIN IMMEDIATE")
	return err
}

// broken codes an error of the transaction itself.
func (w *writer) broken(err error) error {
	if f := failure(w.path, err); f != nil {
		return f
	}
	return unavailable(w.path, err)
}

// fatal returns the errors after which SQLite may have ended the transaction
// by itself. A value that is too large concerns its own operation only.
func (w *writer) fatal(err error) error {
	if f := failure(w.path, err); f != nil && f.Code != errs.CodeTooLarge {
		return err
	}
	return nil
}

// apply runs one operation inside a savepoint, so that its failure takes back
// its own changes only. lost: there is no savepoint, thus no transaction, and
// what would run next would be committed by itself.
func (w *writer) apply(op *operation) (err, lost error) {
	if _, err := w.tx.exec("SAVEPOINT op"); err != nil {
		return err, err
	}
	if err = w.guarded(op); err != nil {
		if _, lost = w.tx.exec("ROLLBACK TO op"); lost != nil {
			return err, errors.Join(err, lost)
		}
	}
	_, lost = w.tx.exec("RELEASE op")
	return err, lost
}

// guarded turns a panic of an operation, a defect, into its error: the
// writer serves everybody and carries on.
func (w *writer) guarded(op *operation) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("store operation panicked: %v\n%s", p, debug.Stack())
		}
	}()
	w.tx.queries = op.log
	defer func() { w.tx.queries = nil }()
	return op.run(w.tx)
}
