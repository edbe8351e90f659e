package calls

import (
	"encoding/json"
	"fmt"
	"strings"

	"hookline/hooks"
	"hookline/internal/errs"
)

// set takes one new field, after every check that the peer makes on results.
func (s *session) set(name string, raw []byte) *Error {
	i := declared(s.task.Predicate.Fields, name)
	if i < 0 {
		return &Error{Code: errs.CodeResultUndeclared, Message: "no such field is declared"}
	}
	if _, ok := s.task.Report[name]; ok {
		return &Error{Code: errs.CodeResultFieldExists, Message: "the original has this field already"}
	}
	value, size, err := newField(raw, s.task.Predicate.Fields[i], s.redact)
	if err != nil {
		return err
	}
	// {} around all fields, and one comma less than fields.
	total := s.total - s.sizes[name] + size
	if int64(total)+1 > s.task.Predicate.MaxResultBytes {
		return &Error{Code: errs.CodeLimitResult, Message: fmt.Sprintf("the fields are larger than max_result_bytes, %d", s.task.Predicate.MaxResultBytes)}
	}
	s.total, s.sizes[name], s.fields[name] = total, size, value
	return nil
}

func declared(fields []hooks.DeclaredField, name string) int {
	for i := range fields {
		if fields[i].Name == name {
			return i
		}
	}
	return -1
}

// encode is the canonical JSON of the domain: no HTML escaping, sorted keys.
func encode(v any) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}
