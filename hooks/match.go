package hooks

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	version "github.com/knqyf263/go-deb-version"
)

// maxVersionLength caps a Debian version in bytes.
const maxVersionLength = 128

// Keys are the match keys of an activation: "fp:" and each fingerprint, or
// "pkg:" and the package. A report can only match where one of them is among
// its own MatchKeys, so a store needs one index.
func (m Match) Keys() []string {
	if m.Package != "" {
		return []string{"pkg:" + m.Package}
	}
	keys := make([]string, len(m.Fingerprints))
	for i, f := range m.Fingerprints {
		keys[i] = "fp:" + f
	}
	return keys
}

// MatchKeys are the keys under which activations for r are found: that of its
// fingerprint and, where it names one, that of its package.
func MatchKeys(r Report) []string {
	keys := []string{"fp:" + Fingerprint(r)}
	if p := r.get(FieldPackage); p != "" {
		keys = append(keys, "pkg:"+p)
	}
	return keys
}

// Matches reports whether a hook of this level belongs to r. Where a version
// bound is signed, a report without a valid package version does not match.
func (m Match) Matches(level Level, r Report) bool {
	switch level {
	case LevelProblem:
		return slices.Contains(m.Fingerprints, Fingerprint(r))
	case LevelPackage:
		return m.Package != "" && r.get(FieldPackage) == m.Package && m.inRange(r.get(FieldPackageVersion))
	}
	return false
}

func (m Match) inRange(v string) bool {
	if m.From != "" {
		if c, err := CompareVersions(v, m.From); err != nil || c < 0 {
			return false
		}
	}
	if m.Below != "" {
		if c, err := CompareVersions(v, m.Below); err != nil || c >= 0 {
			return false
		}
	}
	return true
}

// CompareVersions compares two Debian package versions: -1, 0 or 1, or an
// error that names the one that is not a version.
func CompareVersions(a, b string) (int, error) {
	va, err := parseVersion(a)
	if err != nil {
		return 0, err
	}
	vb, err := parseVersion(b)
	if err != nil {
		return 0, err
	}
	c := va.Compare(vb)
	return max(-1, min(1, c)), nil
}

// parseVersion is stricter than the library, whose numbers overflow silently
// and which takes letters of any script.
func parseVersion(s string) (version.Version, error) {
	if err := versionText(s); err != nil {
		return version.Version{}, fmt.Errorf("not a Debian version: %q: %w", clip(s), err)
	}
	v, err := version.NewVersion(s)
	if err != nil {
		return version.Version{}, fmt.Errorf("not a Debian version: %q: %w", clip(s), err)
	}
	return v, nil
}

func versionText(s string) error {
	if s == "" {
		return errors.New("it is empty")
	}
	if len(s) > maxVersionLength {
		return fmt.Errorf("it is longer than %d bytes", maxVersionLength)
	}
	digits := 0
	for i := range len(s) {
		c := s[i]
		if c >= '0' && c <= '9' {
			if digits++; digits > 18 {
				return errors.New("a number in it has more than 18 digits")
			}
			continue
		}
		digits = 0
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !strings.ContainsRune(".+-:~", rune(c)) {
			return errors.New("it may hold only letters, digits and . + - : ~")
		}
	}
	if epoch, _, ok := strings.Cut(s, ":"); ok && (epoch == "" || strings.Trim(epoch, "0123456789") != "") {
		return errors.New("its epoch must be a number")
	}
	if strings.HasSuffix(s, "-") {
		return errors.New("its revision is empty")
	}
	return nil
}
