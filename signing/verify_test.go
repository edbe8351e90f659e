package signing_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/asn1"
	"math/big"
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

func TestVerify(t *testing.T) {
	k := newTeam(t)
	st := k.statement(t, nil)
	v, err := verify(k.load(t), []byte(script), st, sign(t, st, k.carol, k.alice, k.bob))
	if err != nil {
		t.Fatal(err)
	}
	want := signing.Standing{
		Author: signing.Signer{Person: "alice", KeyID: k.alice.Public().ID},
		Reviewers: []signing.Signer{
			{Person: "bob", KeyID: k.bob.Public().ID},
			{Person: "carol", KeyID: k.carol.Public().ID},
		},
		Unknown: []signing.KeyID{},
		Needed:  2,
	}
	if diff := cmp.Diff(want, v.Standing()); diff != "" {
		t.Error(diff)
	}
	if v.Digest() != hooks.Digest(st) || v.Statement().Predicate.Hook != "answer" || v.Profile() != signing.ProfileTeam {
		t.Errorf("verified %s %+v %s", v.Digest(), v.Statement(), v.Profile())
	}
	v.Script()[0] = 'X'
	if string(v.Script()) != script {
		t.Error("a caller can change the verified script")
	}
}

func TestVerifiedOwnsItsScript(t *testing.T) {
	k := newTeam(t)
	st := k.statement(t, nil)
	mine := []byte(script)
	v, err := verify(k.load(t), mine, st, sign(t, st, k.alice, k.bob, k.carol))
	if err != nil {
		t.Fatal(err)
	}
	mine[0] = 'X'
	if string(v.Script()) != script {
		t.Error("the script changed after it was verified")
	}
}

// Who counts: people, not keys, files or signatures.
func TestCounting(t *testing.T) {
	k := newTeam(t)
	p := k.load(t)
	st := k.statement(t, nil)
	tests := []struct {
		name    string
		signers []*signer.Signer
		want    []string
		unknown int
	}{
		{"author alone", []*signer.Signer{k.alice}, []string{}, 0},
		{"one reviewer", []*signer.Signer{k.bob, k.alice}, []string{"bob"}, 0},
		{"the same file twice", []*signer.Signer{k.alice, k.bob, k.bob}, []string{"bob"}, 0},
		{"one person with two keys", []*signer.Signer{k.alice, k.bob, k.bob2}, []string{"bob"}, 0},
		{"the author with a second key", []*signer.Signer{k.alice, k.alice2, k.bob}, []string{"bob"}, 0},
		{"a key that nobody holds", []*signer.Signer{k.alice, k.mallory, k.mallory, k.bob}, []string{"bob"}, 1},
		{"Ed25519", []*signer.Signer{k.alice, k.carol}, []string{"carol"}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := sign(t, st, tt.signers...)
			_, s, err := examine(p, []byte(script), st, files)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, reviewers(s)); diff != "" || len(s.Unknown) != tt.unknown || s.Met() {
				t.Errorf("standing %+v: %s", s, diff)
			}
			_, err = verify(p, []byte(script), st, files)
			wantCode(t, err, errs.CodeThresholdNotMet)
		})
	}
}

func TestOrderAndSurplusDoNotMatter(t *testing.T) {
	k := newTeam(t)
	p := k.load(t)
	st := k.statement(t, nil)
	files := sign(t, st, k.alice, k.alice2, k.bob, k.bob2, k.carol, k.mallory)
	_, want, err := examine(p, []byte(script), st, files)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		shuffled := rapid.Permutation(append(files, rapid.SliceOfN(rapid.SampledFrom(files), 0, 8).Draw(t, "again")...)).Draw(t, "files")
		_, got, err := examine(p, []byte(script), st, shuffled)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Fatalf("%v\n%s", err, diff)
		}
	})
}

