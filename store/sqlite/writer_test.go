package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"hookline/internal/enroll"
	"hookline/internal/errs"
)

// addPeer is an operation of its own, for tests of the writer.
func addPeer(id string) func(*tx) error {
	return func(t *tx) error {
		_, err := t.exec(`INSERT INTO peers (`+peerColumns+`) VALUES (?, '', ?, 0, '', '', '', '', '', 0, '', '', 0, 0, '[]')`, id, id)
		return err
	}
}

func hasPeer(t testing.TB, d *DB, id string) bool {
	t.Helper()
	_, err := d.Peer(context.Background(), id)
	if err != nil && !errs.Is(err, errs.CodeNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

// stalled holds the writer inside an operation until the returned function is
// called, so that what is queued meanwhile becomes one group.
func stalled(t testing.TB, d *DB) (release func()) {
	t.Helper()
	entered, leave := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- d.write(context.Background(), func(*tx) error {
			close(entered)
			<-leave
			return nil
		})
	}()
	<-entered
	return func() {
		close(leave)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// group runs the operations in one commit and returns their errors.
func group(t testing.TB, d *DB, ops ...func(*tx) error) []error {
	t.Helper()
	release := stalled(t, d)
	failures := make([]error, len(ops))
	var all sync.WaitGroup
	for i, op := range ops {
		queued := len(d.writer.queue)
		all.Go(func() { failures[i] = d.write(context.Background(), op) })
		for len(d.writer.queue) == queued { // in this order
		}
	}
	release()
	all.Wait()
	return failures
}

func TestFailedOperationIsTakenBackAlone(t *testing.T) {
	d := open(t, Options{})
	refusal := errs.New(errs.CodeConflict, "no")
	failures := group(t, d,
		addPeer("a"),
		func(t *tx) error { return errors.Join(addPeer("half")(t), refusal) },
		func(t *tx) error { return errors.Join(addPeer("panicked")(t), panicking()) },
		addPeer("a"), // breaks the primary key
		addPeer("b"),
	)
	if failures[0] != nil || failures[4] != nil {
		t.Errorf("good operations failed: %v", failures)
	}
	if !errs.Is(failures[1], errs.CodeConflict) {
		t.Errorf("a refusal became %v", failures[1])
	}
	if failures[2] == nil || !strings.Contains(failures[2].Error(), "on purpose") || errs.CodeOf(failures[2]) != errs.CodeInternal {
		t.Errorf("a panic became %v", failures[2])
	}
	if failures[3] == nil {
		t.Error("a broken constraint passed")
	}
	for id, want := range map[string]bool{"a": true, "half": false, "panicked": false, "b": true} {
		if hasPeer(t, d, id) != want {
			t.Errorf("peer %s stored: %v, want %v", id, !want, want)
		}
	}
}

func panicking() error { panic("on purpose") }

func TestWithdrawnOperationDoesNotRun(t *testing.T) {
	d := open(t, Options{})
	release := stalled(t, d)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.AddPeer(ctx, enroll.Peer{ID: "withdrawn", SPKI: "s"}) }()
	for len(d.writer.queue) == 0 {
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("withdrawn operation: %v", err)
	}
	release()
	if err := d.AddPeer(t.Context(), enroll.Peer{ID: "later", SPKI: "l"}); err != nil {
		t.Fatal(err)
	}
	if hasPeer(t, d, "withdrawn") {
		t.Error("a withdrawn operation was stored")
	}
}

func TestStartedOperationTellsTheTruth(t *testing.T) {
	d := open(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	err := d.write(ctx, func(t *tx) error {
		cancel() // the caller goes away while it runs
		return addPeer("p")(t)
	})
	if err != nil || !hasPeer(t, d, "p") {
		t.Errorf("error %v, stored %v", err, hasPeer(t, d, "p"))
	}
}

func TestQueueIsBounded(t *testing.T) {
	d := open(t, Options{Queue: 2})
	release := stalled(t, d)
	var all sync.WaitGroup
	for i := range 2 {
		all.Go(func() {
			if err := d.write(context.Background(), addPeer(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	for len(d.writer.queue) < 2 {
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.write(ctx, addPeer("third")) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("a third operation: %v", err)
	}
	release()
	all.Wait()
	if !hasPeer(t, d, "0") || !hasPeer(t, d, "1") || hasPeer(t, d, "third") {
		t.Error("the queue lost or invented an operation")
	}
}

func TestCloseFinishesWhatWaits(t *testing.T) {
	d := open(t, Options{})
	release := stalled(t, d)
	failures := make(chan error, 20)
	for i := range cap(failures) {
		go func() { failures <- d.write(context.Background(), addPeer(fmt.Sprint(i))) }()
	}
	for len(d.writer.queue) < cap(failures) {
	}
	closed := make(chan error, 1)
	go func() { closed <- d.Close() }()
	release()
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	for range cap(failures) {
		if err := <-failures; err != nil {
			t.Errorf("an operation that waited: %v", err)
		}
	}
	if err := d.write(t.Context(), addPeer("late")); !errs.Is(err, errs.CodeUnavailable) {
		t.Errorf("a write after close: %v", err)
	}
	if _, err := d.Peer(t.Context(), "0"); !errs.Is(err, errs.CodeUnavailable) {
		t.Errorf("a read after close: %v", err)
	}
	if _, err := d.Life(t.Context(), "0"); !errs.Is(err, errs.CodeUnavailable) {
		t.Errorf("a snapshot after close: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Errorf("a second close: %v", err)
	}
	again := openAt(t, d.path, Options{})
	for i := range cap(failures) {
		if !hasPeer(t, again, fmt.Sprint(i)) {
			t.Errorf("peer %d is lost", i)
		}
	}
}

func TestWriterOutlivesItsConnection(t *testing.T) {
	d := open(t, Options{})
	if err := d.write(t.Context(), addPeer("before")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.writer.tx.exec("BEGIN"); err != nil { // as a rollback that failed would leave it
		t.Fatal(err)
	}
	if err := d.write(t.Context(), addPeer("after")); err != nil || !hasPeer(t, d, "before") || !hasPeer(t, d, "after") {
		t.Errorf("on a new connection: %v", err)
	}
}

func TestLostTransactionFailsItsGroup(t *testing.T) {
	d := open(t, Options{})
	failures := group(t, d, addPeer("a"), func(t *tx) error { _, err := t.exec("ROLLBACK"); return err }, addPeer("b"))
	for i, err := range failures {
		if !errs.Is(err, errs.CodeUnavailable) {
			t.Errorf("operation %d: %v", i, err)
		}
	}
	if err := d.write(t.Context(), addPeer("c")); err != nil || hasPeer(t, d, "a") || hasPeer(t, d, "b") {
		t.Errorf("after a lost transaction: %v", err)
	}
}

func TestReadersCannotWrite(t *testing.T) {
	d := open(t, Options{})
	_, err := list(t.Context(), d.reader, scanText, `DELETE FROM peers RETURNING id`)
	if err == nil {
		t.Error("a reader deleted rows")
	}
}

// A store whose commit fails tells everybody in the group and stores nothing
// of it, then carries on.
func TestFullDatabaseFailsWholeGroups(t *testing.T) {
	d := open(t, Options{MaxPages: 150})
	fillUp(t, d, "page limit")
	failures := group(t, d, addPeer("small"), blob(t, "big", 1<<20), addPeer("small-too"))
	for i, err := range failures {
		e, ok := errs.As(err)
		if !ok || e.Code != errs.CodeStorageFull || e.Hint == "" {
			t.Errorf("operation %d of a group without space: %v", i, err)
		}
	}
	if hasPeer(t, d, "small") || hasPeer(t, d, "small-too") {
		t.Error("half a group was stored")
	}
	if err := d.write(t.Context(), func(t *tx) error { _, err := t.exec(`DELETE FROM problems`); return err }); err != nil {
		t.Fatal(err)
	}
	if err := d.write(t.Context(), addPeer("after")); err != nil {
		t.Errorf("with space again: %v", err)
	}
	if err := d.Ready(t.Context()); err != nil {
		t.Errorf("ready: %v", err)
	}
}

// blob stores a row of about n bytes.
func blob(t testing.TB, id string, n int) func(*tx) error {
	t.Helper()
	return func(t *tx) error {
		_, err := t.exec(`INSERT INTO problems (`+problemColumns+`) VALUES (?, ?, '', '', 1, 0, 0)`, id, strings.Repeat("x", n))
		return err
	}
}

// fillUp stores rows until there is no space, and returns how many it could.
func fillUp(t testing.TB, d *DB, where string) int {
	t.Helper()
	for i := range 10_000 {
		err := d.write(context.Background(), blob(t, fmt.Sprint("fill-", i), 100_000))
		if err == nil {
			continue
		}
		e, ok := errs.As(err)
		if !ok || e.Code != errs.CodeStorageFull || e.Hint == "" {
			t.Fatalf("filling the %s: %v", where, err)
		}
		return i
	}
	t.Fatalf("the %s never filled", where)
	return 0
}

// Snapshots hold a connection each while they read more: however few there
// are, and whatever is prepared meanwhile, they end.
func TestReadersNeverWaitForEachOther(t *testing.T) {
	for range 20 {
		d := open(t, Options{Readers: 2})
		noError(t, d.write(t.Context(), func(t *tx) error {
			_, err := t.exec(`INSERT INTO hook_versions VALUES ('d', 'h', 1, 'approved', x'', x'', x'', '', 0, NULL)`)
			return err
		}))
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		var all sync.WaitGroup
		for i := range 32 {
			all.Go(func() {
				var err error
				switch i % 4 {
				case 0:
					_, err = d.Originals(ctx, "p", []string{"fp:a", "pkg:b"}, 10)
				case 1:
					_, err = d.VersionsOf(ctx, "h", 0, 10)
				case 2:
					_, err = d.Hooks(ctx, "", 10)
				default:
					_, err = d.ActiveByKeys(ctx, make([]string, i+1))
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		cancel()
	}
}
