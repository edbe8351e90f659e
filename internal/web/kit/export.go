package kit

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"hookline/internal/errs"
	"hookline/internal/looks"
)

// exportStep is how long one step of an export may take.
const exportStep = 30 * time.Second

// export writes all that a table's filters leave, row by row, as the store
// gives it. A client that reads it to the end has all of it: where something
// fails in the middle, or the person may not read on, the connection is cut.
func export[T any](t Table[T], format string) Answer {
	return Raw(func(w http.ResponseWriter, r *Request) error {
		leave, err := r.kit.exporting.enter(r.Who.User)
		if err != nil {
			return err
		}
		defer leave()
		first, err := t.Fetch(r.Context(), "", fetchRows)
		if err != nil {
			return err
		}
		name := strings.Map(func(c rune) rune {
			if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
				return c
			}
			return '-'
		}, strings.ToLower(t.Name))
		kind := map[string]string{"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}[format]
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Content-Disposition", `attachment; filename="hookline-`+name+"-"+r.Now().UTC().Format("20060102T150405Z")+"."+format+`"`)
		out := newSink(w, format, t.names())
		pause := func() error {
			if err := out.flush(); err != nil {
				return err
			}
			return r.still()
		}
		if err := t.all(r.Context(), first, func(row T) error { return out.row(t.values(row)) }, pause); err != nil {
			r.kit.Log.WarnContext(r.Context(), "an export broke off", "page", r.route.Path, "error", err)
			panic(http.ErrAbortHandler) // so that nobody takes a part for the whole
		}
		return nil
	})
}

// still asks anew whether the person may read the page: an export outlasts
// sessions, roles and accounts.
func (r *Request) still() error {
	who, err := r.kit.Door.Still(r.Request)
	if err != nil {
		return err
	}
	if who.User != r.Who.User {
		return errs.New(errs.CodeUnauthenticated, "somebody else is signed in now")
	}
	r.Who = who
	if r.route.Access.kind != "reads" {
		return nil
	}
	return r.kit.Gate.Allow(who, r.route.Access.perm)
}

// all walks the list from its first rows to its end.
func (t Table[T]) all(ctx context.Context, rows []T, take func(T) error, pause func() error) error {
	for {
		for _, one := range rows {
			if t.Keep != nil {
				if keep, err := t.Keep(ctx, one); err != nil {
					return err
				} else if !keep {
					continue
				}
			}
			if err := take(one); err != nil {
				return err
			}
		}
		if err := pause(); err != nil || len(rows) < fetchRows {
			return err
		}
		var err error
		if rows, err = t.Fetch(ctx, t.Cursor(rows[len(rows)-1]), fetchRows); err != nil {
			return err
		}
	}
}

func (t Table[T]) names() []string {
	var names []string
	for _, c := range t.Columns {
		names = append(names, c.Name)
	}
	return names
}

func (t Table[T]) values(one T) []any {
	var values []any
	for _, c := range t.Columns {
		values = append(values, c.Cell(one).value())
	}
	return values
}

// sink writes rows in one format.
type sink struct {
	names   []string
	control *http.ResponseController
	csv     *csv.Writer // nil is NDJSON
	w       http.ResponseWriter
}

func newSink(w http.ResponseWriter, format string, names []string) *sink {
	s := &sink{names: names, control: http.NewResponseController(w), w: w}
	if format == "csv" {
		s.csv = csv.NewWriter(w)
		_ = s.csv.Write(names) // kept by the writer until the next flush
	}
	return s
}

func (s *sink) row(values []any) error {
	if s.csv != nil {
		words := make([]string, len(values))
		for i, v := range values {
			words[i] = csvWord(v)
		}
		return s.csv.Write(words)
	}
	return s.ndjson(values)
}

func (s *sink) ndjson(values []any) error {
	var line strings.Builder
	line.WriteByte('{')
	for i, v := range values {
		if i > 0 {
			line.WriteByte(',')
		}
		line.Write(jsonWord(s.names[i]))
		line.WriteByte(':')
		line.Write(jsonValue(v))
	}
	line.WriteString("}\n")
	_, err := s.w.Write([]byte(line.String()))
	return err
}

// flush sends what is there, and gives the next step its time.
func (s *sink) flush() error {
	if s.csv != nil {
		s.csv.Flush()
		if err := s.csv.Error(); err != nil {
			return err
		}
	}
	_ = s.control.SetWriteDeadline(time.Now().Add(exportStep)) // a test's recorder has none
	_ = s.control.Flush()                                      // see above
	return nil
}

// csvWord is a value as a cell of a spreadsheet: text with nothing hidden in
// it, and never a formula (OWASP, "CSV Injection").
func csvWord(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case int64:
		return strconv.FormatInt(v, 10)
	case string:
		return noFormula(looks.Visible(v), true, func(out *strings.Builder, r rune) {
			out.WriteByte('\'')
			out.WriteRune(r)
		})
	case json.RawMessage: // a semicolon is in a word of it, where an escape says the same
		return noFormula(string(jsonText(v)), false, writeEscape)
	}
	return fmt.Sprint(v)
}

// noFormula writes what would begin a formula in another way: where a cell
// begins, and where the cell ends for spreadsheets of countries that write a
// semicolon between cells: quotes hold for them only where a cell begins.
func noFormula(s string, first bool, write func(out *strings.Builder, r rune)) string {
	var out strings.Builder
	begins := first
	for i, r := range s {
		if begins && (strings.ContainsRune("=+-@＝＋－＠", r) || i == 0 && (r == '\t' || r == '\n')) {
			write(&out, r)
		} else {
			out.WriteRune(r)
		}
		begins = r == ';' || r == '\n' || r == '\t'
	}
	return out.String()
}

func jsonValue(v any) []byte {
	switch v := v.(type) {
	case string:
		return jsonWord(v)
	case json.RawMessage:
		return jsonText(v)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return []byte("null")
	}
	return b
}

// jsonWord is a text in JSON, exact, with what would hide or reorder it
// written as an escape.
func jsonWord(s string) []byte {
	var out strings.Builder
	out.WriteByte('"')
	for _, r := range strings.ToValidUTF8(s, "\ufffd") {
		switch {
		case r == '"' || r == '\\':
			out.WriteByte('\\')
			out.WriteRune(r)
		case r == '\n':
			out.WriteString(`\n`)
		case r == '\t':
			out.WriteString(`\t`)
		case r == '<' || r == '>' || r == '&' || r != ' ' && !unicode.IsGraphic(r):
			writeEscape(&out, r)
		default:
			out.WriteRune(r)
		}
	}
	out.WriteByte('"')
	return []byte(out.String())
}

// jsonText is valid JSON on one line, with what would hide or reorder it written
// as an escape; outside of its words there is nothing to escape.
func jsonText(raw json.RawMessage) []byte {
	var line bytes.Buffer
	if err := json.Compact(&line, raw); err != nil {
		return []byte("null")
	}
	var out strings.Builder
	for _, r := range string(bytes.ToValidUTF8(line.Bytes(), []byte("\ufffd"))) {
		if r == '<' || r == '>' || r == '&' || r != ' ' && !unicode.IsGraphic(r) {
			writeEscape(&out, r)
			continue
		}
		out.WriteRune(r)
	}
	return []byte(out.String())
}

func writeEscape(out *strings.Builder, r rune) {
	if r > 0xffff {
		r -= 0x10000
		fmt.Fprintf(out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		return
	}
	fmt.Fprintf(out, `\u%04x`, r)
}
