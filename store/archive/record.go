package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"hookline/internal/errs"
)

// MaxLine is the longest line of an archive in bytes. A report has at most one
// megabyte, a version as much as its signature files.
const MaxLine = 24 << 20

// maxKey is the longest key in bytes, and maxKind the longest kind.
const (
	maxKey  = 1024
	maxKind = 40
)

// Same refuses a record where a store has another one under its key:
// errs.CodeConflict.
func Same(r, have Record) error {
	line, err := Line(r)
	if err != nil {
		return err
	}
	there, err := Line(have)
	if err == nil && !bytes.Equal(line, there) {
		return Contradicts(r, "the store has another one")
	}
	return err
}

// Contradicts refuses a record that a store cannot take beside what it has.
func Contradicts(r Record, why string) *errs.Error {
	return errs.New(errs.CodeConflict, "cannot import %s %q: %s", r.Kind, clip(r.Key), why).
		WithHint("two stores can be merged only where they do not contradict each other")
}

// Line is the one form of a record, with its newline. Two records are the same
// if their lines are. What a reader would not take has none.
func Line(r Record) ([]byte, error) {
	if !utf8.ValidString(r.Key) {
		return nil, fmt.Errorf("%s %q: its key is not UTF-8", r.Kind, clip(r.Key))
	}
	data, err := dataOf(r)
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", r.Kind, clip(r.Key), err)
	}
	kind, err := plainJSON(r.Kind)
	if err != nil {
		return nil, err
	}
	key, err := plainJSON(r.Key)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"kind":%s,"key":%s,"data":%s}`, kind, key, data)
	b.WriteByte('\n')
	if b.Len() > MaxLine {
		return nil, fmt.Errorf("%s %q: it has %d bytes, at most %d", r.Kind, clip(r.Key), b.Len(), MaxLine)
	}
	return b.Bytes(), nil
}

func dataOf(r Record) ([]byte, error) {
	if raw, ok := r.Value.(Foreign); ok {
		return raw, raw.check(r.Kind)
	}
	f, ok := formFor(r.Kind)
	if !ok {
		return nil, errors.New("there is no such kind")
	}
	data, err := f.write(r)
	if err != nil {
		return nil, err
	}
	fields := make(Extra, len(r.Extra)+16)
	if err := writeFields(data, fields); err != nil {
		return nil, err
	}
	for name, raw := range r.Extra {
		if _, taken := fields[name]; taken {
			return nil, fmt.Errorf("the unknown field %q has the name of a known one", clip(name))
		}
		if fields[name], err = canonical(raw); err != nil {
			return nil, fmt.Errorf("the field %q: %w", clip(name), err)
		}
	}
	if len(fields) > maxFields {
		return nil, fmt.Errorf("it has more than %d fields", maxFields)
	}
	joined := fields.joined()
	return joined, measure(joined)
}

// check refuses data that no archive could hold: a store may be damaged.
func (f Foreign) check(k Kind) error {
	if !k.foreign() {
		return errors.New("no kind that is not known has this name")
	}
	if own, err := canonical(json.RawMessage(f)); err != nil || !bytes.Equal(own, f) || f[0] != '{' {
		return errors.New("its data is not an object in its one form")
	}
	return nil
}

// line is what any line of an archive may say.
type line struct {
	Format  *string         `json:"format"`
	Version *int64          `json:"version"`
	Kind    *Kind           `json:"kind"`
	Key     *string         `json:"key"`
	Data    json.RawMessage `json:"data"`
	Count   *int64          `json:"count"`
	Total   *int64          `json:"total"`
	SHA256  *string         `json:"sha256"`
}

// record reads the record in a line, which must be in its one form.
func (l line) record(text []byte) (Record, error) {
	r := Record{Kind: *l.Kind, Key: *l.Key}
	if r.Key == "" || len(r.Key) > maxKey {
		return r, fmt.Errorf("a key has 1 to %d bytes", maxKey)
	}
	fields, err := splitData(l.Data)
	if err != nil {
		return r, err
	}
	if f, known := formFor(r.Kind); !known {
		raw, err := canonical(l.Data)
		if err != nil {
			return r, err
		}
		r.Value = Foreign(raw)
	} else if r.Value, err = f.read(r.Key, fields); err != nil {
		return r, err
	} else if len(fields) > 0 {
		r.Extra = fields
	}
	return r, r.sameAs(text)
}

// sameAs refuses a record that is written in another way than ours: with keys
// that come twice, in another order, with other escapes, with fields in places
// where this version cannot keep them.
func (r Record) sameAs(text []byte) error {
	own, err := Line(r)
	if err != nil {
		return err
	}
	if !bytes.Equal(own, text) {
		at := 0
		for at < min(len(own), len(text)) && own[at] == text[at] {
			at++
		}
		return fmt.Errorf("it is not in the one form of a record from byte %d on: a key twice, another order or spelling, or an unknown field inside a list", at+1)
	}
	return nil
}

// foreign reports whether a kind that is not known has a name that one may have.
func (k Kind) foreign() bool {
	if _, known := formFor(k); known || k == "" || len(k) > maxKind {
		return false
	}
	for i := range len(k) {
		if c := k[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// clip keeps hostile values from filling a message.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
