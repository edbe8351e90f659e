package hooks_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hookline/hooks"
	"hookline/internal/errs"
)

func sortNamed(v []named) {
	slices.SortFunc(v, func(a, b named) int { return strings.Compare(a.name, b.name) })
}

func TestStatementOfLaterVersionSaysUpgrade(t *testing.T) {
	b := bytes.Replace(canonical(t, statement(t, manifest())), []byte("/hook/v1"), []byte("/hook/v2"), 1)
	_, err := hooks.ParseStatement(b)
	e, ok := errs.As(err)
	if !ok || e.Code != errs.CodeStatementUnknown || !strings.Contains(e.Hint, "upgrade") {
		t.Errorf("got %v with hint %q", err, e.Hint)
	}
}

// Canonical must not sign what ParseStatement would refuse.
func TestCanonicalValidates(t *testing.T) {
	s := statement(t, manifest())
	s.Predicate.Match.Fingerprints = nil
	_, err := s.Canonical()
	wantCode(t, err, errs.CodeStatementMalformed)
	s = statement(t, manifest())
	s.Predicate.MaxBytes = 0
	_, err = s.Canonical()
	wantCode(t, err, errs.CodeStatementLimit)
	if _, err := (hooks.Statement{}).Canonical(); err == nil {
		t.Error("an empty statement was encoded")
	}
}

// FuzzParseStatement holds the one property that signatures rest on: accepted
// bytes are the only bytes of their meaning.
func FuzzParseStatement(f *testing.F) {
	for _, pattern := range []string{"statement/valid/*.json", "statement/invalid/*.json"} {
		files, err := filepath.Glob(filepath.Join(vectors, pattern))
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range files {
			if b, err := os.ReadFile(name); err == nil && len(b) < 4096 {
				f.Add(b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := hooks.ParseStatement(b)
		if err != nil {
			if code := errs.CodeOf(err); code == errs.CodeInternal {
				t.Errorf("uncoded error: %v", err)
			}
			return
		}
		if again := canonical(t, s); !bytes.Equal(again, b) {
			t.Errorf("two encodings of one statement:\n%s\n%s", b, again)
		}
	})
}

func BenchmarkParseStatement(b *testing.B) {
	raw := canonical(b, statement(b, manifest()))
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := hooks.ParseStatement(raw); err != nil {
			b.Fatal(err)
		}
	}
}
