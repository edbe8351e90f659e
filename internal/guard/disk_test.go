package guard

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/guardwire"
	"hookline/sandbox"
)

// smallDisk mounts a tmpfs of so many bytes.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a small disk")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("cannot mount a small disk here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func fillDisk(t *testing.T, dir string) (free func()) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	for size := 64 << 10; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	return func() {
		f.Close()
		os.Remove(f.Name())
	}
}

// A disk without room: nothing runs, nothing is half-kept, everybody hears
// why, and with room it carries on.
func TestFullDisk(t *testing.T) {
	k := newKit(t)
	k.dir = smallDisk(t, "1m")
	var runs atomic.Int64
	k.sandbox = func(context.Context, sandbox.Task) (sandbox.Outcome, error) {
		runs.Add(1)
		return sandbox.Outcome{Fields: hooks.Fields{"Answer": "42"}}, nil
	}
	g := k.optedIn(HooksYes)
	original := file(t, g)
	s := connect(t, g)
	if end := s.end(k.run(original, version(1))); end.Code != "" {
		t.Fatalf("with room: %s %s", end.Code, end.Reason)
	}
	kept, outbox := len(g.shelf.index), g.outbox.len()
	free := fillDisk(t, k.dir)
	big := guardwire.Request{Op: guardwire.OpFile, Report: hooks.Report{"Text": strings.Repeat("x", 100_000)}}
	if reply := g.Handle(Caller{}, big); reply.Code != string(errs.CodeStorageFull) {
		t.Errorf("a report: %q %s", reply.Code, reply.Message)
	}
	if end := s.end(k.run(original, version(2))); end.Code != string(errs.CodeStorageFull) || end.Finish.Fields != nil {
		t.Errorf("a run: %q %s", end.Code, end.Reason)
	}
	if reply := g.Handle(Caller{}, guardwire.Request{Op: guardwire.OpAllow, AllowHooks: ptr(HooksNo)}); reply.Code != string(errs.CodeStorageFull) {
		t.Errorf("a setting: %q %s", reply.Code, reply.Message)
	}
	if g.config.AllowHooks != HooksNo {
		t.Error("a no does not hold since it could not be written")
	}
	if runs.Load() != 1 || len(g.shelf.index) != kept || len(g.running) != 0 {
		t.Errorf("%d runs, %d copies, %d under way", runs.Load(), len(g.shelf.index), len(g.running))
	}
	free()
	if end := s.end(k.run(original, version(2))); end.Code != string(errs.CodeNotOptedIn) {
		t.Errorf("after a no that could not be written: %q %s", end.Code, end.Reason)
	}
	owner(t, g, guardwire.Request{Op: guardwire.OpAllow, AllowHooks: ptr(HooksNo)})
	if b, err := os.ReadFile(filepath.Join(k.dir, configFile)); err != nil || !strings.Contains(string(b), "allow_hooks: no") {
		t.Errorf("the no, said again with room, is not on disk: %s %v", b, err)
	}
	owner(t, g, guardwire.Request{Op: guardwire.OpAllow, AllowHooks: ptr(HooksYes)})
	if end := s.end(k.run(original, version(2))); end.Code != "" {
		t.Errorf("with room again: %q %s", end.Code, end.Reason)
	}
	file(t, g)
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	again := k.open()
	if !again.record.Intact() || len(again.shelf.index) != kept+1 || again.outbox.len() < outbox {
		t.Errorf("intact %v, %d copies, %d in the outbox", again.record.Intact(), len(again.shelf.index), again.outbox.len())
	}
}

// The disk fills while a hook runs: what cannot be recorded does not leave.
func TestFullDiskWithholdsAResult(t *testing.T) {
	k := newKit(t)
	k.dir = smallDisk(t, "1m")
	k.sandbox = func(context.Context, sandbox.Task) (sandbox.Outcome, error) {
		fillDisk(t, k.dir)
		return sandbox.Outcome{Fields: hooks.Fields{"Answer": strings.Repeat("4", 60)}}, nil
	}
	g := k.optedIn(HooksYes)
	// Lines of the record may still fit the last page; a result over it cannot.
	end := connect(t, g).end(k.run(file(t, g), nil))
	if end.Finish.Outcome != hooks.OutcomeFailed || end.Finish.Fields != nil || end.Code != string(errs.CodeStorageFull) {
		t.Errorf("ended %+v %+v", end, end.Finish)
	}
}

// A disk that has no room for a new file when the record's is full must not
// cost the lines that are there: each try to go on would push a file out.
func TestFullDiskKeepsTheRecord(t *testing.T) {
	dir := smallDisk(t, "1m,nr_inodes=20")
	k := newKit(t)
	r, err := OpenRecord(dir, Head{}, k.clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	r.maxBytes = 1000
	for range 20 {
		if err := r.Append(Entry{Kind: KindNetwork, Reason: "before"}); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; ; i++ { // all inodes
		f, err := os.Create(filepath.Join(dir, fmt.Sprint("filler", i)))
		if err != nil {
			break
		}
		f.Close()
	}
	full := 0
	for range 50 {
		if r.Append(Entry{Kind: KindNetwork, Reason: "full"}) != nil {
			full++
		}
	}
	if full < 40 {
		t.Fatalf("only %d of 50 found no room", full)
	}
	if err := os.Remove(filepath.Join(dir, "filler0")); err != nil {
		t.Fatal(err)
	}
	if err := r.Append(Entry{Kind: KindNetwork, Reason: "after"}); err != nil {
		t.Fatal(err)
	}
	lines, _, err := r.Lines(0, "", 1<<20)
	if err != nil || len(lines) < 20 {
		t.Errorf("%d lines are left, %v", len(lines), err)
	}
	if err := VerifyRecord(dir, r.Head()); err != nil {
		t.Error(err)
	}
}
