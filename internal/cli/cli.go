// Package cli is what the programs that people type have in common: exit
// codes, the words about a wrong command line, and how an error is shown.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"hookline/internal/errs"

	"github.com/spf13/cobra"
)

// Exit codes that scripts can use.
const (
	ExitOK          = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitNotFound    = 3
	ExitNotAllowed  = 4
	ExitUnavailable = 5
)

// ErrFailed ends a command that has already shown what went wrong.
var ErrFailed = errors.New("failed")

// ended is the exit code of another program.
type ended int

func (e ended) Error() string { return fmt.Sprintf("ended with exit code %d", int(e)) }

// Ended ends a command as another program has ended that it ran, which has
// shown what went wrong. A program that was killed has no exit code of its own:
// ExitFailed.
func Ended(code int) error {
	if code <= ExitOK {
		code = ExitFailed
	}
	return ended(code)
}

// ExitCode is the exit code that an error ends a program with.
func ExitCode(err error) int {
	switch {
	case err == nil:
		return ExitOK
	case IsUsage(err):
		return ExitUsage
	}
	if other := ended(0); errors.As(err, &other) {
		return int(other)
	}
	e, ok := errs.As(err)
	if !ok {
		return ExitFailed
	}
	switch e.Kind() {
	case errs.NotFound:
		return ExitNotFound
	case errs.Forbidden, errs.Unauthenticated:
		return ExitNotAllowed
	case errs.Unavailable, errs.TooMany:
		return ExitUnavailable
	}
	return ExitFailed
}

// ShowFailure prints what went wrong in command c and what to do: a wrong
// command line with its right form, all else as ShowError does.
func ShowFailure(w io.Writer, c *cobra.Command, err error, hint func(*errs.Error) string) {
	if IsUsage(err) {
		showUsage(w, c, err)
		return
	}
	ShowError(w, err, hint)
}

// ShowError prints an error with its code and a hint; Hint is the usual one.
func ShowError(w io.Writer, err error, hint func(*errs.Error) string) {
	if errors.Is(err, ErrFailed) || errors.As(err, new(ended)) {
		return
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(w, "error: interrupted")
		return
	}
	e, ok := errs.As(err)
	if !ok {
		fmt.Fprintf(w, "error: %s\n", Safe(err.Error()))
		return
	}
	fmt.Fprintf(w, "error: %s [%s]\n", Safe(err.Error()), Safe(string(e.Code)))
	if text := Advice(hint(e)); text != "" {
		fmt.Fprintf(w, "hint: %s\n", Safe(text))
	}
}

// Advice is a hint or remedy that says what to do; "" for one that says that
// there is nothing to do: "None: a job is never retried by itself."
func Advice(text string) string {
	if word := strings.ToLower(text); word == "none" || strings.HasPrefix(word, "none:") || strings.HasPrefix(word, "none.") {
		return ""
	}
	return text
}

// Hint is the error's own hint, or the remedy that the list of codes gives.
func Hint(e *errs.Error) string {
	remedy := ""
	for _, info := range errs.Table() {
		if info.Code == e.Code {
			remedy = info.Remedy
		}
	}
	switch {
	case e.Hint != "" && e.Hint != remedy:
		return e.Hint
	case e.Code == errs.CodeBadInput && e.Field == "":
		return "" // it points to a field, and none is named
	case remedy == "":
		return ""
	}
	return strings.ToLower(remedy[:1]) + strings.TrimSuffix(remedy[1:], ".")
}
