package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"hookline/internal/errs"

	"github.com/spf13/cobra"
)

func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{errs.New(errs.CodeBadInput, "x"), 1},
		{Usagef("x"), 2},
		{fmt.Errorf("it: %w", Usage(errors.New("x"))), 2},
		{errors.New(`unknown command "x" for "hookline"`), 2},
		{errs.New(errs.CodeNotEnrolled, "x"), 3},
		{errs.New(errs.CodeForbidden, "x"), 4},
		{errs.New(errs.CodeUnauthenticated, "x"), 4},
		{errs.New(errs.CodeRateLimited, "x"), 5},
		{errs.New(errs.CodeGuardNotRunning, "x"), 5},
		{fmt.Errorf("it: %w", Ended(3)), 3},
		{Ended(0), 1},
		{Ended(-1), 1},
	} {
		if got := ExitCode(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}

// program is a small program with one command of each kind.
func program() *cobra.Command {
	root := &cobra.Command{Use: "hookline", SilenceErrors: true, SilenceUsage: true}
	nothing := func(*cobra.Command, []string) error { return nil }
	show := &cobra.Command{Use: "show ID", Args: cobra.ExactArgs(1), RunE: nothing}
	show.Flags().Int("limit", 0, "")
	show.Flags().String("key", "", "")
	_ = show.MarkFlagRequired("key")
	root.AddCommand(show, &cobra.Command{Use: "list", RunE: nothing}, &cobra.Command{Use: "exec CMD", Args: cobra.MinimumNArgs(1), RunE: nothing})
	root.AddCommand(&cobra.Command{Use: "fail", RunE: func(*cobra.Command, []string) error {
		return errs.New(errs.CodeNotFound, "cannot find \x1b[2Jit").WithHint("look\u202e elsewhere")
	}})
	root.AddCommand(&cobra.Command{Use: "stop", RunE: func(*cobra.Command, []string) error { return context.Canceled }})
	root.AddCommand(&cobra.Command{Use: "quiet", RunE: func(*cobra.Command, []string) error { return ErrFailed }})
	root.AddCommand(&cobra.Command{Use: "other", RunE: func(*cobra.Command, []string) error { return Ended(3) }})
	Strict(root)
	return root
}

func TestShowFailure(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"shwo", "error: cannot run hookline: unknown command \"shwo\"\nhint: did you mean show? hookline --help lists the commands\n"},
		{"nonsense", "error: cannot run hookline: unknown command \"nonsense\"\nhint: hookline --help lists the commands\n"},
		{"show", "error: cannot run hookline show: it takes 1 argument, not 0\nhint: hookline show ID [flags]; more with --help\n"},
		{"show x", "error: cannot run hookline show: it needs --key\nhint: hookline show ID [flags]; more with --help\n"},
		{"show x --limit y", "error: cannot run hookline show: --limit cannot be \"y\"\nhint: hookline show ID [flags]; more with --help\n"},
		{"show --nonsense", "error: cannot run hookline show: unknown flag --nonsense\nhint: hookline show ID [flags]; more with --help\n"},
		{"list x", "error: cannot run hookline list: unknown argument \"x\"\nhint: hookline list [flags]; more with --help\n"},
		{"exec", "error: cannot run hookline exec: it takes at least 1 argument, not 0\nhint: hookline exec CMD [flags]; more with --help\n"},
		{"fail", "error: cannot find \\x1b[2Jit [not-found]\nhint: look\\u202e elsewhere\n"},
		{"stop", "error: interrupted\n"},
		{"quiet", ""},
		{"other", ""},
	} {
		root := program()
		root.SetArgs(strings.Fields(c.args))
		var out strings.Builder
		cmd, err := root.ExecuteC()
		ShowFailure(&out, cmd, err, Hint)
		if out.String() != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.args, out.String(), c.want)
		}
	}
}

func TestHint(t *testing.T) {
	for _, c := range []struct {
		err  *errs.Error
		want string
	}{
		{errs.New(errs.CodeNotFound, "x").WithHint("own"), "own"},
		{errs.New(errs.CodeGuardNotRunning, "x"), "start it: `hookline-peer run`"},
		{errs.New(errs.CodeBadInput, "x"), ""},
		{errs.New(errs.CodeBadInput, "x").At("f"), "correct the named field"},
		{errs.New("newer", "x"), ""},
	} {
		if got := Hint(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}

// "hint: none: …" is no hint.
func TestNothingToDoIsNoHint(t *testing.T) {
	for _, info := range errs.Table() {
		var b strings.Builder
		ShowError(&b, errs.New(info.Code, "it went wrong"), Hint)
		if strings.Contains(strings.ToLower(b.String()), "hint: none") || !strings.Contains(b.String(), string(info.Code)) {
			t.Errorf("%s: %s", info.Code, b.String())
		}
	}
	for text, want := range map[string]string{
		"": "", "None.": "", "none": "", "None: that is so.": "", "none: that is so": "",
		"nonetheless, try again": "nonetheless, try again", "None of these is a path: give one": "None of these is a path: give one",
	} {
		if got := Advice(text); got != want {
			t.Errorf("advice of %q is %q", text, got)
		}
	}
}

func TestSafeText(t *testing.T) {
	if got := Safe("a\tb\n\xff\u202e\x9bé"); got != `a\tb\n\xff\u202e\x9b`+"é" {
		t.Errorf("got %q", got)
	}
	if got := SafeLines("a\tb\n\x07"); got != "a\tb\n\\x07" {
		t.Errorf("got %q", got)
	}
}
