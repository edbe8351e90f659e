package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/wiretest"
	"hookline/store/archive"
	"hookline/store/open"
)

// crowd is a source of so many audit entries.
type crowd int

func (crowd) ArchiveBegin(context.Context) (func() error, error) {
	return func() error { return nil }, nil
}

func (n crowd) ArchivePage(_ context.Context, k archive.Kind, after string, limit int) (page []archive.Record, _ error) {
	if k != archive.KindAudit {
		return nil, nil
	}
	next := 0
	if after != "" {
		if _, err := fmt.Sscanf(after, "%08d", &next); err != nil {
			return nil, err
		}
		next++
	}
	for ; next < int(n) && len(page) < limit; next++ {
		key := fmt.Sprintf("%08d", next)
		page = append(page, archive.Record{Kind: k, Key: key, Value: auth.Entry{ID: key, Detail: strings.Repeat(key, 20)}})
	}
	return page, nil
}

func (crowd) ArchiveForeign(context.Context) ([]archive.Kind, error) { return nil, nil }

func written(t *testing.T, path string, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := archive.Export(t.Context(), crowd(n), &b, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// hooklined is this test as the program.
func hooklined(t *testing.T, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "hooklined")
	if err := os.Symlink(self, link); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), link, args...)
	out := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, out
}

// An import that is killed, again and again, goes on where it was; no server
// starts on the store meanwhile, and in the end all of it is there.
func TestKilledImport(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "hookline.db")
		killedImport(t, path, 6_000, 1<<20, func() int64 { return sizeOf(path) + sizeOf(path+"-wal") })
	})
	t.Run("mongo", func(t *testing.T) {
		address := wiretest.Address(t)
		d, err := open.Import(t.Context(), address, open.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		killedImport(t, address, 1_600, 500, func() int64 {
			m, err := d.ArchiveMark(t.Context())
			if err != nil {
				t.Error(err)
			}
			return m.Records
		})
	})
}

func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

func killedImport(t *testing.T, address string, records int, step int64, grown func() int64) {
	t.Helper()
	in := filepath.Join(t.TempDir(), "in")
	want := written(t, in, records)
	refused := 0
	whole := false
	for kills := 0; !whole && !endsBefore(t, address, in, grown, grown()+step); kills++ {
		s, err := open.Store(t.Context(), address, open.Options{})
		switch {
		case err == nil: // it had not begun to write, or was about to say that it is done
			entries, err := s.Entries(t.Context(), auth.EntryFilter{Limit: 1})
			whole = len(entries) > 0
			if err := errors.Join(err, s.Close()); err != nil {
				t.Fatal(err)
			}
		case errs.Is(err, errs.CodeUnavailable) && strings.Contains(err.Error(), "import"):
			refused++
		default:
			t.Fatal(err)
		}
		if kills > 100 {
			t.Fatal("it never ends")
		}
	}
	if refused == 0 {
		t.Error("no kill came while records were written")
	}
	t.Logf("%d kills while records were written", refused)
	out := filepath.Join(t.TempDir(), "out")
	cmd, text := hooklined(t, "export", "--store", address, "--out", out)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes came out, %d went in, %v", len(got), len(want), err)
	}
}

// endsBefore runs an import and kills it once enough is written.
func endsBefore(t *testing.T, address, in string, grown func() int64, enough int64) bool {
	t.Helper()
	cmd, out := hooklined(t, "import", "--store", address, "--in", in)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for tick := time.NewTicker(5 * time.Millisecond); ; {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			return true
		case <-tick.C:
		}
		if grown() >= enough {
			_ = cmd.Process.Kill() // it may just have ended
			return <-ended == nil
		}
	}
}

// On a full disk an export leaves neither a part nor an older archive spoiled,
// and an import goes on when there is room.
func TestArchiveOnFullDisk(t *testing.T) {
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=1m,mode=0700"); err != nil {
		t.Skipf("cannot mount a small disk (%v, uid %d); root in a container of its own can", err, os.Getuid())
	}
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	in, db, out := filepath.Join(t.TempDir(), "in"), filepath.Join(t.TempDir(), "hookline.db"), filepath.Join(disk, "out")
	written(t, in, 5_000)
	full := func(args ...string) string {
		cmd, text := hooklined(t, args...)
		err := cmd.Run()
		if e := (*exec.ExitError)(nil); !errors.As(err, &e) || e.ExitCode() != 5 {
			t.Errorf("%v: %v\n%s", args, err, text)
		}
		return text.String()
	}
	if text := full("import", "--data", disk, "--in", in); !strings.Contains(text, "[storage-full]") {
		t.Errorf("an import on a full disk: %s", text)
	}
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		_ = os.Remove(filepath.Join(disk, databaseFile+suffix))
	}
	cmd, text := hooklined(t, "import", "--store", db, "--in", in)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if err := os.WriteFile(out, []byte("older"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(disk, "ballast"), make([]byte, 1<<20-16<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	if text := full("export", "--store", db, "--out", out); !strings.Contains(text, "no space left on device") {
		t.Errorf("an export on a full disk: %s", text)
	}
	entries, err := fs.Glob(os.DirFS(disk), "*")
	if b, _ := os.ReadFile(out); err != nil || string(b) != "older" || len(entries) != 2 {
		t.Errorf("the older archive is %q, the folder has %v, %v", b, entries, err)
	}
}
