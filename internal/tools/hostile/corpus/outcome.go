package corpus

import (
	"fmt"
	"slices"
	"strings"

	"hookline/sandbox"
)

// outcomes says which codes satisfy an outcome of the manifest. A memory
// bound of the library (string.rep and its like) is a Lua error that can be
// caught, so it stands wherever the manifest asks for an error or another
// limit; see Exception for the rest.
func outcomes(name string) []string {
	failed := []string{
		"hook-error", "bad-script", "denied", "call-failed", "limit-memory",
		"field-type", "field-undeclared", "field-exists",
	}
	return map[string][]string{
		"OK":        {""},
		"ISOLATED":  {""},
		"NOLEAK":    {""},
		"CAPTURED":  {""},
		"SANITISED": {""},
		"ERR":       failed,
		"TRUNCATED": failed,
		"NIL":       {"hook-error", "limit-memory"},
		"DENY":      {"denied"},
		"TIMEOUT":   {"limit-time"},
		"MEMORY":    {"limit-memory"},
		"LIMIT":     {"limit-calls", "limit-read", "limit-result", "limit-output", "limit-memory"},
		"REJECT":    {"bad-script"},
		"CRASH":     {"sandbox-crash", "sandbox-killed", "limit-memory"},
	}[name]
}

// An Exception is an outcome that a snippet may have besides the manifest's.
type Exception struct {
	Code string
	Why  string
}

// Exception returns how a snippet may end otherwise than the manifest has it.
func (s Snippet) Exception() (Exception, bool) {
	e, ok := map[string]Exception{
		"008_tostring_loop.lua":  {"hook-error", "an error value with __tostring is named, never run: there is nothing that loops"},
		"089_str_find_init.lua":  {"", "string.find is our own and does what Lua does: no match, where the library panics"},
		"148_next_quadratic.lua": {"limit-memory", "keys are never purged: where the machine is fast, memory ends before time"},
	}[s.File]
	return e, ok
}

// Codes are the codes that a run of the snippet may end with.
func (s Snippet) Codes() []string {
	var codes []string
	for name := range strings.SplitSeq(s.Expected, "_") {
		codes = append(codes, outcomes(name)...)
	}
	if e, ok := s.Exception(); ok {
		codes = append(codes, e.Code)
	}
	return codes
}

// Excepted reports whether a code is one of the snippet's only by exception.
func (s Snippet) Excepted(code string) bool {
	e, ok := s.Exception()
	if !ok || code != e.Code {
		return false
	}
	return !slices.ContainsFunc(strings.Split(s.Expected, "_"), func(name string) bool {
		return slices.Contains(outcomes(name), code)
	})
}

// Check holds the end of a run against the manifest, and returns what is
// wrong: nothing, where it is as it must be.
func (s Snippet) Check(out sandbox.Outcome, err error) []string {
	if err != nil {
		return []string{"cannot run: " + err.Error()}
	}
	var wrong []string
	if !slices.Contains(s.Codes(), out.Code) {
		wrong = append(wrong, fmt.Sprintf("code %q (%s, line %d), expected %s = one of %q", out.Code, out.Error, out.Line, s.Expected, s.Codes()))
	}
	if len(out.Error) > sandbox.MaxErrorBytes {
		wrong = append(wrong, fmt.Sprintf("the error has %d bytes", len(out.Error)))
	}
	text := fmt.Sprintf("%+v", out)
	for _, leak := range []string{"TOPSECRET", "goroutine", "0xc0", ".go:", "runtime error"} {
		if strings.Contains(text, leak) {
			wrong = append(wrong, fmt.Sprintf("the outcome holds %q: %.300s", leak, text))
		}
	}
	if out.Code != "" && len(out.Fields) > 0 {
		wrong = append(wrong, fmt.Sprintf("a failed run brought fields: %v", out.Fields))
	}
	return wrong
}
