package errs_test

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"hookline/internal/errs"
)

var update = flag.Bool("update", false, "write docs/refusals.md anew")

// The constants of codes.go and the table are the same list.
func TestTableListsEveryCodeOnce(t *testing.T) {
	kebab := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	listed := map[string]int{}
	for _, info := range errs.Table() {
		listed[string(info.Code)]++
		if !kebab.MatchString(string(info.Code)) {
			t.Errorf("code %q is not kebab-case", info.Code)
		}
		if !strings.HasSuffix(info.Meaning, ".") || !strings.HasSuffix(info.Remedy, ".") {
			t.Errorf("code %q: meaning and remedy are sentences", info.Code)
		}
	}
	declared := declaredCodes(t)
	for code := range declared {
		if listed[code] != 1 {
			t.Errorf("code %q stands %d times in the table, want once", code, listed[code])
		}
	}
	for code := range listed {
		if !declared[code] {
			t.Errorf("code %q is in the table but not in codes.go", code)
		}
	}
}

func declaredCodes(t *testing.T) map[string]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		lit, ok := n.(*ast.BasicLit)
		if ok && lit.Kind == token.STRING {
			s, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			codes[s] = true
		}
		return true
	})
	if len(codes) < 50 {
		t.Fatalf("found only %d codes in codes.go", len(codes))
	}
	return codes
}

func TestRefusalsPageIsCurrent(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Refusals and outcomes\n\nEvery code that Hookline shows, what it means and what to do. Made from `internal/errs`;\n" +
		"`go test ./internal/errs -update` writes it anew.\n\n| code | kind | meaning | what to do |\n|---|---|---|---|\n")
	for _, i := range errs.Table() {
		b.WriteString("| `" + string(i.Code) + "` | " + string(i.Kind) + " | " + i.Meaning + " | " + i.Remedy + " |\n")
	}
	path := filepath.Join("..", "..", "docs", "refusals.md")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != b.String() {
		t.Error("docs/refusals.md is not current; run: go test ./internal/errs -update")
	}
}

func TestErrorShowsFieldAndCause(t *testing.T) {
	cause := os.ErrNotExist
	err := errs.Wrap(errs.CodeBadManifest, cause, "cannot read the manifest").At("hook.yaml:3:1").WithHint("write it")
	if got, want := err.Error(), "hook.yaml:3:1: cannot read the manifest: file does not exist"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if errs.CodeOf(err) != errs.CodeBadManifest || err.Kind() != errs.Invalid {
		t.Errorf("code %q kind %q", errs.CodeOf(err), err.Kind())
	}
	if errs.CodeOf(cause) != errs.CodeInternal || errs.CodeOf(nil) != "" {
		t.Error("an uncoded error is internal, nil has no code")
	}
}
