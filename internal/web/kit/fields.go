package kit

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
const maxValueBytes = 16 << 10

// leastBytes of each value are shown, also where a page has no room left.
const leastBytes = 200

// Field is one field of a report or a result: a name and a value fit to be
// shown.
type Field struct {
	Name string
	Text string
	Long bool // gets a box that scrolls
	Wide bool // has lines of its own, which the box must not break
}

// Fields is a table of them, for the template "fields".
type Fields struct {
	Caption string
	Fields  []Field
}

// NewField makes a field fit to be shown.
func NewField(name, text string) Field {
	if len(text) > maxValueBytes {
		text = strings.ToValidUTF8(text[:maxValueBytes], "") + fmt.Sprintf("\n… %s in all", Bytes(int64(len(text))))
	}
	text = looks.Visible(strings.TrimRight(text, "\n"))
	lines := strings.Count(text, "\n")
	return Field{Name: looks.Visible(name), Text: text, Long: len(text) > longBytes || lines >= longLines, Wide: lines >= longLines}
}

// Within cuts values so that all of them together fit into what is left of a
// page's room, and says whether it did.
func Within(fields []Field, left *int) (isCut bool) {
	for i := range fields {
		f := &fields[i]
		if room := max(*left, leastBytes); len(f.Text) > room {
			f.Text, isCut = strings.ToValidUTF8(f.Text[:room], "")+"\n… cut here", true
		}
		*left -= len(f.Text)
	}
	return isCut
}

// ReportFields lists a report with what people look for first on top.
func ReportFields(r hooks.Report) []Field {
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
	out := make([]Field, 0, len(names))
	for _, name := range names {
		out = append(out, NewField(name, r[name]))
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

// NewFields lists a result's fields by name: texts as they are, everything
// else as JSON, indented.
func NewFields(canonical []byte) ([]Field, error) {
	values, names, err := FieldValues(canonical)
	if err != nil {
		return nil, err
	}
	out := make([]Field, 0, len(names))
	for _, name := range names {
		out = append(out, NewField(name, values[name]))
	}
	return out, nil
}

// FieldValues are the values of a result's fields as text, and their names in
// order.
func FieldValues(canonical []byte) (map[string]string, []string, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(canonical, &raw); err != nil {
		return nil, nil, fmt.Errorf("stored fields: %w", err)
	}
	values, names := map[string]string{}, make([]string, 0, len(raw))
	for name, v := range raw {
		text, err := valueText(v)
		if err != nil {
			return nil, nil, fmt.Errorf("stored field %s: %w", name, err)
		}
		values[name], names = text, append(names, name)
	}
	slices.Sort(names)
	return values, names, nil
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
