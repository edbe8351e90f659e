package signing_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/signer"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// checks are the names of all checks in their order; the last is Explain's own.
var checks = []string{
	signing.CheckStatement, signing.CheckDeployment, signing.CheckScript, signing.CheckLifetime, signing.CheckForbidden,
	signing.CheckRevoked, signing.CheckAuthor, signing.CheckSignatures, signing.CheckThreshold, "window",
}

func TestExplainGoodVersion(t *testing.T) {
	k := newTeam(t)
	st := k.statement(t, nil)
	r := signing.Rules{Policy: k.load(t), Now: start, Revoked: signing.NewRevocations(revoked(signing.RevokeHook, "other"))}
	passed := func(name, detail string) signing.Step {
		return signing.Step{Name: name, Verdict: signing.VerdictPassed, Detail: detail}
	}
	standing := "author alice, 2 of 2 reviewers: bob, carol"
	want := []signing.Step{
		passed("statement", "answer@1, digest "+hooks.Digest(st)[:16]+"…"),
		passed("deployment", deployment),
		passed("script", fmt.Sprintf("%d bytes, sha256 %s…", len(script), hooks.Digest([]byte(script))[:16])),
		passed("lifetime", "7d of at most 14d"),
		passed("capabilities", "fs.read, class.technical"),
		passed("revocations", "none of 1 revokes it"),
		passed("author", "alice, key "+k.alice.Public().ID.Short()),
		passed("signatures", standing),
		passed("threshold", standing),
		passed("window", ""),
	}
	if diff := cmp.Diff(want, r.Explain([]byte(script), st, sign(t, st, k.alice, k.bob, k.carol))); diff != "" {
		t.Error(diff)
	}
}

// One refusal at each check: those before it passed, those behind it were not
// reached.
func TestExplainRefusals(t *testing.T) {
	k := newTeam(t)
	good := k.statement(t, nil)
	three := []*signer.Signer{k.alice, k.bob, k.carol}
	type input struct {
		rules  signing.Rules
		script string
		st     []byte
		files  [][]byte
	}
	tests := []struct {
		check, name string
		code        errs.Code
		change      func(*input)
	}{
		{signing.CheckStatement, "a space", errs.CodeStatementMalformed, func(in *input) { in.st = edited(`":`, `": `)(in.st) }},
		{signing.CheckStatement, "too many files", errs.CodeSignatureMalformed, func(in *input) { in.files = slices.Repeat(in.files, 6) }},
		{signing.CheckDeployment, "another", errs.CodeWrongDeployment, func(in *input) { in.rules.Policy.Deployment = "d-" + strings.Repeat("e", 32) }},
		{signing.CheckScript, "another", errs.CodeScriptDigest, func(in *input) { in.script += " " }},
		{signing.CheckLifetime, "too long", errs.CodeLifetimeTooLong, func(in *input) { in.rules.Policy.MaxLifetime = time.Hour }},
		{signing.CheckForbidden, "fs.read", errs.CodeCapabilityForbidden, func(in *input) { in.rules.Policy.Forbidden = []string{signing.CapFSRead} }},
		{signing.CheckRevoked, "the hook", errs.CodeRevoked, func(in *input) {
			in.rules.Revoked = signing.NewRevocations(revoked(signing.RevokeHook, "answer"))
		}},
		{signing.CheckAuthor, "not in the policy", errs.CodeSignerUnknown, func(in *input) { in.rules.Policy.Persons = in.rules.Policy.Persons[1:] }},
		{signing.CheckAuthor, "no author", errs.CodeSignerRole, func(in *input) { in.rules.Policy.Persons[0].Roles = []signing.Role{signing.RoleReviewer} }},
		{signing.CheckAuthor, "revoked", errs.CodeRevoked, func(in *input) {
			in.rules.Revoked = signing.NewRevocations(revoked(signing.RevokeKey, string(k.alice.Public().ID)))
		}},
		{signing.CheckAuthor, "outside of its window", errs.CodeKeyWindow, func(in *input) {
			in.rules.Policy.Persons[0].Windows = map[signing.KeyID]signing.Window{k.alice.Public().ID: {Until: start}}
		}},
		{signing.CheckSignatures, "missing", errs.CodeAuthorMissing, func(in *input) { in.files = in.files[1:] }},
		{signing.CheckSignatures, "wrong", errs.CodeSignatureInvalid, func(in *input) {
			in.files[1] = moved(t, sign(t, good, k.mallory)[0], good, k.bob.Public())
		}},
		{signing.CheckThreshold, "one short", errs.CodeThresholdNotMet, func(in *input) { in.files = in.files[:2] }},
		{"window", "too early", errs.CodeNotYetValid, func(in *input) { in.rules.Now = start.Add(-1) }},
		{"window", "over", errs.CodeExpired, func(in *input) { in.rules.Floor = start.Add(7 * 24 * time.Hour) }},
	}
	for _, tt := range tests {
		t.Run(tt.check+"/"+tt.name, func(t *testing.T) {
			in := &input{signing.Rules{Policy: k.load(t), Now: start}, script, good, sign(t, good, three...)}
			tt.change(in)
			steps := in.rules.Explain([]byte(in.script), in.st, in.files)
			at := slices.Index(checks, tt.check)
			for i, s := range steps {
				switch {
				case s.Name != checks[i]:
					t.Errorf("step %d is %q, want %q", i, s.Name, checks[i])
				case i < at && (s.Verdict != signing.VerdictPassed || s.Code != "" || s.Hint != ""):
					t.Errorf("%s: %+v, want it passed", s.Name, s)
				case i == at && (s.Verdict != signing.VerdictRefused || s.Code != tt.code || s.Detail == ""):
					t.Errorf("%s: %+v, want it refused with %s", s.Name, s, tt.code)
				case i > at && s != (signing.Step{Name: s.Name, Verdict: signing.VerdictNotReached}):
					t.Errorf("%s: %+v, want it not reached", s.Name, s)
				}
			}
			if len(steps) != len(checks) || refusedAt(steps) != tt.check {
				t.Errorf("%d steps, refused at %q", len(steps), refusedAt(steps))
			}
		})
	}
}