func TestRefusals(t *testing.T) {
	k := newTeam(t)
	good := k.statement(t, nil)
	week := int64(7 * 24 * 3600)
	tests := []struct {
		name      string
		code      errs.Code
		policy    func(*signing.Policy)
		predicate func(*hooks.Predicate)
		script    string
		signers   []*signer.Signer
		files     func(files [][]byte) [][]byte
		change    func(statement []byte) []byte // after it was signed
	}{
		{name: "script changed by one byte", code: errs.CodeScriptDigest, script: strings.Replace(script, "42", "43", 1)},
		{name: "script too long", code: errs.CodeTooLarge, script: strings.Repeat("-", hooks.MaxScriptBytes+1)},
		{name: "another deployment", code: errs.CodeWrongDeployment, predicate: func(p *hooks.Predicate) { p.Deployment = "d-" + strings.Repeat("f", 32) }},
		{name: "lives too long", code: errs.CodeLifetimeTooLong, predicate: func(p *hooks.Predicate) { p.NotAfter = p.NotBefore + 2*week + 1 }},
		{name: "lives as long as years", code: errs.CodeLifetimeTooLong, predicate: func(p *hooks.Predicate) { p.NotAfter = hooks.MaxInteger }},
		{name: "longer than this policy's own lifetime", code: errs.CodeLifetimeTooLong, policy: func(p *signing.Policy) { p.MaxLifetime = time.Hour }},
		{name: "capability forbidden", code: errs.CodeCapabilityForbidden, policy: func(p *signing.Policy) { p.Forbidden = []string{signing.CapFSRead} }},
		{
			name: "raw forbidden", code: errs.CodeCapabilityForbidden,
			policy:    func(p *signing.Policy) { p.Forbidden = []string{signing.CapRaw} },
			predicate: func(p *hooks.Predicate) { p.Fields[0].Raw = true },
		},
		{
			name: "reporter forbidden", code: errs.CodeCapabilityForbidden,
			policy:    func(p *signing.Policy) { p.Forbidden = []string{signing.CapAsReporter} },
			predicate: func(p *hooks.Predicate) { p.As = hooks.AsReporter },
		},
		{name: "root needs a third reviewer", code: errs.CodeThresholdNotMet, predicate: func(p *hooks.Predicate) { p.As = hooks.AsRoot }},
		{name: "author not in the policy", code: errs.CodeSignerUnknown, predicate: func(p *hooks.Predicate) { p.Author = string(k.mallory.Public().ID) }},
		{name: "author without the role", code: errs.CodeSignerRole, predicate: func(p *hooks.Predicate) { p.Author = string(k.bob.Public().ID) }},
		{name: "author's signature missing", code: errs.CodeAuthorMissing, signers: []*signer.Signer{k.bob, k.carol}},
		{name: "author signs with the other key", code: errs.CodeAuthorMissing, signers: []*signer.Signer{k.alice2, k.bob, k.carol}},
		{name: "no files", code: errs.CodeAuthorMissing, signers: []*signer.Signer{}},
		{name: "one approval short", code: errs.CodeThresholdNotMet, signers: []*signer.Signer{k.alice, k.bob}},
		{name: "an operator approves", code: errs.CodeSignerRole, signers: []*signer.Signer{k.alice, k.bob, k.dave}},
		{name: "too many files", code: errs.CodeSignatureMalformed, files: func(f [][]byte) [][]byte {
			for len(f) <= signing.MaxSignatureFiles {
				f = append(f, f[0])
			}
			return f
		}},
		{name: "not a signature file", code: errs.CodeSignatureMalformed, files: func(f [][]byte) [][]byte { return append(f, []byte("{}")) }},
		{name: "a file over another statement", code: errs.CodeSignatureInvalid, files: func(f [][]byte) [][]byte {
			other := k.statement(t, func(p *hooks.Predicate) { p.Version = 2 })
			return append(f[:2:2], sign(t, other, k.carol)[0])
		}},
		{name: "a signature of another statement in this file", code: errs.CodeSignatureInvalid, files: func(f [][]byte) [][]byte {
			other := k.statement(t, func(p *hooks.Predicate) { p.Version = 2 })
			return append(f[:2:2], moved(t, sign(t, other, k.carol)[0], good, k.carol.Public()))
		}},
		{name: "a stolen key id", code: errs.CodeSignatureInvalid, files: func(f [][]byte) [][]byte {
			return append(f[:2:2], moved(t, sign(t, good, k.mallory)[0], good, k.carol.Public()))
		}},
		{name: "not_after stretched", code: errs.CodeSignatureInvalid, change: func(b []byte) []byte { return stretched(t, b) }},
		{name: "statement with a space", code: errs.CodeStatementMalformed, change: edited(`":`, `": `)},
		{name: "statement of another version", code: errs.CodeStatementUnknown, change: edited("hook/v1", "hook/v2")},
		{name: "a limit taken out", code: errs.CodeStatementLimit, change: edited(`"max_reports":3`, `"max_reports":0`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			other := *k
			if tt.policy != nil {
				tt.policy(&other.policy)
			}
			st, text, signers := good, script, []*signer.Signer{k.alice, k.bob, k.carol}
			if tt.predicate != nil {
				st = k.statement(t, tt.predicate)
			}
			if tt.signers != nil {
				signers = tt.signers
			}
			if tt.script != "" {
				text = tt.script
			}
			files := sign(t, st, signers...)
			if tt.files != nil {
				files = tt.files(files)
			}
			if tt.change != nil {
				st = tt.change(st)
			}
			v, err := verify(other.load(t), []byte(text), st, files)
			wantCode(t, err, tt.code)
			if v != nil {
				t.Error("a refusal came with a Verified")
			}
		})
	}
}

