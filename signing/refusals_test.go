package signing_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/signer"
)

// What must be refused, one row for each, in the words of the threat. The
// rules behind them have tables of their own: TestRefusals, TestFileRefusals,
// TestPolicyRefusals, TestVerifyRevoked, TestKeyWindows, TestCheckWindow.
func TestWhatMustBeRefused(t *testing.T) {
	k := newTeam(t)
	good := k.statement(t, nil)
	all := []*signer.Signer{k.alice, k.bob, k.carol}
	// What is edited is signed again where it can be: it must not be the
	// signatures that save us.
	resigned := func(change func([]byte) []byte) func(*testing.T) ([]byte, [][]byte) {
		return func(t *testing.T) ([]byte, [][]byte) {
			st := change(good)
			if bytes.Equal(st, good) {
				t.Fatal("nothing changed")
			}
			var f [][]byte
			for _, s := range all { // a Signer itself signs no such statement
				f = append(f, signedBytes(t, s, st, signing.PAE(st)))
			}
			return st, f
		}
	}
	files := func(change func([][]byte) [][]byte) func(*testing.T) ([]byte, [][]byte) {
		return func(t *testing.T) ([]byte, [][]byte) { return good, change(sign(t, good, all...)) }
	}
	edit := func(i int, old, replacement string) func([][]byte) [][]byte {
		return func(f [][]byte) [][]byte {
			f[i] = edited(old, replacement)(f[i])
			return f
		}
	}
	signedBy := func(signers ...*signer.Signer) func(*testing.T) ([]byte, [][]byte) {
		return func(t *testing.T) ([]byte, [][]byte) { return good, sign(t, good, signers...) }
	}
	for _, tt := range []struct {
		name string
		code errs.Code
		make func(*testing.T) ([]byte, [][]byte)
	}{
		{"predicate byte changed after signing", errs.CodeSignatureInvalid, func(t *testing.T) ([]byte, [][]byte) {
			return edited(`"max_reports":3`, `"max_reports":4`)(good), sign(t, good, all...)
		}},
		{"predicate byte changed in one file alone", errs.CodeSignatureInvalid, func(t *testing.T) ([]byte, [][]byte) {
			wider := edited(`"max_reports":3`, `"max_reports":4`)(good)
			f := sign(t, good, all...)
			f[2] = moved(t, f[2], wider, k.carol.Public())
			return good, f
		}},
		{"payload type swapped", errs.CodeSignatureMalformed, files(edit(1, hooks.PayloadType, "application/vnd.in-toto.layout+json"))},
		{"payload type empty", errs.CodeSignatureMalformed, files(edit(1, hooks.PayloadType, ""))},
		{"predicate type swapped", errs.CodeStatementUnknown, resigned(edited(hooks.PredicateType, "https://slsa.dev/provenance/v1"))},
		{"predicate type of a later version", errs.CodeStatementUnknown, resigned(edited(hooks.PredicateType, "https://hookline.example/hook/v2"))},
		{"predicate type in capitals", errs.CodeStatementUnknown, resigned(edited("/hook/v1", "/Hook/v1"))},
		{"statement v0.1", errs.CodeStatementMalformed, resigned(edited("Statement/v1", "Statement/v0.1"))},
		{"statement with trailing data", errs.CodeStatementMalformed, resigned(func(b []byte) []byte { return append(slices.Clone(b), "{}"...) })},
		{"statement with a line break behind it", errs.CodeStatementMalformed, resigned(func(b []byte) []byte { return append(slices.Clone(b), '\n') })},
		{"statement twice", errs.CodeStatementMalformed, resigned(func(b []byte) []byte { return append(slices.Clone(b), b...) })},
		{"unknown member", errs.CodeStatementMalformed, resigned(edited(`"hook":`, `"hooks":"x","hook":`))},
		{"duplicate member", errs.CodeStatementMalformed, resigned(edited(`"max_reports":3`, `"max_reports":3,"max_reports":3`))},
		{"duplicate member, another value last", errs.CodeStatementMalformed, resigned(edited(`"max_reports":3`, `"max_reports":3,"max_reports":999`))},
		{"case-variant member", errs.CodeStatementMalformed, resigned(edited(`"max_reports"`, `"Max_Reports"`))},
		{"case-variant beside the right one", errs.CodeStatementMalformed, resigned(edited(`"max_reports":3`, `"max_reports":3,"MAX_REPORTS":999`))},
		{"member with an escape", errs.CodeStatementMalformed, resigned(edited(`"max_reports"`, `"max\u005freports"`))},
		{"members in another order", errs.CodeStatementMalformed, resigned(edited(`"max_reports":3,"max_runs_per_peer":1`, `"max_runs_per_peer":1,"max_reports":3`))},
		{"missing limit", errs.CodeStatementLimit, resigned(edited(`"max_reports":3,`, ``))},
		{"limit of zero", errs.CodeStatementLimit, resigned(edited(`"max_reports":3`, `"max_reports":0`))},
		{"limit below zero", errs.CodeStatementLimit, resigned(edited(`"max_reports":3`, `"max_reports":-1`))},
		{"limit with a fraction", errs.CodeStatementMalformed, resigned(edited(`"max_reports":3`, `"max_reports":3.0`))},
		{"limit with an exponent", errs.CodeStatementMalformed, resigned(edited(`"max_reports":3`, `"max_reports":3e0`))},
		{"limit as text", errs.CodeStatementMalformed, resigned(edited(`"max_reports":3`, `"max_reports":"3"`))},
		{"limit null", errs.CodeStatementLimit, resigned(edited(`"max_reports":3`, `"max_reports":null`))},
		{"below threshold", errs.CodeThresholdNotMet, signedBy(k.alice, k.bob)},
		{"same file twice", errs.CodeThresholdNotMet, signedBy(k.alice, k.bob, k.bob)},
		{"two signatures of one key", errs.CodeThresholdNotMet, func(t *testing.T) ([]byte, [][]byte) {
			f := sign(t, good, k.alice, k.bob, k.bob) // ECDSA: the two differ
			if bytes.Equal(f[1], f[2]) {
				t.Fatal("the test needs two signatures that differ")
			}
			return good, f
		}},
		{"two signatures of one key in one file", errs.CodeSignatureMalformed, files(func(f [][]byte) [][]byte {
			sig := string(f[1][bytes.Index(f[1], []byte(`{"sig"`)):bytes.LastIndexByte(f[1], ']')])
			return append(f[:1:1], edited(sig, sig+","+sig)(f[1]))
		})},
		{"two keys of one person", errs.CodeThresholdNotMet, signedBy(k.alice, k.bob, k.bob2)},
		{"author as reviewer", errs.CodeThresholdNotMet, signedBy(k.alice, k.alice, k.bob)},
		{"author as reviewer with another key", errs.CodeThresholdNotMet, signedBy(k.alice, k.alice2, k.bob)},
		{"reviewers without the author", errs.CodeAuthorMissing, signedBy(k.bob, k.carol)},
		{"unknown key claiming a known id", errs.CodeSignatureInvalid, files(func(f [][]byte) [][]byte {
			f[1] = moved(t, sign(t, good, k.mallory)[0], good, k.bob.Public())
			return f
		})},
		{"known key under another person's id", errs.CodeSignatureInvalid, files(func(f [][]byte) [][]byte {
			f[2] = moved(t, sign(t, good, k.bob2)[0], good, k.carol.Public())
			return f
		})},
		{"unknown key under its own id", errs.CodeThresholdNotMet, signedBy(k.alice, k.bob, k.mallory)},
		{"no signature files", errs.CodeAuthorMissing, signedBy()},
		{"a file without signatures", errs.CodeSignatureMalformed, files(func(f [][]byte) [][]byte {
			sig := string(f[1][bytes.Index(f[1], []byte(`{"sig"`)):bytes.LastIndexByte(f[1], ']')])
			return append(f, edited(sig, "")(f[1]))
		})},
		{"an empty file", errs.CodeSignatureMalformed, files(func(f [][]byte) [][]byte { return append(f, nil) })},
		{"empty statement", errs.CodeStatementMalformed, func(t *testing.T) ([]byte, [][]byte) { return nil, sign(t, good, all...) }},
		{"wrong deployment", errs.CodeWrongDeployment, resigned(edited(deployment, "d-"+strings.Repeat("0", 32)))},
		{"no deployment", errs.CodeStatementMalformed, resigned(edited(deployment, ""))},
		{"a signature over the bare statement", errs.CodeSignatureInvalid, files(func(f [][]byte) [][]byte {
			f[1] = signedBytes(t, k.bob, good, good)
			return f
		})},
		{"a signature over the payload type of another kind", errs.CodeSignatureInvalid, files(func(f [][]byte) [][]byte {
			other := edited(" 28 "+hooks.PayloadType, " 9 text/json")(signing.PAE(good))
			f[1] = signedBytes(t, k.bob, good, other)
			return f
		})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st, f := tt.make(t)
			v, err := verify(k.load(t), []byte(script), st, f)
			wantCode(t, err, tt.code)
			if v != nil {
				t.Error("a refusal came with a Verified")
			}
		})
	}
}

