package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"hookline/internal/errs"
)

// Exit codes that scripts can use.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitNotAllowed  = 4
	exitUnavailable = 5
)

// usageError is a command line that hookline does not understand.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usage(err error) error { return usageError{err} }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errFailed ends a command that has already shown what went wrong.
var errFailed = errors.New("failed")

func exitCode(err error) int {
	var u usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &u), isCobraUsage(err):
		return exitUsage
	}
	e, ok := errs.As(err)
	if !ok {
		return exitFailed
	}
	switch e.Kind() {
	case errs.NotFound:
		return exitNotFound
	case errs.Forbidden, errs.Unauthenticated:
		return exitNotAllowed
	case errs.Unavailable, errs.TooMany:
		return exitUnavailable
	}
	return exitFailed
}

// isCobraUsage knows the errors that cobra makes itself, without a type.
func isCobraUsage(err error) bool {
	text := err.Error()
	return strings.HasPrefix(text, "unknown command ") || strings.HasPrefix(text, "required flag(s) ") ||
		strings.HasPrefix(text, "if any flags in the group ") || strings.HasPrefix(text, "at least one of the flags ")
}

// showError prints what went wrong and what to do.
func (a *app) showError(err error) {
	if errors.Is(err, errFailed) {
		return
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(a.err, "error: interrupted")
		return
	}
	e, ok := errs.As(err)
	if !ok {
		fmt.Fprintf(a.err, "error: %s\n", safe(err.Error()))
		if exitCode(err) == exitUsage {
			fmt.Fprintln(a.err, "hint: see hookline --help")
		}
		return
	}
	fmt.Fprintf(a.err, "error: %s [%s]\n", safe(err.Error()), safe(string(e.Code)))
	if hint := hintOf(e); hint != "" {
		fmt.Fprintf(a.err, "hint: %s\n", safe(hint))
	}
}

// hintOf is the error's own hint or the remedy that the list of codes gives.
func hintOf(e *errs.Error) string {
	if e.Hint != "" {
		return e.Hint
	}
	for _, info := range errs.Table() {
		if info.Code == e.Code {
			return info.Remedy
		}
	}
	return ""
}
