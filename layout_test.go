// Package hookline_test checks the shape of the module: who may import whom.
// The rules are those of docs/architecture.md. It asks the go command, whose
// answers the test cache does not see change: run it with -count=1.
package hookline_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

const module = "hookline/"

// everywhere may be imported by every package.
var everywhere = []string{"internal/durable", "internal/errs", "internal/querylog", "internal/strict"}

// allowed lists, for a package or a tree ("x/..."), what else of ours it may
// import. The first row that fits decides; cmd, hooktest, browsertest, server and tools
// wire their parts and stand in no row.
var allowed = []struct {
	packages string
	imports  []string
}{
	{"internal/durable", nil},
	{"internal/errs", nil},
	{"internal/strict", nil},
	{"hooks", nil},
	{"hooks/lint", []string{"hooks"}},
	{"internal/api", []string{"hooks"}},
	{"internal/jobpb", nil},
	{"internal/jobpb/gen", nil},
	{"internal/redact", nil},
	{"internal/guardwire", []string{"hooks"}},
	{"sandbox/...", []string{"hooks", "hooks/lint", "internal/redact", "sandbox/..."}},
	{"signing", []string{"hooks"}},
	{"signing/trust/keeper", []string{"hooks", "signing", "signing/trust"}},
	{"signing/...", []string{"hooks", "signing"}},
	{"internal/auth", []string{"hooks"}},
	{"internal/jobs", []string{"hooks", "internal/auth"}},
	{"internal/enroll", []string{"hooks", "internal/auth"}},
	{"review", []string{"hooks", "signing", "internal/auth"}},
	{"collector", []string{"hooks", "signing", "internal/auth", "internal/jobs", "internal/enroll"}},
	{"store/archive", []string{"store", "hooks", "signing", "review", "collector", "internal/jobs", "internal/enroll", "internal/auth"}},
	{"store/...", []string{"hooks", "signing", "review", "collector", "internal/jobs", "internal/enroll", "internal/auth", "store/..."}},
	{"internal/httpapi", []string{"hooks", "signing", "review", "collector", "internal/jobs", "internal/enroll", "internal/auth", "internal/api"}},
	{"internal/web/chart", []string{"internal/looks"}},
	{"internal/web/kit/kittest", []string{"internal/auth", "internal/web/kit", "store/sqlite"}},
	{"internal/web/live", []string{"internal/auth", "internal/web/kit"}},
	{"internal/web/...", []string{"hooks", "signing", "review", "collector", "internal/jobs", "internal/enroll", "internal/auth", "internal/looks", "internal/code", "internal/wording", "internal/querylog", "internal/web/..."}},
	{"internal/looks", nil},
	{"internal/code", []string{"internal/looks"}},
	{"internal/wording", []string{"hooks", "signing"}},
	{"internal/querylog", nil},
	{"internal/reviewpage", []string{"signing", "internal/looks", "internal/code", "internal/wording"}},
	{"internal/jobserver", []string{"hooks", "signing", "review", "collector", "internal/jobs", "internal/enroll", "internal/auth", "internal/jobpb"}},
	{"internal/guard", []string{"hooks", "signing", "signing/trust", "sandbox", "internal/guardwire"}},
	{"internal/peer", []string{"hooks", "internal/jobpb", "internal/guardwire", "signing/trust", "internal/enroll"}},
	{"internal/source", []string{"hooks", "internal/guardwire"}},
	{"internal/client", []string{"internal/api"}},
	{"internal/cli", nil},
	{"internal/wiretest", nil},
	{"internal/waitfor", nil},
	{"internal/sshtest", []string{"internal/waitfor"}},
}

// never lists what a binary must not reach, by any path.
var never = map[string][]string{
	"cmd/hookline-peer":    {"hookline/store", "hookline/collector", "hookline/review", "hookline/internal/httpapi", "hookline/internal/web", "hookline/signing/signer", "hookline/signing/trust/keeper", "modernc.org/sqlite", "go.mongodb.org/mongo-driver/v2/mongo", "github.com/yuin/gopher-lua"},
	"cmd/hooklined":        {"hookline/signing/signer", "hookline/signing/trust/keeper", "hookline/sandbox/broker", "github.com/yuin/gopher-lua"},
	"cmd/hookline":         {"hookline/store", "github.com/yuin/gopher-lua", "modernc.org/sqlite", "go.mongodb.org/mongo-driver/v2/mongo"},
	"cmd/hookline-sandbox": {"hookline/signing", "hookline/internal/guard", "net/http"},
}

// only lists packages that nobody but these binaries may link.
var only = map[string][]string{
	"hookline/sandbox/broker":       {"hookline/cmd/hookline-sandbox"},
	"hookline/sandbox/worker":       {"hookline/cmd/hookline-sandbox"},
	"hookline/internal/wiretest":    nil, // tests only
	"hookline/internal/waitfor":     nil, // tests only
	"hookline/internal/sshtest":     nil, // tests only
	"hookline/internal/browsertest": nil, // tests and tools only
}

func TestImportRules(t *testing.T) {
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		may, ruled := rule(name)
		if !ruled {
			continue
		}
		for _, imported := range p.Imports {
			path, ours := strings.CutPrefix(imported, module)
			if ours && !fits(path, everywhere) && !fits(path, may) {
				t.Errorf("%s must not import %s", name, path)
			}
		}
	}
}

func TestEveryPackageHasARule(t *testing.T) {
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		wires := []string{"hookline", "cmd/...", "internal/hooktest/...", "internal/browsertest", "internal/onebox", "internal/demo", "internal/server", "internal/tools/...", "examples/..."}
		if _, ruled := rule(name); !ruled && !fits(name, wires) {
			t.Errorf("%s stands in no row of the import rules: add it here and in docs/architecture.md", name)
		}
	}
}

func TestBinariesReachOnlyTheirParts(t *testing.T) {
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		for _, forbidden := range never[name] {
			for _, dep := range p.Deps {
				if dep == forbidden || strings.HasPrefix(dep, forbidden+"/") {
					t.Errorf("%s reaches %s", name, dep)
				}
			}
		}
		if !strings.HasPrefix(name, "cmd/") {
			continue
		}
		for pkg, binaries := range only {
			if slices.Contains(p.Deps, pkg) && !slices.Contains(binaries, p.ImportPath) {
				t.Errorf("%s links %s, which only %v may", name, pkg, binaries)
			}
		}
	}
}

func rule(name string) ([]string, bool) {
	for _, r := range allowed {
		if fits(name, []string{r.packages}) {
			return r.imports, true
		}
	}
	return nil, false
}

// fits reports whether a package is one of the patterns, "x/..." being x and all below.
func fits(name string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		tree, isTree := strings.CutSuffix(p, "/...")
		return name == p || isTree && (name == tree || strings.HasPrefix(name, tree+"/"))
	})
}

func list(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps", "./...").Output()
	if err != nil {
		t.Fatalf("cannot list the packages: %v", err)
	}
	var packages []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	if len(packages) < 10 {
		t.Fatalf("go list found only %d packages", len(packages))
	}
	return packages
}
