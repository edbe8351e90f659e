package examples_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hookline/hooks"
)

var update = flag.Bool("update", false, "write what hook test prints into README.md and OUTPUT.md")

// shownInReadme is the example whose output the README shows.
const shownInReadme = "package-integrity"

// TestOutputIsShown holds the README and OUTPUT.md to what hook test prints
// for each example, but for times and sizes of memory.
func TestOutputIsShown(t *testing.T) {
	folders, err := filepath.Glob("*/" + hooks.ManifestName)
	must(t, err)
	all := "# What hook test prints for each example\n\nOver the recorded answers of its `fixtures.yaml`; `go test ./examples/hooks -run Output -update` writes this page anew.\n"
	for _, manifest := range folders {
		name := filepath.Dir(manifest)
		all += fmt.Sprintf("\n## %s\n\n%s", name, printed(t, name))
	}
	shown(t, "OUTPUT.md", []byte(all))
	readme, err := os.ReadFile("../../README.md")
	must(t, err)
	const begin, end = "<!-- hook-test:begin -->\n", "<!-- hook-test:end -->\n"
	before, rest, ok := strings.Cut(string(readme), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("the README has no place for the output")
	}
	shown(t, "../../README.md", []byte(before+begin+printed(t, shownInReadme)+end+after))
}

// printed is a command and what it prints, as a page shows it.
func printed(t *testing.T, name string) string {
	t.Helper()
	command := "hook test examples/hooks/" + name
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "hookline"), strings.Fields(command)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	must(t, err)
	var b strings.Builder
	fmt.Fprintf(&b, "```\n$ hookline %s\n", command)
	for line := range strings.Lines(string(out)) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	b.WriteString("```\n")
	return b.String()
}

// shown compares a page with what it has to be, or writes it.
func shown(t *testing.T, page string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(page)
	if err != nil && !*update {
		t.Fatal(err)
	}
	if diff := cmp.Diff(measured(want), measured(got)); diff == "" {
		return
	} else if !*update {
		t.Errorf("%s does not show what hook test prints (-want +got); run go test ./examples/hooks -run Output -update:\n%s", page, diff)
		return
	}
	must(t, os.WriteFile(page, want, 0o644))
}

// measured leaves out of a page what differs from run to run.
func measured(page []byte) string {
	page = regexp.MustCompile(`(?m)^(time|instructions|memory of the (script|process)) .*$`).ReplaceAll(page, []byte("$1"))
	page = regexp.MustCompile(`(?m) +[\d.]+ (ms|µs)$`).ReplaceAll(page, nil)
	return string(page)
}
