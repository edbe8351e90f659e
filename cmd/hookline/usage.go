package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"hookline/internal/errs"

	"github.com/spf13/cobra"
)

// usageError is a command line that hookline does not understand.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usage(err error) error { return usageError{err} }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func isUsage(err error) bool { return errors.As(err, new(usageError)) || isCobraUsage(err) }

// isCobraUsage knows the errors that cobra makes itself, without a type.
func isCobraUsage(err error) bool {
	text := err.Error()
	return strings.HasPrefix(text, "unknown command ") || strings.HasPrefix(text, "required flag(s) ") ||
		strings.HasPrefix(text, "if any flags in the group ") || strings.HasPrefix(text, "at least one of the flags ")
}

// plainUsage rewords what the flag library says of its own insides.
var plainUsage = []struct {
	from *regexp.Regexp
	to   string
}{
	{regexp.MustCompile(`^unknown flag: `), "unknown flag "},
	{regexp.MustCompile(`(?s)^invalid argument (".*") for "(?:-\w, )?(--[\w-]+)" flag: .*$`), `$2 cannot be $1`},
	{regexp.MustCompile(`^required flag\(s\) (.*) not set$`), "it needs $1"},
	{regexp.MustCompile(`^accepts (\d+) arg\(s\), received (\d+)$`), "it takes $1 argument, not $2"},
	{regexp.MustCompile(`^accepts at most (\d+) arg\(s\), received (\d+)$`), "it takes at most $1 argument, not $2"},
	{regexp.MustCompile(`^if any flags in the group \[(\S+) (\S+)\] are set none of .*$`), "give --$1 or --$2, not both"},
	{regexp.MustCompile(`^unknown command "(.*)" for "hookline.*"$`), `unknown argument "$1"`},
}

var unknownCommand = regexp.MustCompile(`^unknown command "(.*)"$`)

var quotedFlag = regexp.MustCompile(`"([\w-]+)"`)

// showUsage says what is wrong with a command line, and how it is written.
func (a *app) showUsage(c *cobra.Command, err error) {
	text, _, _ := strings.Cut(err.Error(), "\n") // what follows are cobra's guesses
	hint := c.UseLine() + "; more with --help"
	if c.HasSubCommands() {
		text = strings.TrimSuffix(text, fmt.Sprintf(" for %q", c.CommandPath()))
		hint = c.CommandPath() + " --help lists the commands"
		if m := unknownCommand.FindStringSubmatch(text); m != nil {
			c.SuggestionsMinimumDistance = 2
			if near := c.SuggestionsFor(m[1]); len(near) > 0 {
				hint = "did you mean " + strings.Join(near, " or ") + "? " + hint
			}
		}
	}
	for _, p := range plainUsage {
		text = p.from.ReplaceAllString(text, p.to)
	}
	if strings.HasPrefix(text, "it needs ") {
		text = quotedFlag.ReplaceAllString(text, "--$1")
	}
	fmt.Fprintf(a.err, "error: cannot run %s: %s\n", c.CommandPath(), safe(text))
	fmt.Fprintf(a.err, "hint: %s\n", safe(hint))
}

// notFromFile takes the place in a file out of an error about flags: the file
// was never written.
func notFromFile(err error, hint string) error {
	e, ok := errs.As(err)
	if !ok || e.Code != errs.CodeBadManifest && e.Code != errs.CodePolicyInvalid {
		return err
	}
	return e.At("").WithHint("%s", hint)
}

// unknownThing finds the kind of thing that a server does not know.
var unknownThing = regexp.MustCompile(`^there is no (job|result|hook|problem|peer)\b`)

// hintOf is the error's own hint, or the remedy that the list of codes gives.
func hintOf(e *errs.Error) string {
	if m := unknownThing.FindStringSubmatch(e.Message); m != nil && e.Code == errs.CodeNotFound {
		return "list what there is: hookline " + m[1] + " list"
	}
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
