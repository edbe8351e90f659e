package archive

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Caps on the fields of a record.
const (
	maxFields  = 1000    // names in data, known and unknown
	maxValues  = 1 << 18 // in data: a report's fields, an activation's leases
	maxNesting = 128     // of what is not known
)

// stamp is a time in an archive: UTC with milliseconds, null for none.
type stamp time.Time

const stampLayout = "2006-01-02T15:04:05.000Z"

// MarshalJSON leaves out what stores do not keep: zones and microseconds.
// The first millisecond of 1970 is how they write "none".
func (s stamp) MarshalJSON() ([]byte, error) {
	t := time.Time(s).UTC()
	if t.IsZero() || t.UnixMilli() == 0 {
		return []byte("null"), nil
	}
	if y := t.Year(); y < 1 || y > 9999 {
		return nil, fmt.Errorf("the year %d has no form", y)
	}
	return []byte(`"` + t.Format(stampLayout) + `"`), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *stamp) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*s = stamp{}
		return nil
	}
	text, ok := strings.CutPrefix(string(b), `"`)
	text, closed := strings.CutSuffix(text, `"`)
	t, err := time.Parse(stampLayout, text)
	if !ok || !closed || err != nil {
		return fmt.Errorf("no time of the form %s", stampLayout)
	}
	*s = stamp(t)
	return nil
}

// later marks members that the first archives did not have: they are written
// only where they say something, so that what had none keeps its one form.
func later(v reflect.Value, i int) bool { return v.Type().Field(i).Tag.Get("archive") == "later" }

// writeFields adds the members of a struct, each under the name in its tag.
func writeFields(data any, to Extra) error {
	v := reflect.ValueOf(data).Elem()
	for i := range v.NumField() {
		if later(v, i) && v.Field(i).IsZero() {
			continue
		}
		if !validText(v.Field(i)) {
			return fmt.Errorf("%s is not UTF-8", fieldName(v, i))
		}
		raw, err := plainJSON(v.Field(i).Interface())
		if err != nil {
			return fmt.Errorf("%s: %w", fieldName(v, i), err)
		}
		to[fieldName(v, i)] = raw
	}
	return nil
}

// readFields takes the members of a struct out of from; what is left there is
// not known. encoding/json would take "ID" for "id" too.
func readFields(from Extra, data any) error {
	v := reflect.ValueOf(data).Elem()
	for i := range v.NumField() {
		name := fieldName(v, i)
		raw, ok := from[name]
		if !ok && later(v, i) {
			continue
		}
		if !ok {
			return fmt.Errorf("the field %s is missing", name)
		}
		if err := json.Unmarshal(raw, v.Field(i).Addr().Interface()); err != nil {
			return fmt.Errorf("the field %s: %w", name, plainCause(err))
		}
		delete(from, name)
	}
	return nil
}

// plainCause leaves out the names of our types.
func plainCause(err error) error {
	switch e := err.(type) { //nolint:errorlint // of encoding/json, unwrapped
	case *json.UnmarshalTypeError:
		return fmt.Errorf("it cannot be a %s", e.Value)
	case *json.MarshalerError:
		return e.Err
	}
	return err
}

func fieldName(v reflect.Value, i int) string { return v.Type().Field(i).Tag.Get("json") }

// validText reports whether all text in v is UTF-8, which JSON asks for.
func validText(v reflect.Value) bool {
	switch v.Kind() { //nolint:exhaustive // nothing else holds text
	case reflect.String:
		return utf8.ValidString(v.String())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return true
		}
		for i := range v.Len() {
			if !validText(v.Index(i)) {
				return false
			}
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			if !validText(key) || !validText(v.MapIndex(key)) {
				return false
			}
		}
	}
	return true
}

// joined is the one form of the data of a record.
func (e Extra) joined() []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, name := range slices.Sorted(maps.Keys(e)) {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := plainJSON(name)
		if err != nil {
			key = []byte(`""`) // text has a JSON form
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(e[name])
	}
	b.WriteByte('}')
	return b.Bytes()
}

// splitData takes the data of a record apart. A name that comes twice is lost
// here, and the record has not its one form.
func splitData(data []byte) (Extra, error) {
	if len(data) == 0 || data[0] != '{' {
		return nil, fmt.Errorf("data is no object")
	}
	if err := measure(data); err != nil {
		return nil, err
	}
	var all Extra
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, err
	}
	if len(all) > maxFields {
		return nil, fmt.Errorf("data has more than %d fields", maxFields)
	}
	return all, nil
}

// canonical gives a JSON value its one form; numbers stay as they are written.
func canonical(raw []byte) (json.RawMessage, error) {
	if err := measure(raw); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	return plainJSON(v)
}

// measure refuses text that is nested deeper, or holds more values, than any
// record needs, before anything is built from it.
func measure(b []byte) error {
	level, values, quoted := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch {
		case quoted && b[i] == '\\':
			i++
		case b[i] == '"':
			quoted = !quoted
		case quoted:
		case b[i] == '{' || b[i] == '[':
			level++
			values++
		case b[i] == '}' || b[i] == ']':
			level--
		case b[i] == ',':
			values++
		}
		if level > maxNesting || values > maxValues {
			return fmt.Errorf("it is nested deeper than %d or has more than %d values", maxNesting, maxValues)
		}
	}
	return nil
}

// plainJSON is encoding/json without HTML escaping and without the newline at
// its end.
func plainJSON(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, plainCause(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
