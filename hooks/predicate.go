package hooks

import (
	"fmt"
	"slices"
	"strings"

	"hookline/internal/errs"
)

// Validate holds every member against the grammar and every limit against its
// cap. A limit that is missing, zero or too high is errs.CodeStatementLimit,
// anything else errs.CodeStatementMalformed; Field names the key.
func (p Predicate) Validate() error {
	for _, check := range []func() *errs.Error{
		p.checkIdentity, p.checkMatch, p.checkCapabilities, p.checkLimits, p.checkFields,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func malformed(field, format string, args ...any) *errs.Error {
	return errs.New(errs.CodeStatementMalformed, format, args...).At(field)
}

func (p Predicate) checkIdentity() *errs.Error {
	switch {
	case !strings.HasPrefix(p.Deployment, "d-") || !lowerHex(p.Deployment[2:], 32):
		return malformed("deployment", `must be "d-" and 32 hexadecimal digits`)
	case !ValidHookName(p.Hook):
		return malformed("hook", "must be a name of lowercase letters, digits and inner dashes, at most %d bytes", MaxNameLength)
	case p.Version < 1 || p.Version > MaxInteger:
		return malformed("version", "must be a number from 1")
	case !lowerHex(p.Author, 64):
		return malformed("author", "must be a key id of 64 hexadecimal digits")
	case p.As != AsService && p.As != AsReporter && p.As != AsRoot:
		return malformed("as", "must be service, reporter or root, not %q", clip(string(p.As)))
	}
	return nil
}

// ValidHookName reports whether s can name a hook: lowercase letters, digits
// and inner dashes, at most MaxNameLength bytes.
func ValidHookName(s string) bool {
	if s == "" || len(s) > MaxNameLength || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func (p Predicate) checkMatch() *errs.Error {
	if p.Match.Fingerprints == nil {
		return malformed("match.fingerprints", "must be a list")
	}
	switch p.Level {
	case LevelProblem:
		return p.Match.checkProblem()
	case LevelPackage:
		return p.Match.checkPackage()
	}
	return malformed("level", "must be problem or package, not %q", clip(string(p.Level)))
}

func (m Match) checkProblem() *errs.Error {
	for _, v := range []struct{ name, value string }{{"package", m.Package}, {"from", m.From}, {"below", m.Below}} {
		if v.value != "" {
			return malformed("match."+v.name, "must be empty at level problem")
		}
	}
	if len(m.Fingerprints) == 0 || len(m.Fingerprints) > MaxFingerprints {
		return malformed("match.fingerprints", "must list 1 to %d fingerprints at level problem", MaxFingerprints)
	}
	for i, f := range m.Fingerprints {
		field := fmt.Sprintf("match.fingerprints[%d]", i)
		if f == "" || len(f) > MaxFingerprintLength || !printable(f, false) {
			return malformed(field, "must be 1 to %d bytes of printable ASCII without spaces", MaxFingerprintLength)
		}
		if i > 0 && m.Fingerprints[i-1] >= f {
			return malformed(field, "the list must be sorted, each entry once")
		}
	}
	return nil
}

func (m Match) checkPackage() *errs.Error {
	if len(m.Fingerprints) != 0 {
		return malformed("match.fingerprints", "must be empty at level package")
	}
	if !validPackage(m.Package) {
		return malformed("match.package", "must be a Debian package name at level package")
	}
	for _, v := range []struct{ name, value string }{{"from", m.From}, {"below", m.Below}} {
		if v.value == "" {
			continue
		}
		if _, err := parseVersion(v.value); err != nil {
			return malformed("match."+v.name, "%v", err)
		}
	}
	if m.From != "" && m.Below != "" {
		if c, err := CompareVersions(m.From, m.Below); err != nil || c >= 0 {
			return malformed("match.below", "must be a later version than match.from")
		}
	}
	return nil
}

// validPackage is Debian policy 5.6.1: at least two of [a-z0-9+.-], the first
// a letter or digit.
func validPackage(s string) bool {
	if len(s) < 2 || len(s) > 128 || strings.ContainsRune("+-.", rune(s[0])) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '+' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

type limit struct {
	key        string
	value, cap int64
}

func (p Predicate) checkLimits() *errs.Error {
	for _, l := range []limit{
		{"not_after", p.NotAfter, MaxInteger},
		{"max_reports", p.MaxReports, MaxReports},
		{"max_runs_per_peer", p.MaxRunsPerPeer, MaxRunsPerPeer},
		{"max_percent", p.MaxPercent, 100},
		{"max_bytes", p.MaxBytes, MaxTotalBytes},
		{"max_result_bytes", p.MaxResultBytes, MaxResultBytes},
		{"max_runtime_ms", p.MaxRuntimeMS, MaxRuntimeSeconds * 1000},
	} {
		if err := l.check(); err != nil {
			return err
		}
	}
	switch {
	case p.NotBefore < 0 || p.NotBefore >= p.NotAfter:
		return errs.New(errs.CodeStatementLimit, "must be later than not_before, which must not be negative").At("not_after")
	case p.MaxResultBytes > p.MaxBytes:
		return errs.New(errs.CodeStatementLimit, "must not be above max_bytes (%d)", p.MaxBytes).At("max_result_bytes")
	}
	return nil
}

func (l limit) check() *errs.Error {
	switch {
	case l.value == 0:
		return errs.New(errs.CodeStatementLimit, "is missing or 0; every limit must be given").At(l.key).
			WithHint("give a number from 1 to %d", l.cap)
	case l.value < 1 || l.value > l.cap:
		return errs.New(errs.CodeStatementLimit, "must be from 1 to %d, not %d", l.cap, l.value).At(l.key)
	}
	return nil
}

func (p Predicate) checkFields() *errs.Error {
	if p.Fields == nil {
		return malformed("fields", "must be a list")
	}
	if len(p.Fields) == 0 || len(p.Fields) > MaxResultFields {
		return malformed("fields", "must declare 1 to %d fields", MaxResultFields)
	}
	for i, f := range p.Fields {
		at := fmt.Sprintf("fields[%d]", i)
		if err := f.check(at, p.MaxResultBytes); err != nil {
			return err
		}
		if i > 0 && p.Fields[i-1].Name >= f.Name {
			return malformed(at+".name", "the fields must be sorted by name, each once")
		}
	}
	return nil
}

// errorFieldPrefix starts the names of the fields that Hookline itself adds
// for a failed hook.
const errorFieldPrefix = "HookError_"

func (f DeclaredField) check(at string, maxResult int64) *errs.Error {
	if problem := checkFieldName(f.Name); problem != "" {
		return malformed(at+".name", "%s", problem)
	}
	if strings.HasPrefix(f.Name, errorFieldPrefix) {
		return malformed(at+".name", "names that start with %s are Hookline's own", errorFieldPrefix)
	}
	switch f.Type {
	case TypeText, TypeInt, TypeNumber, TypeBool, TypeJSON:
	default:
		return malformed(at+".type", "must be text, int, number, bool or json, not %q", clip(string(f.Type)))
	}
	if !slices.Contains(FieldClasses(), f.Class) {
		return malformed(at+".class", "must be technical, config, log, network or personal, not %q", clip(string(f.Class)))
	}
	return limit{at + ".max_bytes", f.MaxBytes, maxResult}.check()
}
