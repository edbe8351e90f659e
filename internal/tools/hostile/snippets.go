package main

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"hookline/internal/tools/hostile/corpus"
)

// Runs at a time: as many as a small machine has processors.
const parallel = 2

// How long a snippet may run. Where time is what ends it the weaker
// configurations give it less: what is asked there is whether anything else does.
const (
	fullRuntime  = 2 * time.Second
	shortRuntime = 600 * time.Millisecond
)

// alone are the snippets that may get through where one layer is missing,
// since that layer alone stops them, and why no other must.
func alone(c configuration, s corpus.Snippet) (why string, ok bool) {
	why, ok = map[string]string{}[c.off+" "+s.File]
	return why, ok
}

// column is what one configuration made of all snippets.
type column struct {
	configuration
	seen      map[string]corpus.Result
	wrong     map[string][]string
	left      []string // behind, at the end
	slowest   time.Duration
	slowestOf string
	alone     []string // snippets that only the missing layer stops
}

func runSnippets(out io.Writer, p *place, only *regexp.Regexp) (surprises int, err error) {
	all, err := readCorpus(p, only)
	if err != nil {
		return 0, err
	}
	var columns []column
	for _, c := range p.configurations {
		began := time.Now()
		col, err := p.column(c, all)
		if err != nil {
			return 0, err
		}
		columns = append(columns, col)
		fmt.Fprintf(out, "%-18s %3d snippets in %.0f s\n", c.name(), len(all), time.Since(began).Seconds())
	}
	printSnippets(out, all, columns)
	return printSummary(out, all, columns), nil
}

func (p *place) column(c configuration, all []corpus.Snippet) (column, error) {
	binary, err := p.small(c.weakened())
	if err != nil {
		return column{}, err
	}
	good := corpus.Good(p.fixtures)
	job := corpus.Job{Binary: binary, Without: c.without(), Parallel: parallel, Good: &good}
	for _, s := range all {
		runtime := fullRuntime
		if c.off != "" && s.TimesOut() {
			runtime = shortRuntime
		}
		job.Runs = append(job.Runs, corpus.Run{Name: s.File, Task: s.Task(p.fixtures, runtime)})
	}
	results, err := p.runJob(c, job)
	if err != nil {
		return column{}, err
	}
	col := column{configuration: c, seen: map[string]corpus.Result{}, wrong: map[string][]string{}}
	for _, r := range results {
		if r.Name == "" {
			col.left = r.Wrong
			continue
		}
		col.seen[r.Name] = r
	}
	for _, s := range all {
		col.check(s)
	}
	return col, nil
}

func (col *column) check(s corpus.Snippet) {
	r, ok := col.seen[s.File]
	if !ok {
		col.wrong[s.File] = []string{"not run"}
		return
	}
	wrong := append(s.Check(r.Outcome, r.Err()), r.Wrong...)
	if r.Took > corpus.Deadline {
		wrong = append(wrong, fmt.Sprintf("took %.1f s, more than %.1f s", r.Took.Seconds(), corpus.Deadline.Seconds()))
	}
	if r.Took > col.slowest {
		col.slowest, col.slowestOf = r.Took, s.File
	}
	if len(wrong) == 0 {
		return
	}
	if why, ok := alone(col.configuration, s); ok {
		col.alone = append(col.alone, s.File+" ("+why+")")
		return
	}
	col.wrong[s.File] = wrong
}

// code is an outcome's code as the tables have it.
func code(r corpus.Result) string {
	if r.Error != "" {
		return "cannot run"
	}
	return cmp.Or(r.Outcome.Code, "ok")
}

// printSnippets prints a row per snippet: what it must come to, what it came
// to with all layers, and in how many of the other configurations it came to
// what it must.
func printSnippets(out io.Writer, all []corpus.Snippet, columns []column) {
	fmt.Fprintf(out, "\n%-30s %-17s", "snippet", "expected")
	weaker := 0
	for _, col := range columns {
		if col.off == "" {
			fmt.Fprintf(out, " %-14s", col.name())
		} else {
			weaker++
		}
	}
	fmt.Fprintf(out, " %-7s %s\n", "weaker", "attack")
	for _, s := range all {
		fmt.Fprintf(out, "%-30s %-17s", strings.TrimSuffix(s.File, ".lua"), s.Expected)
		held := 0
		for _, col := range columns {
			ok := len(col.wrong[s.File]) == 0
			switch {
			case col.off == "":
				mark := ""
				if !ok {
					mark = " !"
				}
				fmt.Fprintf(out, " %-14s", code(col.seen[s.File])+mark)
			case ok:
				held++
			}
		}
		fmt.Fprintf(out, " %-7s %s\n", fmt.Sprintf("%d/%d", held, weaker), s.Attack)
	}
}

// printSummary prints what each configuration comes to, the surprises and the
// exceptions, and returns how many surprises there are.
func printSummary(out io.Writer, all []corpus.Snippet, columns []column) (surprises int) {
	fmt.Fprintln(out)
	for _, col := range columns {
		published, ours, total := 0, 0, 0
		for _, s := range all {
			held := len(col.wrong[s.File]) == 0
			switch {
			case s.Ours() && held:
				ours++
			case held:
				published++
			}
			if !s.Ours() {
				total++
			}
		}
		fmt.Fprintf(out, "%-18s %d of %d as expected, and %d of %d more of our own; guard alive, next hook unharmed; slowest %.1f s (%s)\n",
			col.name(), published, total, ours, len(all)-total, col.slowest.Seconds(), strings.TrimSuffix(col.slowestOf, ".lua"))
		for _, s := range all {
			for _, wrong := range col.wrong[s.File] {
				surprises++
				fmt.Fprintf(out, "  SURPRISE %s: %s\n", s.File, wrong)
			}
		}
		for _, left := range col.left {
			surprises++
			fmt.Fprintf(out, "  SURPRISE %s\n", left)
		}
		if len(col.alone) > 0 {
			fmt.Fprintf(out, "  only %s stops: %s\n", col.off, strings.Join(col.alone, ", "))
		}
	}
	printExceptions(out, all, columns)
	return surprises
}

func printExceptions(out io.Writer, all []corpus.Snippet, columns []column) {
	for _, s := range all {
		for _, col := range columns {
			if r, ok := col.seen[s.File]; ok && r.Error == "" && s.Excepted(r.Outcome.Code) {
				e, _ := s.Exception()
				fmt.Fprintf(out, "exception: %s may end with %q besides %s: %s\n", s.File, e.Code, s.Expected, e.Why)
				break
			}
		}
	}
}
