package main

import (
	"regexp"

	"hookline/internal/cli"
	"hookline/internal/errs"
)

// errFailed ends a command that has already shown what went wrong.
var errFailed = cli.ErrFailed

func usagef(format string, args ...any) error { return cli.Usagef(format, args...) }

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

// hintOf is cli.Hint, but a thing that the server does not know can be listed.
func hintOf(e *errs.Error) string {
	if m := unknownThing.FindStringSubmatch(e.Message); m != nil && e.Code == errs.CodeNotFound {
		return "list what there is: hookline " + m[1] + " list"
	}
	return cli.Hint(e)
}
