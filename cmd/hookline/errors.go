package main

import (
	"context"
	"errors"
	"fmt"

	"hookline/internal/errs"

	"github.com/spf13/cobra"
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

// errFailed ends a command that has already shown what went wrong.
var errFailed = errors.New("failed")

func exitCode(err error) int {
	switch {
	case err == nil:
		return exitOK
	case isUsage(err):
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

// showError prints what went wrong in a command and what to do.
func (a *app) showError(c *cobra.Command, err error) {
	if errors.Is(err, errFailed) {
		return
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(a.err, "error: interrupted")
		return
	}
	if isUsage(err) {
		a.showUsage(c, err)
		return
	}
	e, ok := errs.As(err)
	if !ok {
		fmt.Fprintf(a.err, "error: %s\n", safe(err.Error()))
		return
	}
	fmt.Fprintf(a.err, "error: %s [%s]\n", safe(err.Error()), safe(string(e.Code)))
	if hint := hintOf(e); hint != "" {
		fmt.Fprintf(a.err, "hint: %s\n", safe(hint))
	}
}
