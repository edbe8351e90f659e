package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"hookline/internal/tools/hostile/attack"
)

// judge prints what the tables come to, and returns how many attacks got
// through that must not have.
func (h half) judge(out io.Writer) (surprises int) {
	fmt.Fprintln(out)
	for _, col := range h.columns {
		surprises += col.judge(out)
	}
	return surprises
}

// through are the letters of the parts that got through with each attack.
func (col attacked) through() map[string]string {
	got := map[string]string{}
	for _, part := range col.parts {
		for name, result := range col.results[part] {
			if result == attack.Through {
				got[name] += letter(part)
			}
		}
	}
	return got
}

func (col attacked) judge(out io.Writer) (surprises int) {
	made := 0
	for _, part := range col.parts {
		made += len(col.results[part])
	}
	got, all := col.through(), 0
	for _, letters := range got {
		all += len(letters)
	}
	fmt.Fprintf(out, "%-18s %d attacks made, %d got through\n", col.name(), made, all)
	for _, k := range knowns() {
		if k.layer != "" && k.layer != col.off {
			continue
		}
		if found := k.take(got); len(found) > 0 && k.layer == col.off {
			what := "only " + col.off + " stops"
			if k.layer == "" {
				what = "what they can still do:"
			}
			fmt.Fprintf(out, "  %s %s: %s\n", what, strings.Join(found, ", "), k.why)
		}
	}
	for _, a := range attack.All() {
		if letters := got[a.Name]; letters != "" {
			surprises++
			fmt.Fprintf(out, "  SURPRISE %s: %s got through with %s (%s)\n", col.name(), letters, a.Name, a.What)
		}
	}
	for _, left := range col.left {
		surprises++
		fmt.Fprintf(out, "  SURPRISE %s: %s\n", col.name(), left)
	}
	return surprises
}

// take takes what is known out of what got through, and names it: "chmod (wb)".
func (k known) take(got map[string]string) []string {
	var found []string
	for name := range strings.FieldsSeq(k.attacks) {
		var taken, left string
		for _, l := range got[name] {
			if strings.ContainsRune(k.parts, l) {
				taken += string(l)
			} else {
				left += string(l)
			}
		}
		if taken != "" {
			got[name] = left
			found = append(found, name+" ("+taken+")")
		}
	}
	slices.Sort(found)
	return found
}
