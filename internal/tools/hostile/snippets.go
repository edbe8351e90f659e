package main

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"hookline/internal/errs"
	"hookline/internal/tools/hostile/corpus"
)

// Runs at a time: as many as a small machine has processors.
const parallel = 2

// How long a snippet may run: with what the guard waits before it kills, and
// what starting and ending take, within corpus.Deadline. Where time is what ends it the weaker
// configurations give it less: what is asked there is whether anything else does.
const (
	fullRuntime  = 2300 * time.Millisecond
	shortRuntime = 300 * time.Millisecond
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
	ran       []corpus.Snippet
	again     int      // run once more, with the machine to themselves
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
		fmt.Fprintf(out, "%-18s %3d snippets in %.0f s\n", c.name(), len(col.ran), time.Since(began).Seconds())
	}
	printSnippets(out, all, columns)
	return printSummary(out, all, columns), nil
}

func (p *place) column(c configuration, all []corpus.Snippet) (column, error) {
	col := column{configuration: c, seen: map[string]corpus.Result{}, wrong: map[string][]string{}}
	for _, s := range all {
		if c.off == "" || !s.Ours() { // ours ask nothing of the layers that the others do not
			col.ran = append(col.ran, s)
		}
	}
	if err := p.runAll(&col, col.ran, parallel); err != nil {
		return col, err
	}
	// On a busy machine time may be what ends a snippet, or it may take too
	// long: it gets two more tries alone.
	for range 2 {
		late := slices.DeleteFunc(slices.Clone(col.ran), func(s corpus.Snippet) bool { return len(col.judge(s)) == 0 || !col.late(s) })
		if len(late) == 0 {
			break
		}
		col.again = max(col.again, len(late))
		if err := p.runAll(&col, late, 1); err != nil {
			return col, err
		}
	}
	for _, s := range col.ran {
		col.check(s)
	}
	return col, nil
}

// runAll runs snippets in one guard.
func (p *place) runAll(col *column, some []corpus.Snippet, parallel int) error {
	binary, err := p.small(col.weakened())
	if err != nil {
		return err
	}
	good := corpus.Good(p.fixtures)
	job := corpus.Job{Binary: binary, Without: col.without(), Parallel: parallel, Good: &good}
	for _, s := range some {
		runtime := fullRuntime
		if col.off != "" && s.TimesOut() {
			runtime = shortRuntime
		}
		job.Runs = append(job.Runs, corpus.Run{Name: s.File, Task: s.Task(p.fixtures, runtime)})
	}
	results, err := p.runJob(col.configuration, job)
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.Name == "" {
			col.left = append(col.left, r.Wrong...)
			continue
		}
		col.seen[r.Name] = r
	}
	return nil
}

// judge is what is wrong with the end of a snippet.
func (col *column) judge(s corpus.Snippet) []string {
	r, ok := col.seen[s.File]
	if !ok {
		return []string{"not run"}
	}
	wrong := append(s.Check(r.Outcome, r.Err()), r.Wrong...)
	if r.Took > corpus.Deadline {
		wrong = append(wrong, fmt.Sprintf("took %.1f s, more than %.1f s", r.Took.Seconds(), corpus.Deadline.Seconds()))
	}
	return wrong
}

func (col *column) late(s corpus.Snippet) bool {
	r := col.seen[s.File]
	return r.Took > corpus.Deadline || r.Outcome.Code == string(errs.CodeLimitTime)
}

func (col *column) check(s corpus.Snippet) {
	if r := col.seen[s.File]; r.Took > col.slowest {
		col.slowest, col.slowestOf = r.Took, s.File
	}
	wrong := col.judge(s)
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
			_, ran := col.seen[s.File]
			ok := len(col.wrong[s.File]) == 0
			switch {
			case col.off == "":
				mark := ""
				if !ok {
					mark = " !"
				}
				fmt.Fprintf(out, " %-14s", code(col.seen[s.File])+mark)
			case ok && ran:
				held++
			}
		}
		of := fmt.Sprintf("%d/%d", held, weaker)
		if s.Ours() {
			of = ""
		}
		fmt.Fprintf(out, " %-7s %s\n", of, s.Attack)
	}
}

// printSummary prints what each configuration comes to, the surprises and the
// exceptions, and returns how many surprises there are.
func printSummary(out io.Writer, all []corpus.Snippet, columns []column) (surprises int) {
	fmt.Fprintln(out)
	for _, col := range columns {
		fmt.Fprintf(out, "%-18s %s\n", col.name(), col.summary())
		for _, s := range col.ran {
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

func (col *column) summary() string {
	var held, ran [2]int // of the published ones, and of ours
	for _, s := range col.ran {
		which := 0
		if s.Ours() {
			which = 1
		}
		ran[which]++
		if len(col.wrong[s.File]) == 0 {
			held[which]++
		}
	}
	text := fmt.Sprintf("%d of %d as expected", held[0], ran[0])
	if ran[1] > 0 {
		text += fmt.Sprintf(", %d of %d more of our own", held[1], ran[1])
	}
	text += fmt.Sprintf("; slowest %.1f s (%s)", col.slowest.Seconds(), strings.TrimSuffix(col.slowestOf, ".lua"))
	if len(col.left) == 0 {
		text += "; guard alive, next hook unharmed, nothing left"
	}
	if col.again > 0 {
		text += fmt.Sprintf("; %d run again, the machine was busy", col.again)
	}
	return text
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
