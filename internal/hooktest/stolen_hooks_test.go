package hooktest_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobpb"
	"hookline/signing"
	"hookline/signing/signer"
)

// hookTry is one job that a thief sends. The peer's own record must have one
// line about it: refused, with this code. Nothing else may happen.
type hookTry struct {
	does string // for docs/stolen-server.md
	code errs.Code
	run  func(t *testing.T, h *heist, m *target) *jobpb.HookRun
}

// otherScripts are tries to run other bytes than those that people signed.
func otherScripts() []hookTry {
	return []hookTry{
		{
			"its own script, with everything that people signed", errs.CodeScriptDigest,
			func(_ *testing.T, h *heist, m *target) *jobpb.HookRun {
				run := h.stolen(m.original)
				run.Script = []byte(canary)
				return run
			},
		},
		{
			"the signed script with its own appended", errs.CodeScriptDigest,
			func(_ *testing.T, h *heist, m *target) *jobpb.HookRun {
				run := h.stolen(m.original)
				run.Script = append(slices.Clone(run.Script), canary...)
				return run
			},
		},
		{
			"no script", errs.CodeScriptDigest,
			func(_ *testing.T, h *heist, m *target) *jobpb.HookRun {
				run := h.stolen(m.original)
				run.Script = nil
				return run
			},
		},
		{
			"its own script and a statement that names it, with people's signatures of the real one", errs.CodeSignatureInvalid,
			func(t *testing.T, h *heist, m *target) *jobpb.HookRun {
				return h.changed(t, m, canary, func(*hooks.Predicate) {})
			},
		},
		{
			"the same, and writes that statement into people's signature files", errs.CodeSignatureInvalid,
			func(t *testing.T, h *heist, m *target) *jobpb.HookRun {
				run := h.changed(t, m, canary, func(*hooks.Predicate) {})
				for i, f := range run.Signatures {
					run.Signatures[i] = withPayload(t, f, run.Statement)
				}
				return run
			},
		},
	}
}

// changed is the real hook with a statement that the thief changed, and all
// the signatures of the real one.
func (h *heist) changed(t *testing.T, m *target, script string, change func(*hooks.Predicate)) *jobpb.HookRun {
	t.Helper()
	real := h.loot.predicate(t)
	st := h.statementOf(t, script, func(p *hooks.Predicate) {
		p.Hook, p.Version = real.Hook, real.Version
		change(p)
	})
	return &jobpb.HookRun{OriginalId: m.original, Statement: st, Script: []byte(script), Signatures: slices.Clone(h.loot.files)}
}

// withPayload puts another statement into a signature file.
func withPayload(t *testing.T, file, statement []byte) []byte {
	t.Helper()
	f, err := signing.ParseFile(file)
	must(t, err)
	b64 := base64.StdEncoding.EncodeToString
	return bytes.Replace(file, []byte(b64(f.Payload)), []byte(b64(statement)), 1)
}

// changedStatements are tries to widen what people signed, member by member.
func changedStatements() []hookTry {
	var tries []hookTry
	for _, c := range []struct {
		what   string
		change func(*hooks.Predicate)
	}{
		{"more runs on each machine", func(p *hooks.Predicate) { p.MaxRunsPerPeer = 1000 }},
		{"more reports", func(p *hooks.Predicate) { p.MaxReports = 100_000 }},
		{"more bytes", func(p *hooks.Predicate) { p.MaxBytes *= 2 }},
		{"larger results", func(p *hooks.Predicate) { p.MaxResultBytes *= 2 }},
		{"a longer run", func(p *hooks.Predicate) { p.MaxRuntimeMS *= 2 }},
		{"a later end", func(p *hooks.Predicate) { p.NotAfter += 3600 }},
		{"an earlier start", func(p *hooks.Predicate) { p.NotBefore -= 3600 }},
		{"another version number", func(p *hooks.Predicate) { p.Version += 7 }},
		{"another hook's name", func(p *hooks.Predicate) { p.Hook = "harmless" }},
		{"root", func(p *hooks.Predicate) { p.As = hooks.AsRoot }},
		{"another package", func(p *hooks.Predicate) { p.Match.Package = "openssh-server" }},
		{"another file to read", func(p *hooks.Predicate) { p.Capabilities = hooks.ReadingOnly("/etc/hostname") }},
		{"a field that is not redacted", func(p *hooks.Predicate) { p.Fields[0].Raw = true }},
		{"another author", func(p *hooks.Predicate) { p.Author = "" }},
	} {
		tries = append(tries, hookTry{
			"the signed script under a changed statement: " + c.what, errs.CodeSignatureInvalid,
			func(t *testing.T, h *heist, m *target) *jobpb.HookRun {
				return h.changed(t, m, string(h.loot.script), func(p *hooks.Predicate) {
					c.change(p)
					if p.Author == "" {
						p.Author = string(h.alice2.Public().ID)
					}
				})
			},
		})
	}
	return append(tries, malformedStatements()...)
}

