package calls

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/redact"
)

// newField makes a field's value from the JSON that a worker gave: redacted
// unless the field is signed raw, in canonical form, of the declared type and
// size. size is what it adds to the canonical result, comma included.
func newField(raw []byte, d hooks.DeclaredField, r *redact.Redactor) (value any, size int, err *Error) {
	if !utf8.Valid(raw) {
		return nil, 0, &Error{Code: errs.CodeResultFieldType, Message: "the value is not UTF-8"}
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if jerr := dec.Decode(&v); jerr != nil || dec.InputOffset() != int64(len(raw)) {
		return nil, 0, &Error{Code: errs.CodeResultFieldType, Message: "the value is not JSON"}
	}
	if !d.Raw {
		v = redacted(v, r)
	}
	text, cerr := hooks.Fields{d.Name: v}.Canonical()
	if cerr != nil {
		return nil, 0, fieldError(cerr)
	}
	fields, cerr := hooks.ParseFields(text, []hooks.DeclaredField{d})
	if cerr != nil {
		return nil, 0, fieldError(cerr)
	}
	return fields[d.Name], len(text) - len("{}") + len(","), nil
}

// fieldError is a domain error about a field, as the hook hears it.
func fieldError(err error) *Error {
	coded, ok := errs.As(err)
	if !ok {
		return &Error{Code: errs.CodeResultFieldType, Message: "the value is not of its type"}
	}
	message := coded.Message
	if coded.Err != nil {
		message += ": " + coded.Err.Error()
	}
	switch coded.Code {
	case errs.CodeResultTooBig:
		return &Error{Code: errs.CodeLimitResult, Message: message}
	case errs.CodeResultFieldType, errs.CodeResultUndeclared:
		return &Error{Code: coded.Code, Message: message}
	}
	return &Error{Code: errs.CodeResultFieldType, Message: message}
}

// redacted returns v with every text in it redacted, keys of objects
// included. Where two keys become one, the value of the later key stays.
func redacted(v any, r *redact.Redactor) any {
	switch v := v.(type) {
	case string:
		return r.Text(v)
	case []any:
		for i := range v {
			v[i] = redacted(v[i], r)
		}
		return v
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, k := range sortedKeys(v) {
			out[r.Text(k)] = redacted(v[k], r)
		}
		return out
	}
	return v
}