func edited(old, replacement string) func([]byte) []byte {
	return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(replacement), 1) }
}

// stretched moves not_after by a day, as a thief of the server would.
func stretched(t *testing.T, statement []byte) []byte {
	t.Helper()
	s, err := hooks.ParseStatement(statement)
	if err != nil {
		t.Fatal(err)
	}
	s.Predicate.NotAfter += 86400
	b, err := s.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// moved puts the signature of one file into a file over statement by key.
func moved(t *testing.T, file, statement []byte, key signing.PublicKey) []byte {
	t.Helper()
	f, err := signing.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := signing.EncodeFile(statement, f.Sig, key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// An ECDSA signature has a twin (r, n-s) and another encoding (P1363). Both
// are as valid as the first, and count nobody twice: nothing is ever
// identified by signature bytes.
func TestTwinSignatures(t *testing.T) {
	k := newTeam(t)
	p := k.load(t)
	st := k.statement(t, nil)
	files := sign(t, st, k.alice, k.bob)
	f, err := signing.ParseFile(files[1])
	if err != nil {
		t.Fatal(err)
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(f.Sig, &rs); err != nil {
		t.Fatal(err)
	}
	p1363 := append(rs.R.FillBytes(make([]byte, 32)), rs.S.FillBytes(make([]byte, 32))...)
	rs.S.Sub(elliptic.P256().Params().N, rs.S)
	twin, err := asn1.Marshal(rs)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := k.bob.Public().Key.(*ecdsa.PublicKey); !ok || bytes.Equal(twin, f.Sig) {
		t.Fatal("the test needs an ECDSA key")
	}

	for name, sig := range map[string][]byte{"the twin": twin, "the other encoding": p1363} {
		_, s, err := examine(p, []byte(script), st, append(files, reencode(t, st, sig, k.bob)))
		if err != nil || cmp.Diff([]string{"bob"}, reviewers(s)) != "" {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

func reencode(t *testing.T, statement, sig []byte, s *signer.Signer) []byte {
	t.Helper()
	b, err := signing.EncodeFile(statement, sig, s.Public())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSoloNeedsTheAuthorOnly(t *testing.T) {
	k := newTeam(t)
	k.policy.Profile, k.policy.Reviewers, k.policy.Persons = signing.ProfileSolo, 0, k.policy.Persons[:1]
	p := k.load(t)
	st := k.statement(t, nil)
	v, err := verify(p, []byte(script), st, sign(t, st, k.alice))
	if err != nil || v.Profile() != signing.ProfileSolo {
		t.Errorf("solo: %v", err)
	}
	root := k.statement(t, func(p *hooks.Predicate) { p.As = hooks.AsRoot })
	_, err = verify(p, []byte(script), root, sign(t, root, k.alice))
	wantCode(t, err, errs.CodeThresholdNotMet)
}

func TestCheckWindow(t *testing.T) {
	k := newTeam(t)
	st := k.statement(t, nil)
	v, err := verify(k.load(t), []byte(script), st, sign(t, st, k.alice, k.bob, k.carol))
	if err != nil {
		t.Fatal(err)
	}
	end := start.Add(7 * 24 * time.Hour)
	tests := []struct {
		name       string
		floor, now time.Time
		code       errs.Code
	}{
		{"in the middle", start, start.Add(time.Hour), ""},
		{"at its start", time.Time{}, start, ""},
		{"just before its start", time.Time{}, start.Add(-time.Nanosecond), errs.CodeNotYetValid},
		{"just before its end", time.Time{}, end.Add(-time.Nanosecond), ""},
		{"at its end", time.Time{}, end, errs.CodeExpired},
		{"the clock is set back, the floor knows", end, start.Add(time.Hour), errs.CodeExpired},
		{"the floor is no excuse for an early clock", start.Add(time.Hour), start.Add(-time.Hour), errs.CodeNotYetValid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := v.CheckWindow(tt.floor, tt.now)
			if tt.code == "" && err == nil {
				return
			}
			wantCode(t, err, tt.code)
		})
	}
}