// malformedStatements are the real statement in another form.
func malformedStatements() []hookTry {
	edit := func(change func(string) string) func(*testing.T, *heist, *target) *jobpb.HookRun {
		return func(t *testing.T, h *heist, m *target) *jobpb.HookRun {
			run := h.stolen(m.original)
			st := change(string(run.GetStatement()))
			if st == string(run.GetStatement()) {
				t.Fatal("the statement did not change")
			}
			run.Statement = []byte(st)
			return run
		}
	}
	replace := func(old, replacement string) func(*testing.T, *heist, *target) *jobpb.HookRun {
		return edit(func(s string) string { return strings.Replace(s, old, replacement, 1) })
	}
	return []hookTry{
		{"a statement with data behind it", errs.CodeStatementMalformed, edit(func(s string) string { return s + " " })},
		{"a statement with a member twice", errs.CodeStatementMalformed, replace(`"max_percent":`, `"max_percent":100,"max_percent":`)},
		{"a statement with a member in capitals", errs.CodeStatementMalformed, replace(`"max_percent":`, `"MAX_percent":`)},
		{"a statement with a member that nobody knows", errs.CodeStatementMalformed, replace(`"max_percent":`, `"unlimited":true,"max_percent":`)},
		{"a statement without a limit", errs.CodeStatementLimit, edit(withoutRuns)},
		{"a statement with a limit of zero", errs.CodeStatementLimit, edit(func(s string) string {
			return strings.Replace(withoutRuns(s), `"max_percent":`, `"max_runs_per_peer":0,"max_percent":`, 1)
		})},
		{"a statement of another kind", errs.CodeStatementMalformed, replace("in-toto.io/Statement/v1", "in-toto.io/Statement/v0.1")},
		{"a statement of a version to come", errs.CodeStatementUnknown, replace("hookline.example/hook/v1", "hookline.example/hook/v2")},
		{"a statement of 100,000 nested lists", errs.CodeStatementMalformed, edit(func(string) string { return strings.Repeat("[", 60_000) })},
		{"no statement", errs.CodeStatementMalformed, edit(func(string) string { return "" })},
	}
}

// withoutRuns takes a limit out of a statement.
func withoutRuns(s string) string {
	from := strings.Index(s, `"max_runs_per_peer":`)
	to := strings.Index(s, `"max_percent":`)
	if from < 0 || to < from {
		return s
	}
	return s[:from] + s[to:]
}

