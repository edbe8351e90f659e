package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

type writeFunc func(path string, b []byte, mode fs.FileMode) error

var both = map[string]writeFunc{"WriteFile": WriteFile, "Create": Create}

func TestNewFile(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	for name, write := range both {
		for _, mode := range []fs.FileMode{0o600, 0o644, 0o400} {
			path := filepath.Join(t.TempDir(), "file")
			if err := write(path, []byte("text"), mode); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			holds(t, path, "text")
			if info, err := os.Stat(path); err != nil || info.Mode() != mode {
				t.Errorf("%s: mode %v, %v, want %v", name, info.Mode(), err, mode)
			}
			alone(t, path)
		}
	}
}

func TestWriteFileReplaces(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "file"), filepath.Join(t.TempDir(), "other")
	must(t, os.WriteFile(path, []byte("a longer old text"), 0o644))
	reader, err := os.Open(path)
	must(t, err)
	defer reader.Close()
	must(t, WriteFile(path, []byte("new"), 0o600))
	holds(t, path, "new")
	var seen bytes.Buffer
	if _, err := seen.ReadFrom(reader); err != nil || seen.String() != "a longer old text" {
		t.Errorf("who has the old file open reads %q, %v", seen.String(), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}

	must(t, os.WriteFile(other, []byte("other"), 0o600))
	must(t, os.Remove(path))
	must(t, os.Symlink(other, path))
	must(t, WriteFile(path, []byte("new"), 0o600))
	holds(t, other, "other")
	holds(t, path, "new")
	alone(t, path)
}

// Create leaves what is there, a dangling link and a folder too.
func TestCreateIsExclusive(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"file":   func(p string) error { return os.WriteFile(p, []byte("old"), 0o600) },
		"link":   func(p string) error { return os.Symlink("nowhere", p) },
		"folder": func(p string) error { return os.Mkdir(p, 0o700) },
	} {
		path := filepath.Join(t.TempDir(), "file")
		must(t, put(path))
		before, err := os.Lstat(path)
		must(t, err)
		err = Create(path, []byte("new"), 0o600)
		if !errors.Is(err, fs.ErrExist) || err.Error() != "cannot write "+path+": file exists" {
			t.Errorf("%s: %v", name, err)
		}
		if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) || !after.ModTime().Equal(before.ModTime()) {
			t.Errorf("%s: changed: %v", name, err)
		}
		alone(t, path)
	}
}

// The last step refuses a name that was taken after the first look, on file
// systems with either way.
func TestAppearingRefusesATakenName(t *testing.T) {
	for name, appear := range map[string]func(from, to string) error{"rename": renameNew, "link": linkNew} {
		path := filepath.Join(t.TempDir(), "file")
		must(t, os.WriteFile(path, []byte("old"), 0o600))
		if err := write(path, []byte("new"), 0o600, appear); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v", name, err)
		}
		holds(t, path, "old")
		alone(t, path)
		must(t, os.Remove(path))
		must(t, write(path, []byte("new"), 0o600, appear))
		holds(t, path, "new")
		alone(t, path)
	}
}

func TestOneCreatorWins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	var wg sync.WaitGroup
	results := make([]error, 16)
	for i := range results {
		wg.Go(func() { results[i] = Create(path, fmt.Append(nil, i), 0o600) })
	}
	wg.Wait()
	winner := -1
	for i, err := range results {
		switch {
		case err == nil && winner < 0:
			winner = i
		case err == nil:
			t.Errorf("%d and %d both made it", winner, i)
		case !errors.Is(err, fs.ErrExist):
			t.Errorf("%d: %v", i, err)
		}
	}
	holds(t, path, fmt.Sprint(winner))
	alone(t, path)
}

// A reader sees the old file or the new one, each whole.
func TestReadersSeeWholeFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	must(t, WriteFile(path, bytes.Repeat([]byte("0"), 64<<10), 0o600))
	done := make(chan error, 1)
	go func() {
		var err error
		for i := range 50 {
			err = errors.Join(err, WriteFile(path, bytes.Repeat([]byte{byte('0' + i%10)}, 64<<10), 0o600))
		}
		done <- err
	}()
	for {
		b, err := os.ReadFile(path)
		if err != nil || len(b) != 64<<10 || strings.Trim(string(b), string(b[:1])) != "" {
			t.Fatalf("%d bytes of several files, %v", len(b), err)
		}
		select {
		case err := <-done:
			must(t, err)
			return
		default:
		}
	}
}

// An error before the file appears leaves the old one, and nothing beside it.
func TestErrorsLeaveNothing(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "folder")
	must(t, os.Mkdir(folder, 0o700))
	if err := WriteFile(folder, []byte("new"), 0o600); err == nil || !strings.HasPrefix(err.Error(), "cannot write "+folder+": ") {
		t.Errorf("over a folder: %v", err)
	}
	alone(t, folder)

	for name, write := range both {
		path := filepath.Join(dir, "nowhere", "file")
		if err := write(path, nil, 0o600); !errors.Is(err, fs.ErrNotExist) || err.Error() != "cannot write "+path+": no such file or directory" {
			t.Errorf("%s without a folder: %v", name, err)
		}
	}

	path := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path, []byte("old"), 0o600))
	full := func(string, string) error {
		return &os.LinkError{Op: "rename", Old: "a", New: "b", Err: syscall.ENOSPC}
	}
	if err := write(path, []byte("new"), 0o600, full); !errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), ".new-") {
		t.Errorf("on a full disk: %v", err)
	}
	holds(t, path, "old")
	alone(t, path)
}

// The limit on a file's size stops the write in its middle, as a full disk does.
func TestWriteThatEndsInTheMiddle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path, []byte("old"), 0o600))
	var limit syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
	small := syscall.Rlimit{Cur: 4096, Max: limit.Max}
	must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small))
	defer func() { must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)) }()
	for name, write := range both {
		target := path
		if name == "Create" {
			target += "2"
		}
		if err := write(target, make([]byte, 64<<10), 0o600); !errors.Is(err, syscall.EFBIG) {
			t.Errorf("%s: %v", name, err)
		}
	}
	holds(t, path, "old")
	alone(t, path)
}

func TestSyncDir(t *testing.T) {
	dir := t.TempDir()
	must(t, SyncDir(dir))
	if err := SyncDir(filepath.Join(dir, "nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func holds(t *testing.T, path, want string) {
	t.Helper()
	if b, err := os.ReadFile(path); err != nil || string(b) != want {
		t.Errorf("%s holds %.40q, %v, want %q", path, b, err, want)
	}
}

// alone wants nothing beside the file.
func alone(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	must(t, err)
	if len(entries) != 1 || entries[0].Name() != filepath.Base(path) {
		t.Errorf("beside %s: %v", path, entries)
	}
}
