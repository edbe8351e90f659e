package hooks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"hookline/internal/errs"
)

// Fields is what a hook brings back: declared names to values of their
// declared types. Values are string (text), json.Number (int, number), bool,
// []any and map[string]any (json). Canonical gives the one encoding that is
// counted, sent, stored and compared: JSON, keys sorted, no white space.
type Fields map[string]any

// Caps on one json value.
const (
	maxValueDepth = 8
	maxValues     = 100_000 // JSON values in one result
)

// ParseFields reads the canonical JSON of a result and holds it against what
// the statement declares: names, types and the bytes of each field. Bytes that
// Canonical would not give are refused, so one result has one encoding. The
// codes are those of CheckNew; errs.CodeBadInput for what is no result at all.
func ParseFields(b []byte, declared []DeclaredField) (Fields, error) {
	if len(b) > MaxResultBytes {
		return nil, errs.New(errs.CodeResultTooBig, "the result is larger than %d bytes", MaxResultBytes)
	}
	if err := scanJSON(b, maxValueDepth+1, maxValues); err != nil {
		return nil, errs.Wrap(errs.CodeBadInput, err, "cannot read the result")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var f Fields
	if err := dec.Decode(&f); err != nil || f == nil {
		return nil, errs.New(errs.CodeBadInput, "a result must be a JSON object of fields")
	}
	if err := f.check(declared); err != nil {
		return nil, err
	}
	again, err := f.Canonical()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, b) {
		return nil, errs.New(errs.CodeBadInput, "the result is not in its canonical form")
	}
	return f, nil
}

// Canonical is the JSON of f with sorted keys and no white space. Go integers
// and floats are taken as well as json.Number. A value of another type, text
// that is not UTF-8, or a number out of range is errs.CodeResultFieldType; a
// result over MaxResultBytes errs.CodeResultTooBig.
func (f Fields) Canonical() ([]byte, error) {
	clean := make(map[string]any, len(f))
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if problem := checkFieldName(name); problem != "" {
			return nil, errs.New(errs.CodeResultUndeclared, "the field name %s", problem).At(clip(name))
		}
		v, err := normal(f[name], 1)
		if err != nil {
			return nil, errs.Wrap(errs.CodeResultFieldType, err, "the value cannot be encoded").At(name)
		}
		clean[name] = v
	}
	b, err := canonicalJSON(clean)
	if err != nil {
		return nil, errs.Wrap(errs.CodeResultFieldType, err, "cannot encode the result")
	}
	if len(b) > MaxResultBytes {
		return nil, errs.New(errs.CodeResultTooBig, "the result is larger than %d bytes", MaxResultBytes)
	}
	return b, nil
}

// check holds names, types and sizes against the declarations.
func (f Fields) check(declared []DeclaredField) error {
	byName := make(map[string]DeclaredField, len(declared))
	for _, d := range declared {
		byName[d.Name] = d
	}
	for _, name := range slices.Sorted(maps.Keys(f)) {
		d, ok := byName[name]
		if !ok {
			return errs.New(errs.CodeResultUndeclared, "the manifest does not declare this field").At(clip(name)).
				WithHint("declare it under fields in hook.yaml")
		}
		if err := d.CheckValue(f[name]); err != nil {
			return err
		}
	}
	return nil
}

// CheckNew holds a result against the signed predicate and the original
// report: only declared fields (errs.CodeResultUndeclared) that the original
// does not have (errs.CodeResultFieldExists), of their types
// (errs.CodeResultFieldType) and within the bytes of each and of the whole
// (errs.CodeResultTooBig).
func CheckNew(f Fields, p Predicate, original Report) error {
	if err := f.check(p.Fields); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if _, ok := original[name]; ok {
			return errs.New(errs.CodeResultFieldExists, "the original report already has this field").At(name).
				WithHint("a hook may only add fields; choose another name")
		}
	}
	b, err := f.Canonical()
	if err != nil {
		return err
	}
	if int64(len(b)) > p.MaxResultBytes {
		return errs.New(errs.CodeResultTooBig, "the result has %d bytes, max_result_bytes is %d", len(b), p.MaxResultBytes)
	}
	return nil
}

// CheckValue holds one value against the declaration: errs.CodeResultFieldType
// or errs.CodeResultTooBig, with the field's name.
func (d DeclaredField) CheckValue(v any) error {
	clean, err := normal(v, 1)
	if err != nil {
		return errs.Wrap(errs.CodeResultFieldType, err, "the value does not fit the declared type %s", d.Type).At(d.Name)
	}
	if !d.Type.holds(clean) {
		return errs.New(errs.CodeResultFieldType, "the declared type is %s, the value is %s", d.Type, kindOf(clean)).At(d.Name)
	}
	b, err := canonicalJSON(clean)
	if err != nil {
		return errs.Wrap(errs.CodeResultFieldType, err, "the value cannot be encoded").At(d.Name)
	}
	if int64(len(b)) > d.MaxBytes {
		return errs.New(errs.CodeResultTooBig, "the value has %d bytes, max_bytes is %d", len(b), d.MaxBytes).At(d.Name)
	}
	return nil
}

// holds reports whether a normal value is of the type.
func (t FieldType) holds(v any) bool {
	switch v := v.(type) {
	case string:
		return t == TypeText
	case bool:
		return t == TypeBool
	case json.Number:
		return t == TypeNumber || t == TypeInt && isInteger(v)
	case []any, map[string]any:
		return t == TypeJSON
	}
	return false
}

func kindOf(v any) string {
	switch v := v.(type) {
	case string:
		return "text"
	case bool:
		return "a bool"
	case json.Number:
		return "the number " + clip(v.String())
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	}
	return fmt.Sprintf("a %T", v)
}
