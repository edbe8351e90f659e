package keeper

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"hookline/signing"
	"hookline/signing/trust"
)

// maxDiffLines bounds the lines of one text that are compared; longer ones
// are shown whole.
const maxDiffLines = 3_000

// names tells people whose a key is.
type names []*signing.Policy

func (n names) of(k signing.PublicKey) string {
	for _, p := range n {
		if p == nil {
			continue
		}
		if person, ok := p.Person(k.ID); ok {
			return person.Name + " " + string(k.ID)
		}
	}
	return "no person of the policy " + string(k.ID)
}

// difference tells what a new root changes; old is nil where there is none.
func (r *rootSheet) difference(old *rootSheet, who names) []string {
	if old == nil {
		old = &rootSheet{}
	}
	out := headLines(&r.sheet, &old.sheet)
	for _, name := range topRoles() {
		now, was := r.roles[name], old.roles[name]
		if now.threshold != was.threshold {
			out = append(out, change(fmt.Sprintf("%s: signatures needed", name), number(was.threshold), number(now.threshold)))
		}
		out = append(out, keyLines(name, was.keys, now.keys, who)...)
	}
	return out
}

func (t *targetsSheet) difference(old *targetsSheet, who names) []string {
	if old == nil {
		old = &targetsSheet{policy: &signing.Policy{}}
	}
	out := headLines(&t.sheet, &old.sheet)
	out = append(out, keyLines(trust.RoleRevocations, old.revokers().keys, t.revokers().keys, who)...)
	out = append(out, textLines(trust.TargetPolicy, old.policyBytes, t.policyBytes)...)
	return append(out, textLines(trust.TargetCA, old.ca, t.ca)...)
}

func (r *revocationsSheet) difference(old *revocationsSheet) []string {
	if old == nil {
		old = &revocationsSheet{}
	}
	out := headLines(&r.sheet, &old.sheet)
	was, now := signing.NewRevocations(old.list...), signing.NewRevocations(r.list...)
	for _, one := range old.list {
		if _, stays := now.Find(one.Kind, one.Value); !stays {
			out = append(out, "- revoked "+one.ID()+" (everybody who has seen it remembers it)")
		}
	}
	for _, one := range r.list {
		if _, known := was.Find(one.Kind, one.Value); !known {
			out = append(out, fmt.Sprintf("+ revoked %s by %s: %s", one.ID(), one.By, one.Reason))
		}
	}
	return out
}

func headLines(now, was *sheet) []string {
	out := []string{change("version", number(int(was.version)), number(int(now.version)))}
	return append(out, change("expires", date(was.expires), date(now.expires)))
}

func change(what, was, now string) string {
	if was == "" {
		return "  " + what + ": " + now
	}
	return "  " + what + ": " + was + " -> " + now
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func keyLines(role string, was, now []signing.PublicKey, who names) []string {
	var out []string
	in := func(list []signing.PublicKey, k signing.PublicKey) bool {
		return slices.ContainsFunc(list, func(other signing.PublicKey) bool { return other.ID == k.ID })
	}
	for _, k := range was {
		if !in(now, k) {
			out = append(out, "- "+role+": key of "+who.of(k))
		}
	}
	for _, k := range now {
		if !in(was, k) {
			out = append(out, "+ "+role+": key of "+who.of(k))
		}
	}
	return out
}

// TextDifference is what changes from one text to another, line by line: "+"
// or "-" and the line.
func TextDifference(was, now []byte) []string {
	all := textLines("", was, now)
	if len(all) == 0 {
		return nil
	}
	return all[1:]
}

// textLines is the difference of two texts, line by line, without what stays.
func textLines(name string, was, now []byte) []string {
	if string(was) == string(now) {
		return nil
	}
	a, b := lines(was), lines(now)
	out := []string{"  " + name + ":"}
	if len(a) > maxDiffLines || len(b) > maxDiffLines {
		a = nil // all of the new one
	}
	return append(out, compare(a, b)...)
}

func lines(b []byte) []string {
	text := strings.TrimSuffix(string(b), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// compare prints the lines that go and come, by the longest common sequence.
func compare(a, b []string) []string {
	common := make([][]int32, len(a)+1)
	for i := range common {
		common[i] = make([]int32, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out []string
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			out = append(out, "-   "+a[i])
			i++
		default:
			out = append(out, "+   "+b[j])
			j++
		}
	}
	return out
}
