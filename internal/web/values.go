package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"hookline/hooks"
	"hookline/internal/looks"
)

// Sizes over which a value gets a box that scrolls.
const (
	longBytes = 400
	longLines = 6
)

// maxValueBytes of one value are shown; the rest is in the API's answer.
const maxValueBytes = 256 << 10

// field is one row: a name and a value fit to be shown.
type field struct {
	Name string
	Text string
	Long bool // gets a box that scrolls
	Wide bool // has lines of its own, which the box must not break
}

type fieldTable struct {
	Caption string
	Fields  []field
}

func newField(name, text string) field {
	if len(text) > maxValueBytes {
		text = strings.ToValidUTF8(text[:maxValueBytes], "") + fmt.Sprintf("\n… %d bytes in all", len(text))
	}
	text = visible(strings.TrimRight(text, "\n"))
	lines := strings.Count(text, "\n")
	return field{Name: visible(name), Text: text, Long: len(text) > longBytes || lines >= longLines, Wide: lines >= longLines}
}

// reportFields lists a report with what people look for first on top.
func reportFields(r hooks.Report) []field {
	names := make([]string, 0, len(r))
	for name := range r {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	out := make([]field, 0, len(names))
	for _, name := range names {
		out = append(out, newField(name, r[name]))
	}
	return out
}

func rank(name string) int {
	first := []string{
		hooks.FieldProblemType, hooks.FieldDate, hooks.FieldPackage, hooks.FieldPackageVersion, hooks.FieldExecutablePath,
		hooks.FieldCommandLine, hooks.FieldSignal, hooks.FieldSignalName, hooks.FieldExitCode, hooks.FieldRelease,
		hooks.FieldKernel, hooks.FieldArchitecture, hooks.FieldUptime,
	}
	if i := slices.Index(first, name); i >= 0 {
		return i
	}
	return len(first)
}

// newFields lists a result's fields by name: texts as they are, everything
// else as JSON, indented.
func newFields(canonical []byte) ([]field, error) {
	var values map[string]json.RawMessage
	if err := json.Unmarshal(canonical, &values); err != nil {
		return nil, fmt.Errorf("stored fields: %w", err)
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	out := make([]field, 0, len(names))
	for _, name := range names {
		text, err := valueText(values[name])
		if err != nil {
			return nil, fmt.Errorf("stored field %s: %w", name, err)
		}
		out = append(out, newField(name, text))
	}
	return out, nil
}

func valueText(raw json.RawMessage) (string, error) {
	if len(raw) > 0 && raw[0] == '"' {
		var text string
		err := json.Unmarshal(raw, &text)
		return text, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return "", err
	}
	return out.String(), nil
}

// visible is text fit to be shown.
func visible(s string) string { return looks.Visible(s) }