// otherSigners are scripts of the thief under statements that are in order,
// with signatures of the wrong people, or too few.
func otherSigners() []hookTry {
	keys := func(does string, code errs.Code, author func(*heist) *signer.Signer, signers func(*heist) []*signer.Signer) hookTry {
		return hookTry{does, code, func(t *testing.T, h *heist, m *target) *jobpb.HookRun {
			return h.signed(t, m.original, canary, func(p *hooks.Predicate) { p.Author = string(author(h).Public().ID) }, signers(h)...)
		}}
	}
	alice := func(h *heist) *signer.Signer { return h.alice }
	mallory := func(h *heist) *signer.Signer { return h.mallory }
	list := func(pick func(h *heist) []*signer.Signer) func(*heist) []*signer.Signer { return pick }
	return []hookTry{
		keys("its own hook, signed with its own key as author", errs.CodeSignerUnknown, mallory,
			list(func(h *heist) []*signer.Signer { return []*signer.Signer{h.mallory} })),
		keys("its own hook under the author's name, signed with its own key", errs.CodeAuthorMissing, alice,
			list(func(h *heist) []*signer.Signer { return []*signer.Signer{h.mallory, h.mallory, h.mallory} })),
		keys("a hook that only its author signed", errs.CodeThresholdNotMet, alice,
			list(func(h *heist) []*signer.Signer { return []*signer.Signer{h.alice} })),
		keys("a hook that one reviewer of two signed", errs.CodeThresholdNotMet, alice,
			list(func(h *heist) []*signer.Signer { return []*signer.Signer{h.alice, h.bob} })),
		keys("the same, and the thief's own signature in place of the other's", errs.CodeThresholdNotMet, alice,
			list(func(h *heist) []*signer.Signer { return []*signer.Signer{h.alice, h.bob, h.mallory} })),
		keys("one reviewer's signature twice", errs.CodeThresholdNotMet, alice,
			list(func(h *heist) []*signer.Signer { return []*signer.Signer{h.alice, h.bob, h.bob} })),
		keys("the signatures of two keys of one reviewer", errs.CodeThresholdNotMet, alice,
			list(func(h *heist) []*signer.Signer { return []*signer.Signer{h.alice, h.bob, h.bob2} })),
		keys("the author's other key as a reviewer", errs.CodeThresholdNotMet, alice,
			list(func(h *heist) []*signer.Signer { return []*signer.Signer{h.alice, h.alice2, h.bob} })),
		keys("the reviewers' signatures without the author's", errs.CodeAuthorMissing, alice,
			list(func(h *heist) []*signer.Signer { return []*signer.Signer{h.bob, h.carol} })),
		keys("a hook whose author is a reviewer only", errs.CodeSignerRole, func(h *heist) *signer.Signer { return h.bob },
			list(func(h *heist) []*signer.Signer { return []*signer.Signer{h.alice, h.bob, h.carol} })),
	}
}

// otherFiles are signature files that are not what they say.
func otherFiles() []hookTry {
	return []hookTry{
		{
			"its own signature under a reviewer's key id", errs.CodeSignatureInvalid,
			func(t *testing.T, h *heist, m *target) *jobpb.HookRun {
				run := h.signed(t, m.original, canary, nil, h.alice, h.bob)
				sig, err := h.mallory.SignBytes(signing.PAE(run.GetStatement()))
				must(t, err)
				f, err := signing.EncodeFile(run.GetStatement(), sig, h.carol.Public())
				must(t, err)
				run.Signatures = append(run.Signatures, f)
				return run
			},
		},
		{
			"signatures of an older version under a newer one", errs.CodeSignatureInvalid,
			func(t *testing.T, h *heist, m *target) *jobpb.HookRun {
				run := h.signed(t, m.original, canary, nil, h.alice)
				run.Signatures = append(run.Signatures, h.loot.files[1:]...)
				return run
			},
		},
		{
			"the hook without any signature", errs.CodeAuthorMissing,
			func(_ *testing.T, h *heist, m *target) *jobpb.HookRun {
				run := h.stolen(m.original)
				run.Signatures = nil
				return run
			},
		},
		{
			"empty signature files", errs.CodeSignatureMalformed,
			func(_ *testing.T, h *heist, m *target) *jobpb.HookRun {
				run := h.stolen(m.original)
				run.Signatures = [][]byte{{}, {}, {}}
				return run
			},
		},
		{
			"a signature file of nested lists", errs.CodeSignatureMalformed,
			func(_ *testing.T, h *heist, m *target) *jobpb.HookRun {
				run := h.stolen(m.original)
				run.Signatures[0] = []byte(strings.Repeat("[", 100_000))
				return run
			},
		},
		{
			"a signature file that names a key by an address", errs.CodeSignatureMalformed,
			func(t *testing.T, h *heist, m *target) *jobpb.HookRun {
				run := h.stolen(m.original)
				sum := fmt.Sprintf("%x", "https://thief.example/key.pub#12")
				f, err := signing.ParseFile(run.GetSignatures()[0])
				must(t, err)
				hint := base64.StdEncoding.EncodeToString(mustHex(t, string(f.Hint)))
				uri := base64.StdEncoding.EncodeToString([]byte("https://thief.example/key.pub?" + sum))
				run.Signatures[0] = bytes.Replace(run.GetSignatures()[0], []byte(hint), []byte(uri), 1)
				return run
			},
		},
		{
			"a signature file that brings the thief's public key along", errs.CodeSignatureMalformed,
			func(_ *testing.T, h *heist, m *target) *jobpb.HookRun {
				run := h.stolen(m.original)
				key := base64.StdEncoding.EncodeToString(h.mallory.Public().SPKI)
				run.Signatures[0] = bytes.Replace(run.GetSignatures()[0], []byte(`"publicKey":{`), []byte(`"publicKey":{"rawBytes":"`+key+`",`), 1)
				return run
			},
		},
	}
}