// scene is a version with its rules, drawn at random, and what a model of a
// few lines says about it.
type scene struct {
	rules     signing.Rules
	script    []byte
	statement []byte
	files     [][]byte
	accepted  bool // by the model: the window of the version aside
}

// drawScene revokes, bounds and signs at random. The model counts people: it
// knows nothing of files, order and keys that sign twice.
func drawScene(t *rapid.T, tb testing.TB, k *team) scene {
	holders := []struct {
		person string
		key    *signer.Signer
	}{{"alice", k.alice}, {"alice", k.alice2}, {"bob", k.bob}, {"bob", k.bob2}, {"carol", k.carol}, {"mallory", k.mallory}, {"dave", k.dave}}
	// rapid likes small numbers too much to draw shares with them.
	dice := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	some := func(percent int) bool { return dice.IntN(100) < percent }
	hours := func(low, high int) time.Time { return start.Add(time.Duration(low+dice.IntN(high-low+1)) * time.Hour) }

	other := *k
	other.policy.Reviewers = 1 + dice.IntN(2)
	other.policy.Needs = map[string]int{signing.CapAsReporter: 1 + dice.IntN(3)}
	other.policy.Persons = slices.Clone(k.policy.Persons)
	asReporter := some(30)
	st := k.statement(tb, func(p *hooks.Predicate) {
		if asReporter {
			p.As = hooks.AsReporter
		}
	})
	s := scene{script: []byte(script), statement: st, accepted: true}
	now, floor := hours(-1, 2), hours(-1, 2)
	latest := now
	if floor.After(now) {
		latest = floor
	}

	void := map[signing.KeyID]bool{}
	for i := range other.policy.Persons {
		person := &other.policy.Persons[i]
		person.Windows = map[signing.KeyID]signing.Window{}
		for _, key := range person.Keys {
			if some(30) {
				w := signing.Window{From: hours(-1, 2), Until: start.Add(3 * time.Hour)}
				if some(50) {
					w = signing.Window{Until: hours(-1, 3)}
				}
				person.Windows[key.ID] = w
				void[key.ID] = now.Before(w.From) || !latest.Before(w.Until)
			}
		}
	}
	var list []signing.Revocation
	if some(3) {
		list = append(list, revoked(signing.RevokeVersion, hooks.Digest(st)))
		s.accepted = false
	}
	signed, people := map[signing.KeyID]bool{}, map[string]bool{}
	for _, h := range holders {
		id := h.key.Public().ID
		if some(15) {
			list = append(list, revoked(signing.RevokeKey, string(id)))
			void[id] = true
		}
		if some(10) {
			list = append(list, revoked(signing.RevokeApproval, signing.ApprovalValue(hooks.Digest(st), id)))
			void[id] = true
		}
		if (h.person != "dave" || some(10)) && some(80) {
			s.files = append(s.files, sign(tb, st, h.key)[0])
			signed[id] = true
			if !void[id] && h.person != "alice" && h.person != "mallory" {
				people[h.person] = true
			}
		}
	}
	if len(s.files) > 0 && some(30) {
		s.files = append(s.files, s.files[dice.IntN(len(s.files))])
	}
	dice.Shuffle(len(s.files), func(i, j int) { s.files[i], s.files[j] = s.files[j], s.files[i] })
	if len(s.files) > 0 && some(5) {
		s.files[0] = append(slices.Clone(s.files[0]), 'x')
		s.accepted = false
	}
	if some(3) {
		s.script, s.accepted = []byte("x"), false
	}
	needed := other.policy.Reviewers
	if asReporter {
		needed = max(needed, other.policy.Needs[signing.CapAsReporter])
	}
	author := k.alice.Public().ID
	s.accepted = s.accepted && signed[author] && !void[author] && !signed[k.dave.Public().ID] && len(people) >= needed
	policy, err := signing.ParsePolicy(other.policy.YAML())
	if err != nil {
		t.Skip("not a policy: " + err.Error())
	}
	s.rules = signing.Rules{Policy: policy, Revoked: signing.NewRevocations(list...), Floor: floor, Now: now}
	return s
}

