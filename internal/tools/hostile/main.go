// Command hostile runs every hostile snippet, and every attack that Lua could
// not make, against the sandbox: as root and as an ordinary user, with all
// layers, with each single layer switched off, and with older kernels'
// landlock. It prints what was expected and what was seen, which attacks one
// layer alone stops, and ends with 1 at any surprise. See `make hostile`.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"time"

	"hookline/internal/tools/hostile/corpus"
)

func main() { os.Exit(start(os.Args[1:])) }

// start is this program, or a part of it that it starts again as another user
// or with fewer capabilities.
func start(args []string) int {
	if len(args) > 0 && slices.Contains([]string{asGuard, asTarget, withoutNamespaces}, args[0]) {
		if err := guard(args); err != nil {
			fmt.Fprintln(os.Stderr, "hostile:", err)
			return 1
		}
		return 0
	}
	flags := flag.NewFlagSet("hostile", flag.ExitOnError)
	only := flags.String("snippets", "", "only snippets whose file `matches`")
	which := flags.String("configurations", "", "only configurations whose name `matches`")
	tables := flags.String("tables", "snippets attacks", "which `tables` to make")
	_ = flags.Parse(args) // it ends the program itself
	began := time.Now()
	surprises, err := run(os.Stdout, *only, *which, *tables)
	if err != nil {
		fmt.Fprintln(os.Stderr, "hostile:", err)
		return 1
	}
	fmt.Printf("\nmake hostile: %d surprises, in %.0f s\n", surprises, time.Since(began).Seconds())
	if surprises > 0 {
		return 1
	}
	return 0
}

func run(out io.Writer, only, which, tables string) (surprises int, err error) {
	snippets, err := regexp.Compile(only)
	if err != nil {
		return 0, fmt.Errorf("cannot read -snippets: %w", err)
	}
	names, err := regexp.Compile(which)
	if err != nil {
		return 0, fmt.Errorf("cannot read -configurations: %w", err)
	}
	p, err := newPlace()
	if err != nil {
		return 0, err
	}
	defer p.close()
	for _, c := range configurations() {
		if names.MatchString(c.name()) {
			p.configurations = append(p.configurations, c)
		}
	}
	if regexp.MustCompile(`\bsnippets\b`).MatchString(tables) {
		n, err := runSnippets(out, p, snippets)
		if err != nil {
			return 0, err
		}
		surprises += n
	}
	if regexp.MustCompile(`\battacks\b`).MatchString(tables) {
		n, err := runAttacks(out, p)
		if err != nil {
			return 0, err
		}
		surprises += n
	}
	return surprises, nil
}

// corpusDir is where the snippets are, from the top of the repository.
const corpusDir = "sandbox/testdata/hostile"

func readCorpus(p *place, only *regexp.Regexp) ([]corpus.Snippet, error) {
	all, err := corpus.Read(corpusDir, p.fixtures)
	if err != nil {
		return nil, err
	}
	var some []corpus.Snippet
	for _, s := range all {
		if only.MatchString(s.File) {
			some = append(some, s)
		}
	}
	return some, nil
}
