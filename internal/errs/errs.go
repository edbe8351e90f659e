// Package errs holds the coded errors that reach people.
//
// An Error carries a kebab-case code from the one list in codes.go (shown in
// docs/refusals.md), a sentence, and a hint that says what to do. Every edge
// (REST, gRPC, CLI, the peer's record) shows coded errors as they are; any
// other error is "internal error" outside and whole in the log.
package errs

import (
	"errors"
	"fmt"
	"log/slog"
)

// Kind groups codes by how an edge must answer; REST maps it to a status.
type Kind string

// The kinds, each with the HTTP status that it maps to.
const (
	Invalid         Kind = "invalid"         // 422
	Unauthenticated Kind = "unauthenticated" // 401
	Forbidden       Kind = "forbidden"       // 403
	NotFound        Kind = "not-found"       // 404
	Conflict        Kind = "conflict"        // 409
	TooLarge        Kind = "too-large"       // 413
	TooMany         Kind = "too-many"        // 429
	Unavailable     Kind = "unavailable"     // 503
	Internal        Kind = "internal"        // 500
)

// Error is a coded error. Field names the offending input where there is one
// ("limits.max_reports", "hook.yaml:7:3"). Detail is for the log alone: what
// those who are answered need not know, such as a path of the server's.
type Error struct {
	Code    Code
	Message string
	Field   string
	Hint    string
	Detail  string
	Err     error
}

// New returns a coded error: "cannot …" or a plain statement of the refusal.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap is New with a cause, which Error prints after the message.
func Wrap(code Code, err error, format string, args ...any) *Error {
	e := New(code, format, args...)
	e.Err = err
	return e
}

// At returns a copy that names the offending field.
func (e *Error) At(field string) *Error {
	c := *e
	c.Field = field
	return &c
}

// WithHint returns a copy that says what to do.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// WithDetail returns a copy that tells the log more.
func (e *Error) WithDetail(format string, args ...any) *Error {
	c := *e
	c.Detail = fmt.Sprintf(format, args...)
	return &c
}

// LogValue is what a log shows: the error with the details of its whole chain.
func (e *Error) LogValue() slog.Value {
	s := e.Error()
	for next, ok := e, true; ok; next, ok = As(next.Err) {
		if next.Detail != "" {
			s += " (" + next.Detail + ")"
		}
	}
	return slog.StringValue(s)
}

// Error prints field, message and cause on one line, without code and hint.
func (e *Error) Error() string {
	s := e.Message
	if e.Field != "" {
		s = e.Field + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Kind is the code's kind.
func (e *Error) Kind() Kind { return e.Code.Kind() }

// As returns the first coded error in err's chain.
func As(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}

// CodeOf returns the code of err, CodeInternal for an uncoded error and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := As(err); ok {
		return e.Code
	}
	return CodeInternal
}

// Is reports whether err carries the code.
func Is(err error, code Code) bool { return err != nil && CodeOf(err) == code }

// Away reports whether err is that of a store which cannot be used now. Whether
// it did what it was asked, nobody knows.
func Away(err error) bool { return Is(err, CodeUnavailable) || Is(err, CodeStorageFull) }
