package main

import (
	"strings"
	"testing"

	"hookline/hooks"
	"hookline/signing"
)

// wider is version 4 with more of everything than what was approved.
func wider(p *hooks.Predicate) {
	p.As, p.MaxReports, p.MaxPercent = hooks.AsRoot, 50, 100
	p.Capabilities.FSRead = []string{"/etc/**"}
	p.Fields = append(p.Fields, hooks.DeclaredField{Name: "B", Type: hooks.TypeText, Class: hooks.ClassTechnical, MaxBytes: 9, Raw: true})
}

func numbered(n int64) func(*hooks.Predicate) {
	return func(p *hooks.Predicate) { p.Version, p.MaxPercent = n, 100 }
}

// A reviewer sees what is new since the last version that people approved, as
// this machine found it.
func TestApproveShowsTheDifference(t *testing.T) {
	h := newShelf(t)
	h.put("superseded", hookScript, numbered(1), bob())
	h.put("active", hookScript, numbered(2), bob())
	h.put("rejected", "-- never approved\n", numbered(3))
	digest := h.put("submitted", hookScript+"-- evil\x1b[2J\u202e\r\n", wider).Digest
	_, out := h.hookline("review", "approve", digest, "--key", h.path("bob.key"), "--yes")
	for _, want := range []string{
		"difference to answer@2, the last approved version (verified on this machine: author alice, 1 of 1 reviewers: bob)",
		"WIDER  runs as      service: an unprivileged user of the peer → ROOT",
		"+      uses         as.root",
		"-      reads files  /proc/meminfo",
		"+      reads files  /etc/** (everything below, at any depth)",
		"+      brings back  B: text, technical, at most 9 bytes RAW",
		"WIDER  results      3 → 50",
		"script, changed since answer@2\n@@ -1 +1,2 @@\n   report.set(\"A\", 1)\n+  -- evil\\x1b[2J\\u202e\\x0d\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.ContainsAny(out, "\x1b\u202e\r") {
		t.Error("the terminal is the script's")
	}
}

// The server's word for what was approved is worth nothing.
func TestDifferenceIsVerified(t *testing.T) {
	for name, tt := range map[string]struct {
		lie  func(h *shelf)
		want []string
		not  string
	}{
		"never approved": {func(h *shelf) { h.versions[0].State = "rejected" }, []string{"no earlier version of answer was approved"}, "difference to"},
		"not approved by people": {
			func(h *shelf) { h.versions[0].Signatures = h.versions[0].Signatures[:1] },
			[]string{"WARNING: the server offers an earlier version as approved", "answer@2: cannot accept the hook: 0 of 1 reviewers", "READ THE WHOLE"},
			"difference to",
		},
		"another under its name": {
			func(h *shelf) { h.versions[0].Number = 3 },
			[]string{"WARNING: the server offers", "the server sent answer@2 instead", "READ THE WHOLE"},
			"difference to",
		},
		"another script": {
			func(h *shelf) { h.versions[0].Script = []byte("x") },
			[]string{"WARNING: the server offers", "another script than the statement names", "READ THE WHOLE"},
			"difference to",
		},
		"revoked since": {func(h *shelf) {
			h.put("superseded", "-- old\n", numbered(1), bob())
			h.revoke(signing.Revocation{Kind: signing.RevokeVersion, Value: h.versions[0].Digest, Reason: "loud"})
		}, []string{"answer@2 was approved, and revoked since", "difference to answer@1", "-  -- old"}, "difference to answer@2"},
		"the same": {func(*shelf) {}, []string{"the statement says the same, for a later time", "the script is the same"}, "WARNING: the server"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newShelf(t)
			h.put("active", hookScript, numbered(2), bob())
			tt.lie(h)
			digest := h.put("submitted", hookScript, nil).Digest
			_, out := h.hookline("review", "approve", digest, "--key", h.path("bob.key"), "--yes")
			for _, want := range tt.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
			if strings.Contains(out, tt.not) {
				t.Errorf("%q in\n%s", tt.not, out)
			}
		})
	}
}

// An author sees the same before signing; and the script where there is
// nothing to compare with. A revoked version had its number all the same.
func TestSubmitShowsTheDifference(t *testing.T) {
	h := newShelf(t)
	serve := h.thief.answer
	h.serveJob(crash())
	dir := h.initFolder()
	h.thief.answer = serve
	f, err := readFolder([]string{dir})
	h.must(err)
	submit := []string{"hook", "submit", dir, "--key", h.path("alice.key"), "--no-lint"}
	h.want(0, "all of it is new\n\nscript, ", submit...)
	h.want(0, "answer@2", submit...)
	h.versions = nil
	h.put("active", string(f.script)+"-- gone\n", nil, bob())
	h.want(0, "\n-  -- gone\n", submit...)
	h.versions = h.versions[:1]
	h.revoke(signing.Revocation{Kind: signing.RevokeVersion, Value: h.versions[0].Digest, Reason: "loud"})
	h.want(0, "answer@5", submit...)
	h.versions = h.versions[:1]
	h.revoke(signing.Revocation{Kind: signing.RevokeKey, Value: string(h.alice.Public().ID), Reason: "lost"})
	h.thief.got = nil
	h.want(4, "does not prove it", submit...)
	if h.thief.got != nil {
		t.Error("a revoked key's version was sent")
	}
}
