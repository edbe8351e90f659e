package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"hookline/internal/cli"
	"hookline/internal/errs"

	"go.yaml.in/yaml/v3"
)

const (
	outputTable = "table"
	outputJSON  = "json"
	outputYAML  = "yaml"
)

func checkOutput(format string) error {
	switch format {
	case outputTable, outputJSON, outputYAML:
		return nil
	}
	return cli.Usagef("unknown output %q: table, json or yaml", format)
}

// show prints v as json or yaml, or calls table for people.
func (a *app) show(v any, table func()) error {
	switch a.output {
	case outputJSON:
		return a.showJSON(v)
	case outputYAML:
		return a.showYAML(v)
	}
	table()
	return nil
}

func (a *app) showJSON(v any) error {
	b, err := encodeJSON(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "%s\n", cli.EscapeJSON(b))
	return err
}

func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, errs.Wrap(errs.CodeInternal, err, "cannot print the answer")
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func yamlEscape(r rune) string { return fmt.Sprintf(`\U%08x`, r) }

// showYAML prints the JSON form as YAML, which keeps order and names.
func (a *app) showYAML(v any) error {
	b, err := encodeJSON(v)
	if err != nil {
		return err
	}
	b = cli.EscapeWith(b, yamlEscape) // YAML knows no pairs of escapes
	var node yaml.Node
	if err := yaml.Unmarshal(b, &node); err != nil {
		return errs.Wrap(errs.CodeInternal, err, "cannot print the answer")
	}
	blockStyle(&node)
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&node); err != nil {
		return errs.Wrap(errs.CodeInternal, err, "cannot print the answer")
	}
	_, err = a.out.Write(cli.EscapeWith(out.Bytes(), yamlEscape))
	return err
}

// blockStyle lets the encoder choose its style again, but keeps in double
// quotes the strings with dangerous characters, where an escape means the
// character, and the words that older readers take for bools.
func blockStyle(n *yaml.Node) {
	n.Style = 0
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && (strings.ContainsFunc(n.Value, func(r rune) bool { return cli.Dangerous(r) && r != '\n' }) || oldBool(n.Value)) {
		n.Style = yaml.DoubleQuotedStyle
	}
	for _, c := range n.Content {
		blockStyle(c)
	}
}

func oldBool(s string) bool {
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off":
		return true
	}
	return false
}

// safe makes text harmless on one line of a terminal.
func safe(s string) string { return cli.Safe(s) }

// safeLines is safe that keeps line breaks and tabs.
func safeLines(s string) string { return cli.SafeLines(s) }

// clip shortens a table cell to n characters.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// short is the start of a digest: enough to name a version by.
func short(digest string) string { return digest[:min(len(digest), 16)] }

// table prints rows in columns; the first row is the header. Cells are made
// harmless here, once.
func (a *app) table(rows [][]string) {
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 8, 2, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, c := range row {
			cells[i] = safe(c)
		}
		fmt.Fprintln(w, strings.Join(cells, "\t")) // an empty last cell too, else its column breaks
	}
	if err := w.Flush(); err != nil {
		fmt.Fprintf(a.err, "error: cannot print: %v\n", err)
	}
	for line := range strings.Lines(out.String()) {
		fmt.Fprintln(a.out, strings.TrimRight(line, " \n"))
	}
}

// list is table that says so when there is nothing below the header.
func (a *app) list(rows [][]string, none string) {
	a.table(rows)
	if len(rows) == 1 {
		fmt.Fprintln(a.err, none)
	}
}

// pairs prints names and values in two columns, leaving out empty values.
func (a *app) pairs(rows ...[2]string) {
	var kept [][]string
	for _, r := range rows {
		if r[1] != "" {
			kept = append(kept, []string{r[0] + ":", r[1]})
		}
	}
	a.table(kept)
}

// section prints an empty line and a title.
func (a *app) section(title string) { fmt.Fprintf(a.out, "\n%s\n", title) }

// more tells how to get the next page.
func (a *app) more(next string) {
	if next != "" {
		fmt.Fprintf(a.err, "more: --after %s\n", safe(next))
	}
}

func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

func clockOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return clock(*t)
}
