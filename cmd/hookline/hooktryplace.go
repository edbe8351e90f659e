package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hookline/hooks"
	"hookline/internal/strict"
	"hookline/sandbox/replay"
)

// placed gives findings about the manifest the line where it says so. The
// linter sees only what would be signed, where lists are sorted.
func (f folder) placed(findings []replay.Finding, p hooks.Predicate) []replay.Finding {
	var written hooks.Manifest
	at, err := strict.DecodeAt(hooks.ManifestName, f.yaml, hooks.MaxManifestBytes, &written)
	if err != nil {
		return findings // it was read before, so this cannot be
	}
	for i, x := range findings {
		if x.File == hooks.ManifestName {
			findings[i].Line, findings[i].Column = lineAndColumn(at.At(asWritten(x.Key, p, written)))
		}
	}
	// hook.yaml before hook.lua.
	slices.SortStableFunc(findings, func(a, b replay.Finding) int {
		return cmp.Or(strings.Compare(b.File, a.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return findings
}

// lineAndColumn are those of "hook.yaml:7:3".
func lineAndColumn(place string) (line, column int) {
	parts := strings.Split(place, ":")
	if len(parts) != 3 {
		return 1, 1
	}
	line, _ = strconv.Atoi(parts[1])
	column, _ = strconv.Atoi(parts[2])
	return max(line, 1), max(column, 1)
}

// asWritten turns a key of the predicate into that of the manifest.
func asWritten(key string, p hooks.Predicate, written hooks.Manifest) string {
	list, i, rest := indexed(key)
	signed, own := p.Capabilities, written.Capabilities
	switch list {
	case "fields":
		if i < len(p.Fields) {
			return "fields." + p.Fields[i].Name + rest
		}
	case "capabilities.fs.read":
		return list + position(signed.FSRead, own.FSRead, i)
	case "capabilities.fs.list":
		return list + position(signed.FSList, own.FSList, i)
	case "capabilities.fs.stat":
		return list + position(signed.FSStat, own.FSStat, i)
	case "capabilities.cmd.run":
		if i >= len(signed.CmdRun) {
			break
		}
		cmd := signed.CmdRun[i]
		j := slices.IndexFunc(own.CmdRun, func(c hooks.Command) bool { return c.Name == cmd.Name })
		if j < 0 {
			break
		}
		if member, k, _ := indexed(rest); member == ".paths" {
			rest = member + position(cmd.Paths, own.CmdRun[j].Paths, k)
		}
		return fmt.Sprintf("%s[%d]%s", list, j, rest)
	}
	return list
}

// indexed splits "list[2].rest".
func indexed(key string) (list string, i int, rest string) {
	list, rest, ok := strings.Cut(key, "[")
	if !ok {
		return key, 0, ""
	}
	number, rest, _ := strings.Cut(rest, "]")
	i, err := strconv.Atoi(number)
	if err != nil || i < 0 {
		return list, 0, rest
	}
	return list, i, rest
}

// position is "[n]", where the i-th entry of a sorted list stands in the
// author's; "" where it does not.
func position(sorted, own []string, i int) string {
	if i >= len(sorted) {
		return ""
	}
	if n := slices.Index(own, sorted[i]); n >= 0 {
		return fmt.Sprintf("[%d]", n)
	}
	return ""
}
