package signing_test

import (
	"fmt"
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

// revoked is a revocation by carol.
func revoked(kind signing.RevocationKind, value string) signing.Revocation {
	return signing.Revocation{Kind: kind, Value: value, Reason: "stolen", By: "carol", At: start}
}

func TestRevocationValidate(t *testing.T) {
	digest, key := strings.Repeat("0123456789abcdef", 4), strings.Repeat("f", 64)
	good := revoked(signing.RevokeVersion, digest)
	for _, kind := range signing.RevocationKinds() {
		r := good
		r.Kind = kind
		r.Value = map[signing.RevocationKind]string{
			signing.RevokeHook: "answer", signing.RevokeVersion: digest, signing.RevokeKey: key,
			signing.RevokeApproval: signing.ApprovalValue(digest, signing.KeyID(key)),
		}[kind]
		if err := r.Validate(); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	for name, change := range map[string]func(*signing.Revocation){
		"no kind":                        func(r *signing.Revocation) { r.Kind = "" },
		"another kind":                   func(r *signing.Revocation) { r.Kind = "person" },
		"a kind in capitals":             func(r *signing.Revocation) { r.Kind = "Version" },
		"nothing":                        func(r *signing.Revocation) { r.Value = "" },
		"a short digest":                 func(r *signing.Revocation) { r.Value = digest[1:] },
		"a long digest":                  func(r *signing.Revocation) { r.Value = digest + "0" },
		"a digest in capitals":           func(r *signing.Revocation) { r.Value = strings.ToUpper(digest) },
		"a digest with a line break":     func(r *signing.Revocation) { r.Value = digest + "\n" },
		"a short key id":                 func(r *signing.Revocation) { r.Kind, r.Value = signing.RevokeKey, key[:16] },
		"an approval without a key":      func(r *signing.Revocation) { r.Kind = signing.RevokeApproval },
		"an approval with a short key":   func(r *signing.Revocation) { r.Kind, r.Value = signing.RevokeApproval, digest+"/"+key[:16] },
		"an approval with a third part":  func(r *signing.Revocation) { r.Kind, r.Value = signing.RevokeApproval, digest+"/"+key+"/"+key },
		"an approval with an empty part": func(r *signing.Revocation) { r.Kind, r.Value = signing.RevokeApproval, digest+"//"+key },
		"a version with a key":           func(r *signing.Revocation) { r.Value = digest + "/" + key },
		"no hook's name":                 func(r *signing.Revocation) { r.Kind, r.Value = signing.RevokeHook, "Answer!" },
		"a path as a hook":               func(r *signing.Revocation) { r.Kind, r.Value = signing.RevokeHook, "../version" },
		"a long reason":                  func(r *signing.Revocation) { r.Reason = strings.Repeat("x", signing.MaxRevocationReason+1) },
		"a reason that moves a cursor":   func(r *signing.Revocation) { r.Reason = "\x1b[2J" },
		"a reason of two lines":          func(r *signing.Revocation) { r.Reason = "a\nb" },
		"a reason outside of ASCII":      func(r *signing.Revocation) { r.Reason = "grün" },
		"nobody":                         func(r *signing.Revocation) { r.By = "" },
		"no person's name":               func(r *signing.Revocation) { r.By = "Carol Danvers" },
		"no time":                        func(r *signing.Revocation) { r.At = time.Time{} },
		"half a second":                  func(r *signing.Revocation) { r.At = r.At.Add(time.Second / 2) },
	} {
		r := good
		change(&r)
		if err := r.Validate(); !errs.Is(err, errs.CodeBadInput) {
			t.Errorf("%s: %+v: %v", name, r, err)
		}
	}
	bare := good
	bare.Reason = ""
	if err := bare.Validate(); err != nil {
		t.Errorf("without a reason: %v", err)
	}
	bare.Reason = strings.Repeat("x", signing.MaxRevocationReason)
	if err := bare.Validate(); err != nil {
		t.Errorf("the longest reason: %v", err)
	}
}

func TestRevocations(t *testing.T) {
	a, b := revoked(signing.RevokeHook, "a"), revoked(signing.RevokeHook, "b")
	var none signing.Revocations
	one := none.With(a)
	two := one.With(b)
	if none.Len() != 0 || one.Len() != 1 || two.Len() != 2 {
		t.Errorf("With changed its receiver: %d %d %d", none.Len(), one.Len(), two.Len())
	}
	if _, ok := one.Find(signing.RevokeHook, "b"); ok {
		t.Error("an older set knows what was added to a newer one")
	}
	later := a
	later.Reason, later.By, later.At = "never mind", "dave", start.Add(time.Hour)
	if got, ok := two.With(later).Find(signing.RevokeHook, "a"); !ok || got != a {
		t.Errorf("a second revocation took the place of the first: %+v", got)
	}
	if diff := cmp.Diff([]signing.Revocation{a, b}, signing.NewRevocations(b, a, b, later).List()); diff != "" {
		t.Error(diff)
	}
	two.List()[0].Value = "c"
	if got, ok := two.Find(signing.RevokeHook, "a"); !ok || got != a {
		t.Error("a caller can change the set by its list")
	}
	if _, ok := two.Find(signing.RevokeVersion, "a"); ok {
		t.Error("a hook's revocation was found as a version's")
	}
}

// A set only grows, in whatever order and portions it is told, and no set
// that somebody holds changes.
func TestRevocationsProperty(t *testing.T) {
	all := make([]signing.Revocation, 12)
	for i := range all {
		all[i] = revoked(signing.RevocationKinds()[i%2], fmt.Sprint(i/2))
	}
	rapid.Check(t, func(t *rapid.T) {
		sets, model := []signing.Revocations{{}}, []map[string]bool{{}}
		for range rapid.IntRange(1, 6).Draw(t, "steps") {
			from := rapid.IntRange(0, len(sets)-1).Draw(t, "from")
			list := rapid.SliceOfN(rapid.SampledFrom(all), 0, 4).Draw(t, "list")
			known := map[string]bool{}
			for id := range model[from] {
				known[id] = true
			}
			for _, r := range list {
				known[r.ID()] = true
			}
			sets, model = append(sets, sets[from].With(list...)), append(model, known)
		}
		for i, set := range sets {
			if set.Len() != len(model[i]) || len(set.List()) != len(model[i]) {
				t.Fatalf("set %d has %d, want %d", i, set.Len(), len(model[i]))
			}
			for _, r := range all {
				if _, ok := set.Find(r.Kind, r.Value); ok != model[i][r.ID()] {
					t.Fatalf("set %d: %s found %v", i, r.ID(), ok)
				}
			}
		}
	})
}

// What each kind of revocation does to a version of alice that bob and carol
// approved and that needs two.
func TestVerifyRevoked(t *testing.T) {
	k := newTeam(t)
	p := k.load(t)
	st := k.statement(t, nil)
	digest := hooks.Digest(st)
	id := func(s *signer.Signer) string { return string(s.Public().ID) }
	approval := func(digest string, s *signer.Signer) string { return signing.ApprovalValue(digest, s.Public().ID) }
	tests := []struct {
		name   string
		revoke signing.Revocation
		code   errs.Code // "" where it still counts
		check  string    // which refuses
		spare  bool      // bob signed with both keys
	}{
		{name: "nothing", revoke: revoked(signing.RevokeHook, "other")},
		{name: "the hook", revoke: revoked(signing.RevokeHook, "answer"), code: errs.CodeRevoked, check: signing.CheckRevoked},
		{name: "the version", revoke: revoked(signing.RevokeVersion, digest), code: errs.CodeRevoked, check: signing.CheckRevoked},
		{name: "another version", revoke: revoked(signing.RevokeVersion, hooks.Digest(nil))},
		{name: "the author's key", revoke: revoked(signing.RevokeKey, id(k.alice)), code: errs.CodeRevoked, check: signing.CheckAuthor},
		{name: "the author's other key", revoke: revoked(signing.RevokeKey, id(k.alice2))},
		{name: "a reviewer's key", revoke: revoked(signing.RevokeKey, id(k.bob)), code: errs.CodeThresholdNotMet, check: signing.CheckThreshold},
		{name: "one of a reviewer's two keys", revoke: revoked(signing.RevokeKey, id(k.bob)), spare: true},
		{name: "a stranger's key", revoke: revoked(signing.RevokeKey, id(k.mallory))},
		{name: "a reviewer's approval", revoke: revoked(signing.RevokeApproval, approval(digest, k.carol)), code: errs.CodeThresholdNotMet, check: signing.CheckThreshold},
		{name: "one of a reviewer's two approvals", revoke: revoked(signing.RevokeApproval, approval(digest, k.bob2)), spare: true},
		{name: "the approval of another version", revoke: revoked(signing.RevokeApproval, approval(hooks.Digest(nil), k.carol))},
		{name: "the author's own signature", revoke: revoked(signing.RevokeApproval, approval(digest, k.alice)), code: errs.CodeRevoked, check: signing.CheckAuthor},
		{name: "a digest as a key", revoke: revoked(signing.RevokeKey, digest)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.revoke.Validate(); err != nil {
				t.Fatal(err)
			}
			files := sign(t, st, k.alice, k.bob, k.carol)
			if tt.spare {
				files = sign(t, st, k.alice, k.bob, k.bob2, k.carol)
			}
			r := signing.Rules{Policy: p, Revoked: signing.NewRevocations(tt.revoke), Now: start}
			_, err := r.Verify([]byte(script), st, files)
			wantCode(t, err, tt.code)
			if tt.code != "" && !strings.Contains(err.Error(), "carol revoked") {
				t.Errorf("%v: it does not say who revoked", err)
			}
			if got := refusedAt(r.Explain([]byte(script), st, files)); got != tt.check {
				t.Errorf("Explain refuses at %q, want %q", got, tt.check)
			}
		})
	}
}

// refusedAt is the check that refused, "" where none did.
func refusedAt(steps []signing.Step) string {
	for _, s := range steps {
		if s.Verdict == signing.VerdictRefused {
			return s.Name
		}
	}
	return ""
}

// The standing tells the same whatever way a signature is void, and in the
// same words each time.
func TestVoidIsTold(t *testing.T) {
	k := newTeam(t)
	k.policy.Persons[2].Windows = map[signing.KeyID]signing.Window{k.carol.Public().ID: {Until: start}}
	p := k.load(t)
	st := k.statement(t, nil)
	bob := k.bob.Public().ID
	r := signing.Rules{Policy: p, Now: start, Revoked: signing.NewRevocations(
		revoked(signing.RevokeKey, string(bob)),
		revoked(signing.RevokeApproval, signing.ApprovalValue(hooks.Digest(st), bob)),
	)}
	files := sign(t, st, k.carol, k.bob, k.alice, k.bob)
	want := []signing.Void{
		{Signer: signing.Signer{Person: "bob", KeyID: bob}, Code: errs.CodeRevoked, Reason: "carol revoked the key on 2026-11-02"},
		{Signer: signing.Signer{Person: "carol", KeyID: k.carol.Public().ID}, Code: errs.CodeKeyWindow, Reason: "the key counted until 2026-11-02T09:00:00Z"},
	}
	for range 50 { // a map's order shows only now and then
		_, s, err := r.Examine([]byte(script), st, files)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, s.Void); diff != "" {
			t.Fatal(diff)
		}
		_, err = r.Verify([]byte(script), st, files)
		if why := "0 of 2 reviewers have signed; that of bob does not count: carol revoked the key on 2026-11-02; that of carol does not count: the key counted until"; err == nil || !strings.Contains(err.Error(), why) {
			t.Fatalf("%v, want it to say %q", err, why)
		}
	}
}
