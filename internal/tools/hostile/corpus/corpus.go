// Package corpus is the hostile Lua snippets: what each aims at, how it must
// end, and the run that shows it. The tests of package sandbox and the tool
// internal/tools/hostile share it.
package corpus

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Published is how many snippets of the manifest are the published corpus;
// those after it, numbered from 201 on, are our own.
const Published = 112

// Snippet is one attack.
type Snippet struct {
	File     string // its name in the manifest
	Attack   string // what it tries, in words
	Expected string // the manifest's outcome: "TIMEOUT", "ERR_OR_OK", …
	Script   string // Lua, with the fixture folder filled in
}

// Ours reports whether a snippet is not of the published corpus.
func (s Snippet) Ours() bool { return s.File >= "200" }

// Read returns the snippets of a folder (manifest.tsv and lua/), in the
// manifest's order. fixtures is the folder of MakeFixtures.
func Read(dir, fixtures string) ([]Snippet, error) {
	manifest, err := os.ReadFile(filepath.Join(dir, "manifest.tsv"))
	if err != nil {
		return nil, fmt.Errorf("cannot read the corpus: %w", err)
	}
	var all []Snippet
	published := 0
	for line := range strings.Lines(string(manifest)) {
		part := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(part) != 3 || part[0] == "file" {
			continue
		}
		s := Snippet{File: part[0], Attack: part[1], Expected: part[2], Script: generated(part[0])}
		if s.Script == "" {
			b, err := os.ReadFile(filepath.Join(dir, "lua", s.File))
			if err != nil {
				return nil, fmt.Errorf("cannot read the corpus: %w", err)
			}
			s.Script = string(b)
		}
		s.Script = strings.ReplaceAll(s.Script, "@FIX@", fixtures)
		if all = append(all, s); !s.Ours() {
			published++
		}
	}
	if published != Published {
		return nil, fmt.Errorf("cannot use the corpus in %s: it has %d snippets, not %d", dir, published, Published)
	}
	return all, nil
}

// generated makes the snippets that are megabytes of the same.
func generated(file string) string {
	switch file {
	case "161_src_consts.lua":
		var b strings.Builder
		b.WriteString("local t={")
		for i := range 300_000 {
			fmt.Fprintf(&b, "%q,", fmt.Sprintf("k%d", i))
		}
		return b.String() + "}"
	case "163_src_concat.lua":
		return "return " + strings.Repeat(`"a"..`, 60_000) + `"a"`
	case "164_src_nested_fn.lua":
		return strings.Repeat("return function() ", 60_000) + "return 1 " + strings.Repeat("end ", 60_000)
	}
	return ""
}
