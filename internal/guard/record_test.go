package guard

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"hookline/internal/errs"
)

func newRecord(t testing.TB, dir string, known Head) *Record {
	t.Helper()
	r, err := OpenRecord(dir, known, (&clock{now: start}).Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func fill(t testing.TB, r *Record, n int) {
	t.Helper()
	for i := range n {
		if err := r.Append(Entry{Kind: KindNetwork, Reason: fmt.Sprintf("line %d", i)}); err != nil {
			t.Fatal(err)
		}
	}
}

// Whatever is done to the file, the chain shows it.
func TestRecordShowsEdits(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit func(lines [][]byte) [][]byte
	}{
		{"a word changed", func(l [][]byte) [][]byte {
			l[3] = bytes.Replace(l[3], []byte("line 3"), []byte("line X"), 1)
			return l
		}},
		{"the last word changed", func(l [][]byte) [][]byte {
			l[9] = bytes.Replace(l[9], []byte("line 9"), []byte("line X"), 1)
			return l
		}},
		{"a line removed", func(l [][]byte) [][]byte { return append(l[:4:4], l[5:]...) }},
		{"a line twice", func(l [][]byte) [][]byte { return append(l[:5:5], l[4:]...) }},
		{"two lines exchanged", func(l [][]byte) [][]byte {
			l[3], l[4] = l[4], l[3]
			return l
		}},
		{"the end cut off", func(l [][]byte) [][]byte { return l[:8] }},
		{"everything cut off", func([][]byte) [][]byte { return nil }},
		{"a line of something else", func(l [][]byte) [][]byte {
			l[2] = []byte("hello")
			return l
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			r := newRecord(t, dir, Head{})
			fill(t, r, 10)
			head := r.Head()
			if err := VerifyRecord(dir, head); err != nil {
				t.Fatalf("before: %v", err)
			}
			path := filepath.Join(dir, recordName)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			lines := tc.edit(bytes.Split(bytes.TrimSuffix(b, []byte("\n")), []byte("\n")))
			b = bytes.Join(lines, []byte("\n"))
			if len(lines) > 0 {
				b = append(b, '\n')
			}
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			wantCode(t, VerifyRecord(dir, head), errs.CodeRecordDamaged)
			again := newRecord(t, dir, head)
			if again.Intact() || again.Head().Seq <= head.Seq {
				t.Errorf("opened: intact %v, head %+v", again.Intact(), again.Head())
			}
		})
	}
}

func TestRecordRepairsATornLine(t *testing.T) {
	dir := t.TempDir()
	r := newRecord(t, dir, Head{})
	fill(t, r, 3)
	f, err := os.OpenFile(filepath.Join(dir, recordName), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"seq":4,"ki`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	again := newRecord(t, dir, r.Head())
	if !again.Intact() || again.Head().Seq != 4 {
		t.Errorf("intact %v, head %+v", again.Intact(), again.Head())
	}
	if err := VerifyRecord(dir, again.Head()); err != nil {
		t.Error(err)
	}
}

func TestRecordRotates(t *testing.T) {
	dir := t.TempDir()
	r := newRecord(t, dir, Head{})
	r.maxBytes = 1000
	fill(t, r, 200)
	files, err := filepath.Glob(filepath.Join(dir, recordName+"*"))
	if err != nil || len(files) != maxRecordFiles+1 {
		t.Fatalf("files %v, %v", files, err)
	}
	if err := VerifyRecord(dir, r.Head()); err != nil {
		t.Error(err)
	}
	lines, more, err := r.Lines(195, "", 1<<20)
	if err != nil || more || len(lines) != 5 {
		t.Errorf("%d lines, more %v, %v", len(lines), more, err)
	}
	lines, more, err = r.Lines(0, "", 500)
	if err != nil || !more || len(lines) == 0 {
		t.Errorf("%d lines, more %v, %v", len(lines), more, err)
	}
	again := newRecord(t, dir, r.Head())
	if !again.Intact() {
		t.Error("damaged after rotation")
	}
}

func FuzzRecordLine(f *testing.F) {
	f.Add([]byte(`{"seq":1,"prev":""}` + "\n" + `{"seq":2,"prev":"ab"}` + "\n"))
	f.Add([]byte("\n\n"))
	f.Add([]byte(`{"seq":9223372036854775807}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, recordName), b, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := OpenRecord(dir, Head{}, (&clock{now: start}).Now)
		if err != nil {
			return
		}
		defer func() { _ = r.Close() }()
		if err := r.Append(Entry{Kind: KindNetwork}); err != nil {
			t.Fatal(err)
		}
	})
}
