package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"hookline/hooks"
	"hookline/signing"
)

// aboutToSign shows the statement before it is signed.
func (a *app) aboutToSign(st hooks.Statement, digest string) {
	view := a.toRead()
	fmt.Fprintln(view.out, "you sign this statement:")
	view.statement(st, digest)
}

// toRead is where a person reads before signing: with the results of a table,
// else beside them.
func (a *app) toRead() *app {
	view := *a
	if a.output != outputTable {
		view.out = a.err
	}
	return &view
}

// statement prints what a signature covers: what the hook may do first, then
// its limits, then what it belongs to.
func (a *app) statement(st hooks.Statement, digest string) {
	p := st.Predicate
	a.pairs(
		[2]string{"hook", fmt.Sprintf("%s@%d", p.Hook, p.Version)},
		[2]string{"digest", digest},
		[2]string{"author's key", p.Author},
		[2]string{"deployment", p.Deployment},
	)
	a.section("may")
	a.pairs(
		[2]string{"uses", orNone(strings.Join(signing.CapabilitiesOf(p), ", "))},
		[2]string{"runs as", string(p.As)},
		[2]string{"reads files", orNone(strings.Join(p.Capabilities.FSRead, ", "))},
	)
	a.section("brings back")
	rows := [][]string{{"FIELD", "TYPE", "CLASS", "MAX BYTES", "TEXT"}}
	for _, f := range p.Fields {
		text := ""
		switch {
		case f.Raw:
			text = "RAW"
		case f.Type == hooks.TypeText || f.Type == hooks.TypeJSON:
			text = "redacted"
		}
		rows = append(rows, []string{f.Name, string(f.Type), string(f.Class), strconv.FormatInt(f.MaxBytes, 10), text})
	}
	a.table(rows)
	a.section("at most")
	a.pairs(
		[2]string{"results", fmt.Sprintf("%d, %d runs on one peer, %d%% of the peers", p.MaxReports, p.MaxRunsPerPeer, p.MaxPercent)},
		[2]string{"bytes", fmt.Sprintf("%d in all, %d in one result", p.MaxBytes, p.MaxResultBytes)},
		[2]string{"run time", (time.Duration(p.MaxRuntimeMS) * time.Millisecond).String()},
		[2]string{"valid", unix(p.NotBefore) + " until " + unix(p.NotAfter)},
	)
	a.section("for")
	a.pairs(append(matchPairs(p), [2]string{"script", "sha256:" + st.ScriptDigest()})...)
}

func matchPairs(p hooks.Predicate) [][2]string {
	if p.Level == hooks.LevelPackage {
		return [][2]string{{"package", p.Match.Package}, {"from version", p.Match.From}, {"below version", p.Match.Below}}
	}
	var rows [][2]string
	for _, f := range p.Match.Fingerprints {
		rows = append(rows, [2]string{"fingerprint", f})
	}
	return rows
}

func orNone(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

func unix(seconds int64) string { return clock(time.Unix(seconds, 0)) }
