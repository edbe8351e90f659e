package sqlite

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/store/archive"
)

func exported(t *testing.T, path string) []byte {
	t.Helper()
	a, err := OpenArchive(t.Context(), path)
	noError(t, err)
	defer func() { noError(t, a.Close()) }()
	var b bytes.Buffer
	_, err = archive.Export(t.Context(), a, &b, nil)
	noError(t, err)
	return b.Bytes()
}

// An export of a database that a server has open is that of one moment, and
// the server goes on.
func TestExportBesideAServer(t *testing.T) {
	d := open(t, Options{})
	for _, id := range []string{"a", "b"} {
		noError(t, d.AddPeer(t.Context(), enroll.Peer{ID: id, SPKI: id}))
	}
	before := exported(t, d.path)
	a, err := OpenArchive(t.Context(), d.path)
	noError(t, err)
	defer func() { noError(t, a.Close()) }()
	end, err := a.ArchiveBegin(t.Context())
	noError(t, err)
	noError(t, d.AddPeer(t.Context(), enroll.Peer{ID: "c", SPKI: "c"}))
	page, err := a.ArchivePage(t.Context(), archive.KindPeer, "", 10)
	noError(t, err)
	if len(page) != 2 {
		t.Errorf("the export sees %d peers, not the 2 of its beginning", len(page))
	}
	noError(t, end())
	if after := exported(t, d.path); bytes.Equal(before, after) {
		t.Error("a later export sees no more")
	}
}

// To read a database that nobody has open makes no file, and keeps a server
// from writing to it meanwhile.
func TestExportLeavesNothing(t *testing.T) {
	d := open(t, Options{})
	noError(t, d.AddPeer(t.Context(), enroll.Peer{ID: "a", SPKI: "a"}))
	noError(t, d.Close())
	names := func() (names []string) {
		t.Helper()
		entries, err := os.ReadDir(filepath.Dir(d.path))
		noError(t, err)
		for _, e := range entries {
			info, err := e.Info()
			noError(t, err)
			names = append(names, e.Name()+" "+info.ModTime().String())
		}
		return names
	}
	before := names()
	exported(t, d.path)
	if diff := cmp.Diff(before, names()); diff != "" {
		t.Errorf("the export has changed (-before +after):\n%s", diff)
	}
	a, err := OpenArchive(t.Context(), d.path)
	noError(t, err)
	if _, err := Open(t.Context(), d.path, Options{}); !errs.Is(err, errs.CodeConflict) {
		t.Errorf("a server during the export: %v", err)
	}
	noError(t, a.Close())
	openAt(t, d.path, Options{})
}

// A database that was killed is read with what its log holds.
func TestExportAfterAKill(t *testing.T) {
	d := open(t, Options{})
	noError(t, d.AddPeer(t.Context(), enroll.Peer{ID: "a", SPKI: "a"}))
	copied := filepath.Join(t.TempDir(), "hookline.db")
	for _, suffix := range []string{"", "-wal", ".lock"} {
		b, err := os.ReadFile(d.path + suffix)
		noError(t, err)
		noError(t, os.WriteFile(copied+suffix, b, 0o600))
	}
	if !bytes.Equal(exported(t, copied), exported(t, d.path)) {
		t.Error("the export of the copy is another one")
	}
}

func TestExportOfAnOldSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hookline.db")
	noError(t, prepareFiles(path))
	conn := rawConn(t, path)
	noError(t, migrate(t.Context(), conn, steps(t, 1)))
	noError(t, conn.Close())
	_, err := OpenArchive(t.Context(), path)
	if e, ok := errs.As(err); !ok || e.Code != errs.CodeUnavailable || e.Hint == "" {
		t.Errorf("of an old schema: %v", err)
	}
	openAt(t, path, Options{})
	exported(t, path)
}

// While an import is not finished, only another import opens the database.
func TestNoServerOnHalfAnImport(t *testing.T) {
	d := open(t, Options{Import: true})
	noError(t, d.ArchivePut(t.Context(), nil, archive.Mark{Archive: "sum"}))
	noError(t, d.Close())
	_, err := Open(t.Context(), d.path, Options{})
	if e, ok := errs.As(err); !ok || e.Code != errs.CodeUnavailable || e.Hint == "" {
		t.Errorf("a server opened it: %v", err)
	}
	a, err := OpenArchive(t.Context(), d.path)
	noError(t, err)
	if _, err := archive.Export(context.Background(), a, &bytes.Buffer{}, nil); !errs.Is(err, errs.CodeUnavailable) {
		t.Errorf("it was exported: %v", err)
	}
	noError(t, a.Close())
	d = openAt(t, d.path, Options{Import: true})
	noError(t, d.ArchiveDone(t.Context()))
	noError(t, d.Close())
	openAt(t, d.path, Options{})
}
