package kit

import (
	"encoding/csv"
	"encoding/json"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

// TestJSONInExports holds that a JSON cell comes out of both exports as what
// it was, on one line, with nothing in it that a terminal or browser obeys.
func TestJSONInExports(t *testing.T) {
	for name, raw := range map[string]string{
		"object":  `{"a":1,"b":"two","c":[true,null]}`,
		"spaced":  "{ \"a\" :\n 1 }",
		"formula": `"=HYPERLINK(1)"`,
		"hostile": "{\"a\":\"</script><!-- \u202e \u2028 \u0085 \U000e0041 &\",\"\u200b\":1}",
		"large":   `{"n":123456789012345678901234567890.5}`,
		"broken":  `{"a":`,
	} {
		t.Run(name, func(t *testing.T) {
			cell := JSON([]byte(raw), "brief")
			if cell.Shown() != "brief" {
				t.Errorf("a page shows %q", cell.Shown())
			}
			for _, format := range []string{"csv", "ndjson"} {
				w := httptest.NewRecorder()
				sink := newSink(w, format, []string{"fields"})
				if err := sink.row([]any{cell.value()}); err != nil {
					t.Fatal(err)
				}
				if err := sink.flush(); err != nil {
					t.Fatal(err)
				}
				text := w.Body.String()
				if strings.ContainsAny(text, "<>&\u202e\u2028\u0085\u200b\U000e0041") {
					t.Errorf("%s: %q", format, text)
				}
				compareJSON(t, raw, fieldOf(t, format, text))
			}
		})
	}
}

// fieldOf takes the one value out of an export.
func fieldOf(t *testing.T, format, text string) string {
	t.Helper()
	if format == "csv" {
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil || len(rows) < 1 {
			t.Fatalf("%v in %q", err, text)
		}
		return rows[len(rows)-1][0]
	}
	if strings.Count(text, "\n") != 1 {
		t.Errorf("it is not one line: %q", text)
	}
	var line struct{ Fields json.RawMessage }
	if err := json.Unmarshal([]byte(text), &line); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return string(line.Fields)
}

func compareJSON(t *testing.T, want, got string) {
	t.Helper()
	if !json.Valid([]byte(want)) { // it comes out as a text
		word, err := json.Marshal(want)
		if err != nil || got != want && got != string(word) {
			t.Errorf("%q became %q", want, got)
		}
		return
	}
	var values [2]any
	for i, text := range []string{want, got} {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&values[i]); err != nil {
			t.Fatalf("%v in %q", err, text)
		}
	}
	if !reflect.DeepEqual(values[0], values[1]) {
		t.Errorf("%q became %q", want, got)
	}
}
