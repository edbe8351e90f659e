// Package source makes problem reports on a peer and hands them to its guard.
//
// Run is `hookline-peer exec`: it runs a command with its own standard input,
// output and signals, and when the command dies by a signal or a non-zero exit
// it builds a report of what can be known from outside: the executable, its
// Debian package, the end of its standard error, the stack that a Go program
// prints, its limits and cgroup captured while it lived, and the machine.
// Everything that it reads from the command or from files is input to be
// bounded and cleaned, never trusted.
package source

import (
	"io"
	"strings"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
)

// Caps of what a report holds.
const (
	MaxStderr    = 16 << 10 // bytes of standard error kept from its end
	MaxTraceback = 32 << 10 // bytes of a traceback kept from its begin
	MaxFrames    = 15
	maxCmdline   = 4 << 10
	maxProcFile  = 16 << 10 // of limits and cgroup each
)

// clean makes text of any bytes: valid UTF-8 without NUL and terminal
// controls, cut to max bytes at a rune.
func clean(b []byte, limit int) string {
	s := strings.ToValidUTF8(string(b), "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		if r < 0x20 || r == 0x7f {
			return -1
		}
		return r
	}, s)
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "")
	}
	return s
}

// set adds a field unless its value is empty.
func set(r hooks.Report, name, value string) {
	if value != "" {
		r[name] = value
	}
}

// stamp is the report's time format.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// readCapped reads all of f, refusing more than limit bytes.
func readCapped(f io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, errs.Wrap(errs.CodeBadInput, errs.Plain(err), "cannot read the report")
	}
	if int64(len(b)) > limit {
		return nil, errs.New(errs.CodeTooLarge, "the report is larger than %d bytes", limit).
			WithHint("shorten its longest fields: a log's last lines, a trace's first frames")
	}
	return b, nil
}