// otherOriginals are the real hook over reports that it does not belong to.
func otherOriginals() []hookTry {
	of := func(does string, original func(m *target, h *heist) string) hookTry {
		return hookTry{does, errs.CodeOriginalUnknown, func(_ *testing.T, h *heist, m *target) *jobpb.HookRun {
			return h.stolen(original(m, h))
		}}
	}
	return []hookTry{
		of("the hook for a report that no machine filed", func(*target, *heist) string { return "01935b1e-0000-7000-8000-000000000000" }),
		of("the hook for another machine's report", func(m *target, h *heist) string {
			for id := range h.loot.reports {
				if id != m.original {
					return id
				}
			}
			return ""
		}),
		of("the hook for a report whose id is a path", func(*target, *heist) string { return "../pin" }),
		of("the hook for a report without an id", func(*target, *heist) string { return "" }),
		of("the hook for a report whose id is an address", func(*target, *heist) string { return "file:///etc/shadow" }),
		of("the hook for a report with the right id in capitals", func(m *target, _ *heist) string { return strings.ToUpper(m.original) }),
	}
}

// otherMachines are hooks that everybody signed, for others, for then, or for
// more than this machine's owner allows.
func otherMachines() []hookTry {
	all := func(does string, code errs.Code, change func(t *testing.T, h *heist, m *target, p *hooks.Predicate)) hookTry {
		return hookTry{does, code, func(t *testing.T, h *heist, m *target) *jobpb.HookRun {
			return h.signed(t, m.original, canary, func(p *hooks.Predicate) { change(t, h, m, p) }, h.everybody()...)
		}}
	}
	hour := int64(time.Hour / time.Second)
	return []hookTry{
		all("a hook that has expired", errs.CodeExpired, func(_ *testing.T, _ *heist, _ *target, p *hooks.Predicate) {
			p.NotBefore, p.NotAfter = p.NotBefore-3*hour, p.NotBefore-hour
		}),
		all("a hook whose time has not come", errs.CodeNotYetValid, func(_ *testing.T, _ *heist, _ *target, p *hooks.Predicate) {
			p.NotBefore, p.NotAfter = p.NotAfter+hour, p.NotAfter+2*hour
		}),
		all("a hook that lives longer than the policy allows", errs.CodeLifetimeTooLong, func(_ *testing.T, _ *heist, _ *target, p *hooks.Predicate) {
			p.NotAfter = p.NotBefore + 14*24*hour + 1
		}),
		all("another deployment's hook, which the same people signed with the same keys", errs.CodeWrongDeployment, func(_ *testing.T, _ *heist, _ *target, p *hooks.Predicate) {
			p.Deployment = "d-00112233445566778899aabbccddeeff"
		}),
		all("a hook for another package, whatever its own copy of the report says by now", errs.CodeNoMatch, func(_ *testing.T, _ *heist, _ *target, p *hooks.Predicate) {
			p.Match.Package = "nginx"
		}),
		all("a hook for another version of the package", errs.CodeNoMatch, func(_ *testing.T, _ *heist, _ *target, p *hooks.Predicate) {
			p.Match.From = "2.0"
		}),
		all("a hook for another problem", errs.CodeNoMatch, func(_ *testing.T, _ *heist, _ *target, p *hooks.Predicate) {
			p.Level, p.Match = hooks.LevelProblem, hooks.Match{Fingerprints: []string{"/usr/bin/other:11:main"}}
		}),
		all("a hook for other machines by their signed share", errs.CodeNotInRollout, func(t *testing.T, h *heist, m *target, p *hooks.Predicate) {
			p.MaxPercent = 1
			for again := *p; ; p.Version++ {
				again = *p
				st := h.statementOf(t, canary, func(q *hooks.Predicate) { *q = again })
				if !hooks.InRollout(hooks.Digest(st), m.spki, 1) {
					return
				}
			}
		}),
		all("a hook of root, on a machine whose owner did not allow that", errs.CodeOwnerCeiling, func(_ *testing.T, _ *heist, _ *target, p *hooks.Predicate) {
			p.As = hooks.AsRoot
		}),
	}
}

// hookTries are all of them.
func hookTries() []hookTry {
	return slices.Concat(otherScripts(), changedStatements(), otherSigners(), otherFiles(), otherOriginals(), otherMachines())
}