// Verify, Examine and Explain never disagree with each other, nor with a
// model that counts people.
func TestVerifyExamineExplainAgree(t *testing.T) {
	k := newTeam(t)
	accepted, refused := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		s := drawScene(rt, t, k)
		v, err := s.rules.Verify(s.script, s.statement, s.files)
		st, standing, examined := s.rules.Examine(s.script, s.statement, s.files)
		steps := s.rules.Explain(s.script, s.statement, s.files)

		if (err == nil) != s.accepted {
			rt.Fatalf("Verify says %v, the model %v", err, s.accepted)
		}
		i := slices.IndexFunc(steps, func(s signing.Step) bool { return s.Verdict == signing.VerdictRefused })
		if i < 0 {
			i = len(steps)
		}
		for j, step := range steps {
			if step.Name != checks[j] || (j < i) != (step.Verdict == signing.VerdictPassed) || (j > i) != (step.Verdict == signing.VerdictNotReached) {
				rt.Fatalf("steps %+v", steps)
			}
		}
		if err != nil {
			refused++
			if v != nil || i > slices.Index(checks, signing.CheckThreshold) || steps[i].Code != errs.CodeOf(err) || steps[i].Detail != err.Error() {
				rt.Fatalf("Verify says %v, Explain %+v", err, steps)
			}
			early := checks[i] != signing.CheckThreshold
			if (examined != nil) != early || early && examined.Error() != err.Error() || !early && standing.Met() {
				rt.Fatalf("Verify says %v, Examine %v with %v", err, examined, standing)
			}
			return
		}
		accepted++
		if examined != nil || !standing.Met() || cmp.Diff(standing, v.Standing()) != "" || cmp.Diff(st, v.Statement()) != "" {
			rt.Fatalf("Verify accepts, Examine says %v with %v", examined, standing)
		}
		window := v.CheckWindow(s.rules.Floor, s.rules.Now)
		if last := steps[len(steps)-1]; i < len(steps)-1 || (window == nil) != (i == len(steps)) || errs.CodeOf(window) != last.Code {
			rt.Fatalf("CheckWindow says %v, Explain %+v", window, steps)
		}
	})
	if accepted == 0 || refused == 0 {
		t.Errorf("%d accepted, %d refused: the property saw one side only", accepted, refused)
	}
}
