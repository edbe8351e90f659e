package redact_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hookline/internal/redact"
)

var update = flag.Bool("update", false, "write testdata/measured.md and the table in SECURITY.md anew")

// What a line of the corpus may expect. A "missed" line that is caught fails
// too: the table is to say how it is.
const (
	caught = "caught" // the part goes
	missed = "missed" // the part is left, though it should go
	stays  = "stays"  // nothing changes, nor should it
	alarm  = "alarm"  // the part goes, though it should stay
)

type sample struct {
	line                          int
	kind, text, part, wants, note string
}

func corpus(t testing.TB) []sample {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "corpus.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	unescape := strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\t`, "\t", `\&`, "")
	var all []sample
	for i, line := range strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 5 {
			t.Fatalf("line %d has %d columns", i+1, len(f))
		}
		s := sample{i + 1, f[0], unescape.Replace(f[1]), unescape.Replace(f[2]), f[3], f[4]}
		if s.wants != stays && (s.part == "" || !strings.Contains(s.text, s.part)) {
			t.Fatalf("line %d: %q does not stand in its text", s.line, s.part)
		}
		all = append(all, s)
	}
	return all
}

func TestCorpus(t *testing.T) {
	counts := map[string]int{}
	for _, s := range corpus(t) {
		counts[s.wants]++
		got := redact.Text(s.text, names())
		left := strings.Contains(strings.ToLower(got), strings.ToLower(s.part))
		ok := false
		switch s.wants {
		case caught, alarm:
			ok = !left
		case missed:
			ok = left
		case stays:
			ok = got == s.text
		}
		if !ok {
			t.Errorf("line %d (%s) is not %s:\n in %q\nout %q", s.line, s.kind, s.wants, s.text, got)
		}
		if again := redact.Text(got, names()); again != got {
			t.Errorf("line %d changes the second time:\none %q\ntwo %q", s.line, got, again)
		}
	}
	if counts[caught]+counts[missed] < 150 || counts[missed] < 25 || counts[stays] < 40 {
		t.Errorf("the corpus is too small to measure with: %v", counts)
	}
}

const beginMark, endMark = "<!-- redaction:begin -->\n", "<!-- redaction:end -->"

// The figures in SECURITY.md are those of the corpus.
func TestMeasured(t *testing.T) {
	table := measured(corpus(t))
	security := filepath.Join("..", "..", "SECURITY.md")
	raw, err := os.ReadFile(security)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(raw), beginMark)
	block, after, closed := strings.Cut(rest, endMark)
	if !found || !closed {
		t.Fatalf("SECURITY.md has no block between %q and %q", beginMark, endMark)
	}
	golden := filepath.Join("testdata", "measured.md")
	if *update {
		if err := os.WriteFile(golden, []byte(table), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(security, []byte(before+beginMark+table+endMark+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"testdata/measured.md": string(want), "SECURITY.md": block} {
		if text != table {
			t.Errorf("%s is not what the corpus measures; run: go test ./internal/redact -update", name)
		}
	}
}

// examplesPerKind of misses stand in the table.
const examplesPerKind = 4

func measured(all []sample) string {
	var kinds []string
	byKind := map[string][]sample{}
	for _, s := range all {
		if byKind[s.kind] == nil {
			kinds = append(kinds, s.kind)
		}
		byKind[s.kind] = append(byKind[s.kind], s)
	}
	var b strings.Builder
	b.WriteString("| kind | lines | caught | missed | examples of what is missed |\n|---|---|---|---|---|\n")
	var lines, caughts int
	for _, k := range kinds {
		if byKind[k][0].wants == stays || byKind[k][0].wants == alarm {
			continue
		}
		var examples []string
		n := 0
		for _, s := range byKind[k] {
			if s.wants == caught {
				n++
				continue
			}
			if len(examples) < examplesPerKind {
				examples = append(examples, example(s))
			}
		}
		lines, caughts = lines+len(byKind[k]), caughts+n
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %s |\n", k, len(byKind[k]), n, len(byKind[k])-n, strings.Join(examples, "; "))
	}
	fmt.Fprintf(&b, "| all | %d | %d | %d | |\n\n", lines, caughts, lines-caughts)
	var alarms []string
	for _, s := range byKind[alarm] {
		alarms = append(alarms, example(s))
	}
	fmt.Fprintf(&b, "Of %d lines in which nothing should go, %d stay as they are. Taken out without need: %s.\n",
		len(byKind[stays])+len(alarms), len(byKind[stays]), strings.Join(alarms, "; "))
	return b.String()
}

func example(s sample) string {
	text := strings.NewReplacer("\n", `\n`, "\t", `\t`, "|", `\|`).Replace(s.text)
	if strings.Contains(text, "`") {
		text = "`` " + text + " ``"
	} else {
		text = "`" + text + "`"
	}
	if s.note == "" {
		return text
	}
	return text + " (" + strings.ReplaceAll(s.note, "|", `\|`) + ")"
}
