package hooks

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// A stack makes a fingerprint when it has at least minFrames frames; more than
// maxFrames do not make it more precise.
const (
	minFrames = 3
	maxFrames = 15
)

// Fingerprint is the bucketing key of a report, printable ASCII without
// spaces, at most MaxFingerprintLength bytes. In this order:
//
//   - the reporter's own DuplicateSignature, its colons kept;
//   - exe:signal:name:…, the top 3 to 15 function names, when fewer than one in
//     five of them is unresolved ("??");
//   - exe:signal:offset:…, the top 3 to 15 stack addresses;
//   - exe:signal.
//
// Instead of a signal there may be "exit-<code>". What a report does not say
// is "unknown". Everything but printable ASCII, and each '%', is
// percent-encoded; so is ':' inside a part, which only separates parts. A
// longer one is cut and ends in ":sha256-" and the digest of the whole.
func Fingerprint(r Report) string {
	if own := r.get(FieldDuplicateSignature); own != "" {
		return bound(encodePart(own, true))
	}
	parts := []string{orUnknown(r.get(FieldExecutablePath)), death(r)}
	if names := lines(r[FieldFrames]); len(names) >= minFrames && resolved(names) {
		parts = append(parts, names...)
	} else if offsets := lines(r[FieldAddresses]); len(offsets) >= minFrames {
		parts = append(parts, offsets...)
	}
	for i, p := range parts {
		parts[i] = encodePart(p, false)
	}
	return bound(strings.Join(parts, ":"))
}

// ProblemID is the id of the problem of a fingerprint: the first 32 hex digits
// of its SHA-256.
func ProblemID(fingerprint string) string { return Digest([]byte(fingerprint))[:32] }

// death is the signal, or else the exit code, that ended the program.
func death(r Report) string {
	if s := r.get(FieldSignal); s != "" && s != "0" {
		return s
	}
	if s := r.get(FieldSignalName); s != "" {
		return s
	}
	if s := r.get(FieldExitCode); s != "" {
		return "exit-" + s
	}
	return "unknown"
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// lines are the first maxFrames lines of s that hold something.
func lines(s string) []string {
	var out []string
	for line := range strings.SplitSeq(s, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			if out = append(out, line); len(out) == maxFrames {
				break
			}
		}
	}
	return out
}

func resolved(names []string) bool {
	unknown := 0
	for _, n := range names {
		if n == "??" {
			unknown++
		}
	}
	return unknown*5 < len(names)
}

// encodePart percent-encodes s to printable ASCII.
func encodePart(s string, colons bool) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c <= 0x20 || c >= 0x7f || c == '%' || c == ':' && !colons {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// bound cuts a fingerprint that is too long so that two different ones stay
// different.
func bound(s string) string {
	if len(s) <= MaxFingerprintLength {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	tail := ":sha256-" + hex.EncodeToString(sum[:])
	cut := MaxFingerprintLength - len(tail)
	if i := strings.LastIndexByte(s[:cut], '%'); i > cut-3 {
		cut = i // never half of a %XX
	}
	return s[:cut] + tail
}
