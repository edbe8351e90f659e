package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"hookline/internal/errs"
)

// smallDisk mounts a file system of a few megabytes, where that is allowed.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size+",mode=0700"); err != nil {
		t.Skipf("cannot mount a small tmpfs here (%v, uid %d); the page limit's test covers the portable half", err, os.Getuid())
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// On a disk that is really full nothing acknowledged is lost, nothing refused
// is there, reads go on, and writes come back with the space.
func TestFullDisk(t *testing.T) {
	dir := smallDisk(t, "6m")
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	d := openAt(t, filepath.Join(dir, "hookline.db"), Options{})
	acknowledged := fillUp(t, d, "disk")
	for i, err := range group(t, d, addPeer("small"), blob(t, "big", 1<<20)) {
		if !errs.Is(err, errs.CodeStorageFull) {
			t.Errorf("operation %d on a full disk: %v", i, err)
		}
	}
	if err := d.Ready(t.Context()); err == nil {
		t.Log("a small write still fitted")
	}
	checkFill(t, d, acknowledged)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := d.write(t.Context(), addPeer("after")); err != nil {
		t.Errorf("with space again: %v", err)
	}
	if err := d.Ready(t.Context()); err != nil {
		t.Errorf("ready with space again: %v", err)
	}
	checkFill(t, d, acknowledged)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	again := openAt(t, d.path, Options{})
	checkFill(t, again, acknowledged)
	if !hasPeer(t, again, "after") || hasPeer(t, again, "small") {
		t.Error("after reopening: what was refused is there, or what was stored is not")
	}
}

// A full disk must not keep a server from opening what it has, or must say so.
func TestOpenOnFullDisk(t *testing.T) {
	dir := smallDisk(t, "2m")
	path := filepath.Join(dir, "hookline.db")
	if err := openAt(t, path, Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	fillDisk(t, filepath.Join(dir, "ballast"))
	d, err := Open(t.Context(), path, Options{})
	if err == nil {
		t.Cleanup(func() { _ = d.Close() })
		err = d.write(t.Context(), addPeer("p"))
	}
	if e, ok := errs.As(err); !ok || e.Code != errs.CodeStorageFull || e.Hint == "" {
		t.Errorf("on a full disk: %v", err)
	}
}

// fillDisk writes until nothing more fits.
func fillDisk(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); ; {
		if _, err := f.Write(block); errors.Is(err, unix.ENOSPC) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// checkFill holds the rows of fillUp against their number.
func checkFill(t *testing.T, d *DB, want int) {
	t.Helper()
	n, err := one(t.Context(), d.reader, scanInt, `SELECT count(*) FROM problems WHERE id LIKE 'fill-%'`)
	if err != nil || int(n) != want {
		t.Errorf("%d rows stored, %d acknowledged, %v", n, want, err)
	}
	if got := mustText(t, d, `PRAGMA integrity_check`); len(got) != 1 || got[0] != "ok" {
		t.Error("the database is damaged")
	}
}

func mustText(t testing.TB, d *DB, query string) []string {
	t.Helper()
	lines, err := list(t.Context(), d.reader, scanText, query)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}
