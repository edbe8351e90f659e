package cli

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// usageError is a command line that the program does not understand.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// Usage marks err as one about the command line.
func Usage(err error) error { return usageError{err} }

// Usagef is Usage of a new error.
func Usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// IsUsage reports whether err is about the command line.
func IsUsage(err error) bool { return errors.As(err, new(usageError)) || isCobraUsage(err) }

// isCobraUsage knows the errors that cobra makes itself, without a type.
func isCobraUsage(err error) bool {
	text := err.Error()
	return strings.HasPrefix(text, "unknown command ") || strings.HasPrefix(text, "required flag(s) ") ||
		strings.HasPrefix(text, "if any flags in the group ") || strings.HasPrefix(text, "at least one of the flags ")
}

// Strict makes wrong flags and every wrong number of arguments, of root and
// all below it, usage errors. A command that says nothing about arguments
// takes none.
func Strict(root *cobra.Command) {
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return Usage(err) })
	strictArguments(root)
}

func strictArguments(c *cobra.Command) {
	check := c.Args
	if check == nil && c.RunE != nil && !c.HasSubCommands() {
		check = cobra.NoArgs
	}
	if check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return Usage(err)
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		strictArguments(sub)
	}
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
	{regexp.MustCompile(`^requires at least (\d+) arg\(s\), only received (\d+)$`), "it takes at least $1 argument, not $2"},
	{regexp.MustCompile(`^if any flags in the group \[(\S+) (\S+)\] are set none of .*$`), "give --$1 or --$2, not both"},
	{regexp.MustCompile(`^unknown command "(.*)" for "hookline.*"$`), `unknown argument "$1"`},
}

var unknownCommand = regexp.MustCompile(`^unknown command "(.*)"$`)

var quotedFlag = regexp.MustCompile(`"([\w-]+)"`)

// showUsage says what is wrong with a command line, and how it is written.
func showUsage(w io.Writer, c *cobra.Command, err error) {
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
	fmt.Fprintf(w, "error: cannot run %s: %s\n", c.CommandPath(), Safe(text))
	fmt.Fprintf(w, "hint: %s\n", Safe(hint))
}