// signedBytes is a file over statement whose signature is over message.
func signedBytes(t *testing.T, s *signer.Signer, statement, message []byte) []byte {
	t.Helper()
	sig, err := s.SignBytes(message)
	if err != nil {
		t.Fatal(err)
	}
	b, err := signing.EncodeFile(statement, sig, s.Public())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A policy that would let fewer people through than it says is refused when
// it is read, before it can decide anything.
func TestWhatNoPolicySays(t *testing.T) {
	k := newTeam(t)
	for name, change := range map[string]func(*signing.Policy){
		"empty":                       func(p *signing.Policy) { *p = signing.Policy{} },
		"nobody":                      func(p *signing.Policy) { p.Persons = nil },
		"threshold 0":                 func(p *signing.Policy) { p.Reviewers = 0 },
		"threshold below 0":           func(p *signing.Policy) { p.Reviewers = -1 },
		"threshold above the persons": func(p *signing.Policy) { p.Reviewers = 4 },
		"threshold that only the author's own vote would reach": func(p *signing.Policy) { p.Reviewers = 3 },
		"a capability that needs 0":                             func(p *signing.Policy) { p.Needs[signing.CapRaw] = 0 },
		"a capability that needs less than nobody":              func(p *signing.Policy) { p.Needs[signing.CapRaw] = -1 },
		"one key under two names":                               func(p *signing.Policy) { p.Persons[2].Keys = p.Persons[1].Keys },
		"one key twice under one name":                          func(p *signing.Policy) { p.Persons[2].Keys = append(p.Persons[2].Keys, p.Persons[2].Keys...) },
		"raw of a field that cannot be":                         func(p *signing.Policy) { p.Needs["raw.not a field"] = 2 },
		"raw of no field":                                       func(p *signing.Policy) { p.Forbidden = []string{"raw."} },
		"a capability in capitals":                              func(p *signing.Policy) { p.Forbidden = []string{"Raw"} },
	} {
		other := newTeam(t)
		other.policy.Persons = slices.Clone(k.policy.Persons)
		change(&other.policy)
		if p, err := signing.ParsePolicy(other.policy.YAML()); !errs.Is(err, errs.CodePolicyInvalid) || p != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// One raw field can need more people than others, and be forbidden alone.
func TestRawFields(t *testing.T) {
	k := newTeam(t)
	k.policy.Reviewers = 1
	raw := func(names ...string) []byte {
		return k.statement(t, func(p *hooks.Predicate) {
			p.Fields = nil
			for _, name := range names {
				p.Fields = append(p.Fields, hooks.DeclaredField{Name: name, Type: hooks.TypeText, Class: hooks.ClassTechnical, MaxBytes: 64, Raw: true})
			}
			p.Fields = append(p.Fields, hooks.DeclaredField{Name: "Zeta", Type: hooks.TypeText, Class: hooks.ClassTechnical, MaxBytes: 64})
		})
	}
	for _, tt := range []struct {
		name      string
		needs     map[string]int
		forbidden []string
		fields    []string
		code      errs.Code
		threshold int // RunThreshold
	}{
		{name: "no rule", fields: []string{"KernelLog"}, threshold: 2},
		{name: "the field needs 2", needs: map[string]int{"raw.KernelLog": 2}, fields: []string{"KernelLog"}, code: errs.CodeThresholdNotMet, threshold: 3},
		{name: "it does beside another", needs: map[string]int{"raw.KernelLog": 2}, fields: []string{"Answer", "KernelLog"}, code: errs.CodeThresholdNotMet, threshold: 3},
		{name: "another does not", needs: map[string]int{"raw.KernelLog": 2}, fields: []string{"KernelLog2"}, threshold: 3},
		{name: "nor redacted", needs: map[string]int{"raw.Zeta": 2}, fields: []string{"KernelLog"}, threshold: 3},
		{name: "every raw field", needs: map[string]int{signing.CapRaw: 2}, fields: []string{"KernelLog"}, code: errs.CodeThresholdNotMet, threshold: 3},
		{name: "a field's smaller need does not lower that of all", needs: map[string]int{signing.CapRaw: 2, "raw.KernelLog": 1}, fields: []string{"KernelLog"}, code: errs.CodeThresholdNotMet, threshold: 3},
		{name: "forbidden", forbidden: []string{"raw.KernelLog"}, fields: []string{"Answer", "KernelLog"}, code: errs.CodeCapabilityForbidden, threshold: 2},
		{name: "another forbidden", forbidden: []string{"raw.KernelLog"}, fields: []string{"Answer"}, threshold: 2},
		{name: "forbidden, but redacted", forbidden: []string{"raw.Zeta"}, fields: []string{"Answer"}, threshold: 2},
		{name: "a need that nobody reaches", needs: map[string]int{"raw.KernelLog": 9}, fields: []string{"KernelLog"}, code: errs.CodeThresholdNotMet, threshold: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			other := *k
			other.policy.Needs, other.policy.Forbidden = tt.needs, tt.forbidden
			p := other.load(t)
			if got := p.RunThreshold(); got != tt.threshold {
				t.Errorf("RunThreshold %d, want %d", got, tt.threshold)
			}
			st := raw(tt.fields...)
			_, err := verify(p, []byte(script), st, sign(t, st, k.alice, k.bob))
			wantCode(t, err, tt.code)
			if tt.code == errs.CodeThresholdNotMet && p.NeededFor(predicateOf(t, st)) == 2 {
				_, err = verify(p, []byte(script), st, sign(t, st, k.alice, k.bob, k.carol))
				wantCode(t, err, "")
			}
		})
	}
}

func predicateOf(t *testing.T, statement []byte) hooks.Predicate {
	t.Helper()
	st, err := hooks.ParseStatement(statement)
	if err != nil {
		t.Fatal(err)
	}
	return st.Predicate
}

// RunThreshold is the largest number of people that any hook can need, and
// never more than there are.
func TestRunThreshold(t *testing.T) {
	k := newTeam(t)
	for _, tt := range []struct {
		name   string
		change func(*signing.Policy)
		want   int
	}{
		{"two reviewers; root's three cannot be had", nil, 3},
		{"one reviewer", func(p *signing.Policy) { p.Reviewers = 1 }, 2},
		{"one reviewer, two for root", func(p *signing.Policy) { p.Reviewers, p.Needs = 1, map[string]int{signing.CapAsRoot: 2} }, 3},
		{"a need below the reviewers", func(p *signing.Policy) { p.Needs = map[string]int{signing.CapAsRoot: 1} }, 3},
		{"solo", func(p *signing.Policy) {
			p.Profile, p.Reviewers, p.Persons = signing.ProfileSolo, 0, p.Persons[:1]
		}, 1},
		{"solo with others for root", func(p *signing.Policy) {
			p.Profile, p.Reviewers, p.Needs = signing.ProfileSolo, 0, map[string]int{signing.CapAsRoot: 2}
		}, 3},
	} {
		other := *k
		if tt.change != nil {
			tt.change(&other.policy)
		}
		if got := other.load(t).RunThreshold(); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// Size, number and grammar of everything are looked at before the first
// signature is verified: a wrong signature in front is not reached.
func TestCapsComeBeforeCryptography(t *testing.T) {
	k := newTeam(t)
	p := k.load(t)
	good := k.statement(t, nil)
	wrong := moved(t, sign(t, good, k.mallory)[0], good, k.bob.Public())
	if _, err := verify(p, []byte(script), good, [][]byte{wrong}); errs.CodeOf(err) != errs.CodeSignatureInvalid {
		t.Fatalf("the wrong signature says %v", err)
	}
	deep := []byte(strings.Repeat("[", 60_000))
	for _, tt := range []struct {
		name      string
		script    string
		statement []byte
		last      []byte // the last signature file
		code      errs.Code
	}{
		{"a signature file too long", script, good, bytes.Repeat([]byte(" "), signing.MaxSignatureFileBytes+1), errs.CodeSignatureMalformed},
		{"a deep signature file", script, good, deep, errs.CodeSignatureMalformed},
		{"a deep signature file that is balanced", script, good, []byte(strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000)), errs.CodeSignatureMalformed},
		{"a signature file of other members", script, good, edited(`"sig"`, `"Sig"`)(wrong), errs.CodeSignatureMalformed},
		{"a statement too long", script, append(slices.Clone(good), bytes.Repeat([]byte(" "), hooks.MaxStatementBytes)...), wrong, errs.CodeStatementMalformed},
		{"a deep statement", script, deep, wrong, errs.CodeStatementMalformed},
		{"a statement of many values", script, []byte("[" + strings.Repeat("1,", hooks.MaxStatementValues) + "1]"), wrong, errs.CodeStatementMalformed},
		{"a script too long", strings.Repeat("-", hooks.MaxScriptBytes+1), good, wrong, errs.CodeTooLarge},
		{"another script", script + " ", good, wrong, errs.CodeScriptDigest},
	} {
		_, err := verify(p, []byte(tt.script), tt.statement, [][]byte{wrong, wrong, tt.last})
		if errs.CodeOf(err) != tt.code {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.code)
		}
	}
}

// A flood of wrong signatures is refused without verifying them: in less
// time than a hundredth of the verifications would take.
func TestFloodOfSignatures(t *testing.T) {
	k := newTeam(t)
	p := k.load(t)
	st := k.statement(t, nil)
	const flood = 20_000
	for name, files := range floods(t, k, st, flood) {
		_, err := verify(p, []byte(script), st, files)
		if !errs.Is(err, errs.CodeSignatureMalformed) && !errs.Is(err, errs.CodeSignatureInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if name == atTheCap && (err == nil || !strings.Contains(err.Error(), "many signatures")) {
			t.Errorf("%s: %v: they were decoded", name, err)
		}
		ours := quickest(5, func() { _, _ = verify(p, []byte(script), st, files) })
		if raw := quickest(5, rawVerify(t, k.bob, st)) * flood / 100; ours > raw {
			t.Errorf("%s: refused in %v, a hundredth of the verifications takes %v", name, ours, raw)
		}
	}
}

// atTheCap is the way that costs most to decode.
const atTheCap = "in one file at the cap of a file"

// floods are ways to send n wrong signatures.
func floods(t testing.TB, k *team, st []byte, n int) map[string][][]byte {
	t.Helper()
	f, err := signing.ParseFile(sign(t, st, k.mallory)[0])
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := signing.EncodeFile(st, f.Sig, k.bob.Public())
	if err != nil {
		t.Fatal(err)
	}
	sig := wrong[bytes.Index(wrong, []byte(`{"sig"`)):bytes.LastIndexByte(wrong, ']')]
	within := (signing.MaxSignatureFileBytes - len(wrong)) / (len(sig) + 1)
	many := func(n int) []byte {
		return bytes.Replace(wrong, sig, bytes.Repeat(append(slices.Clone(sig), ','), n)[:n*(len(sig)+1)-1], 1)
	}
	return map[string][][]byte{
		"in a file each":                    slices.Repeat([][]byte{wrong}, n),
		"in one file":                       {many(n)},
		atTheCap:                            {many(within)},
		"in as many files as are looked at": slices.Repeat([][]byte{wrong}, signing.MaxSignatureFiles),
	}
}

func quickest(n int, f func()) time.Duration {
	best := time.Hour
	for range n {
		begin := time.Now()
		f()
		best = min(best, time.Since(begin))
	}
	return best
}

// rawVerify is one verification of a signature of s.
func rawVerify(t testing.TB, s *signer.Signer, st []byte) func() {
	t.Helper()
	key, ok := s.Public().Key.(*ecdsa.PublicKey)
	if !ok {
		t.Fatal("not a P-256 key")
	}
	f, err := signing.ParseFile(sign(t, st, s)[0])
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		sum := sha256.Sum256(signing.PAE(st))
		if !ecdsa.VerifyASN1(key, sum[:], f.Sig) {
			t.Fatal("wrong signature")
		}
	}
}

// Everybody in the largest policy signs with everything they have: the number
// of files is what bounds the work.
func TestMostSignatures(t *testing.T) {
	k := newTeam(t)
	st := k.statement(t, nil)
	signers := []*signer.Signer{k.alice}
	for i := range signing.MaxSignatureFiles {
		name := fmt.Sprintf("r%d", i)
		s := newSigner(t, name)
		signers = append(signers, s)
		k.policy.Persons = append(k.policy.Persons, person(name, []signing.Role{signing.RoleReviewer}, s))
	}
	k.policy.Reviewers = signing.MaxSignatureFiles - 1
	p := k.load(t)
	if _, err := verify(p, []byte(script), st, sign(t, st, signers[:signing.MaxSignatureFiles]...)); err != nil {
		t.Errorf("as many as fit: %v", err)
	}
	_, err := verify(p, []byte(script), st, sign(t, st, signers...))
	wantCode(t, err, errs.CodeSignatureMalformed)
}
