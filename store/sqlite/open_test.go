package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"hookline/internal/enroll"
	"hookline/internal/errs"
)

// open opens a database in a folder of its own and closes it with the test.
func open(t testing.TB, o Options) *DB {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "data", "hookline.db"), o)
}

func openAt(t testing.TB, path string, o Options) *DB {
	t.Helper()
	d, err := Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestFilesAreTheOwnersOnly(t *testing.T) {
	d := open(t, Options{})
	if err := d.AddPeer(t.Context(), enroll.Peer{ID: "p", SPKI: "s"}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{
		d.path: 0o600, d.path + "-wal": 0o600, d.path + "-shm": 0o600, d.path + ".lock": 0o600, filepath.Dir(d.path): 0o700,
	} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", name, got, want)
		}
	}
}

func TestOldFilesAreClosedToOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hookline.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	openAt(t, path, Options{})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 600", info.Mode(), err)
	}
}

func TestSecondOpenNamesTheFirst(t *testing.T) {
	d := open(t, Options{})
	_, err := Open(t.Context(), d.path, Options{})
	if !errs.Is(err, errs.CodeConflict) || !strings.Contains(err.Error(), fmt.Sprintf("process %d has it open", os.Getpid())) {
		t.Errorf("second open: %v", err)
	}
	if err := d.Ready(t.Context()); err != nil {
		t.Errorf("the first one suffered: %v", err)
	}
}

func TestOddPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c#d%41", "ho&ok=.db")
	d := openAt(t, path, Options{})
	if err := d.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		t.Errorf("the database is somewhere else: %v %v", info, err)
	}
}

func TestReopenKeepsData(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hookline.db")
	d, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.AddPeer(t.Context(), enroll.Peer{ID: "p", SPKI: "s", Name: "n"}); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a clean close leaves a log behind: %v", err)
	}
	d = openAt(t, path, Options{})
	if p, err := d.Peer(t.Context(), "p"); err != nil || p.Name != "n" {
		t.Errorf("after reopening: %+v, %v", p, err)
	}
}

func TestForeignFilesAreRefused(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("this is no database\n", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(dir, "foreign.db")
	alterAt(t, foreign, "CREATE TABLE other (x)")
	folder := filepath.Join(dir, "folder.db")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{text: "not a database", foreign: "another program", folder: "is a directory"} {
		before, _ := os.ReadFile(path)
		_, err := Open(t.Context(), path, Options{})
		e, ok := errs.As(err)
		if !ok || e.Code != errs.CodeUnavailable || !strings.Contains(err.Error(), want) || e.Hint == "" {
			t.Errorf("%s: %v (%+v), want %q and a hint", path, err, e, want)
		}
		if after, _ := os.ReadFile(path); string(after) != string(before) {
			t.Errorf("%s was changed", path)
		}
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hookline.db")
	noError(t, openAt(t, path, Options{}).Close())
	alterAt(t, path, "UPDATE schema_version SET version = 99")
	_, err := Open(t.Context(), path, Options{})
	e, ok := errs.As(err)
	if !ok || e.Code != errs.CodeUnavailable || !strings.Contains(err.Error(), "schema is version 99") || e.Hint == "" {
		t.Errorf("got %v (%+v)", err, e)
	}
}

func TestMigrationsAreAllOrNothing(t *testing.T) {
	d := open(t, Options{})
	bad := fstest.MapFS{
		"migrations/0001_initial.sql": {Data: []byte("SELECT 1")},
		"migrations/0002_next.sql":    {Data: []byte("CREATE TABLE half (x); INSERT INTO nowhere VALUES (1)")},
	}
	path := d.path
	noError(t, d.Close())
	alterAt(t, path, "UPDATE schema_version SET version = 1")
	conn := rawConn(t, path)
	if err := migrate(t.Context(), conn, bad); err == nil || !strings.Contains(err.Error(), "0002_next.sql") {
		t.Fatalf("a broken migration: %v", err)
	}
	var halves, version int
	row := conn.QueryRowContext(context.Background(), "SELECT (SELECT count(*) FROM sqlite_schema WHERE name = 'half'), version FROM schema_version")
	if err := row.Scan(&halves, &version); err != nil || halves != 0 || version != 1 {
		t.Errorf("after a broken migration: %d half tables, version %d, %v", halves, version, err)
	}
	good := fstest.MapFS{
		"migrations/0001_initial.sql": bad["migrations/0001_initial.sql"],
		"migrations/0002_next.sql":    {Data: []byte("CREATE TABLE whole (x)")},
	}
	for range 2 { // the second time there is nothing to do
		if err := migrate(t.Context(), conn, good); err != nil {
			t.Fatal(err)
		}
	}
	gap := fstest.MapFS{"migrations/0001_a.sql": {}, "migrations/0002_b.sql": {}, "migrations/0004_c.sql": {}}
	if err := migrate(t.Context(), conn, gap); err == nil || !strings.Contains(err.Error(), "not number 3") {
		t.Errorf("a gap in the numbers: %v", err)
	}
}
