package keeper_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/signer"
	"hookline/signing/trust/keeper"
)

func (s *team) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir, "trust"}, parts...)...)
}

func (s *team) edit(path string, change func([]byte) []byte) {
	s.t.Helper()
	b, err := os.ReadFile(path)
	s.must(err)
	next := change(bytes.Clone(b))
	if bytes.Equal(b, next) {
		s.t.Fatalf("%s was not changed", path)
	}
	s.must(os.WriteFile(path, next, 0o644))
}

func swap(old, with string) func([]byte) []byte {
	return func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(old), []byte(with)) }
}

// Whoever passes the folder on cannot have something signed that nobody sees.
func TestStagedFilesOfAnotherHand(t *testing.T) {
	for name, c := range map[string]struct {
		file   string
		change func([]byte) []byte
	}{
		"a member more in the root":      {"root.json", swap(`"signed":{`, `"signed":{"a":1,`)},
		"a member of another case":       {"root.json", swap(`"signed":{`, `"signed":{"Version":1,`)},
		"a role more":                    {"root.json", swap(`"roles":{`, `"roles":{"mirrors":{"keyids":[],"threshold":1},`)},
		"consistent snapshots":           {"root.json", swap(`"consistent_snapshot":false`, `"consistent_snapshot":true`)},
		"a duplicate member":             {"root.json", swap(`"_type":"root"`, `"_type":"root","_type":"root"`)},
		"trailing data":                  {"root.json", func(b []byte) []byte { return append(b, '{', '}') }},
		"white space":                    {"root.json", func(b []byte) []byte { return append(b, '\n') }},
		"no time of signing":             {"root.json", swap("x-hookline-signed-at", "x-hookline-signed-in")},
		"a delegation threshold of zero": {"targets.json", swap(`"threshold":1`, `"threshold":0`)},
		"a path more":                    {"targets.json", swap(`"hook/*"`, `"*","hook/*"`)},
		"another policy beside it":       {"policy.yaml", swap("reviewers: 2", "reviewers: 1")},
		"no revocations of their own":    {"revocations.json", swap(`"targets":{}`, `"targets":{"policy.yaml":{"hashes":{"sha256":"00"},"length":1}}`)},
		"a type for another":             {"root.json", swap(`"_type":"root"`, `"_type":"targets"`)},
		"no JSON":                        {"targets.json", func([]byte) []byte { return []byte("x") }},
		"no policy":                      {"policy.yaml", func([]byte) []byte { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTeam(t)
			s.init(keeper.Plan{Policy: s.policy(2)})
			seen := s.reopen()
			s.edit(s.path("staged", c.file), c.change)
			if _, err := keeper.Open(s.dir, s.clock); !errs.Is(err, errs.CodeTrustInvalid) && !errs.Is(err, errs.CodePolicyInvalid) {
				t.Errorf("open: %v", err)
			}
			if _, err := seen.Sign(s.key("alice")); err == nil {
				t.Error("signed")
			}
		})
	}
}

// Signatures of others in a staged file count for nothing, nor does a
// signature under another role or version.
func TestStagedSignaturesOfOthers(t *testing.T) {
	s := newTeam(t)
	s.init(keeper.Plan{Policy: s.policy(2)})
	s.sign("alice", "erin")
	alice := s.reopen().Staged()[0].Needs[0]
	if len(alice.SignedBy) != 2 {
		t.Fatalf("signed by %v", alice.SignedBy)
	}
	root, err := os.ReadFile(s.path("staged", "root.json"))
	s.must(err)
	sigs, _, _ := strings.Cut(strings.TrimPrefix(string(root), `{"signatures":`), `,"signed"`)
	s.edit(s.path("staged", "targets.json"), func(b []byte) []byte {
		_, signed, _ := strings.Cut(string(b), `,"signed"`)
		return []byte(`{"signatures":` + sigs + `,"signed"` + signed)
	})
	for _, st := range s.reopen().Staged() {
		if n := len(st.Needs[0].SignedBy); st.Role == "targets" && n != 0 || st.Role == "root" && n != 2 {
			t.Errorf("%s is signed by %d", st.Role, n)
		}
	}
	s.sign("bob")
	if s.reopen().Ready() {
		t.Error("the targets are signed by bob alone")
	}
	s.sign("alice", "erin")
	if !s.freshen("alice") {
		t.Error("not in force")
	}
}

func TestBundleOfAnotherHand(t *testing.T) {
	s := begun(t)
	s.edit(filepath.Join(s.dir, keeper.BundleName), swap(`"timestamp":"ey`, `"timestamp":"eZ`))
	_, err := keeper.Open(s.dir, s.clock)
	s.wantCode(err, errs.CodeTrustInvalid)
}

// A crash at any write leaves what the same command can go on from.
func TestCrashes(t *testing.T) {
	steps := func(s *team) []func() error {
		return []func() error{
			func() error {
				err := s.reopen().Rotate(keeper.Rotation{Add: both([]signing.PublicKey{s.pub("frank")})})
				return err
			},
			func() error { return s.reopen().ReplaceTargets(s.policy(1), certificate(s.t, true)) },
			func() error {
				_, err := s.reopen().Sign(s.key("alice"), s.key("bob"), s.key("carol"), s.key("erin"))
				return err
			},
			func() error { _, err := s.reopen().Freshen(s.key("alice"), 0); return err },
		}
	}
	// One run writes down the folder after each step; a crash leaves the first
	// so many of the step's writes.
	whole := begun(t)
	before := tree(t, whole.dir)
	for i, step := range steps(whole) {
		whole.must(step())
		after := tree(t, whole.dir)
		writes := inOrder(before, after)
		if len(writes) == 0 {
			t.Fatalf("step %d writes nothing", i)
		}
		for n := range len(writes) + 1 {
			s := &team{t: t, dir: t.TempDir(), now: whole.now, keys: whole.keys}
			s.lay(before)
			for _, name := range writes[:n] {
				s.layOnly(after, name)
			}
			k, err := keeper.Open(s.dir, s.clock)
			if err == nil {
				_, err = k.Freshen(s.key("alice"), 0)
			}
			if err != nil {
				t.Errorf("step %d, after %v: %v", i, writes[:n], err)
				continue
			}
			s.machine()
		}
		before = after
	}
}

// inOrder lists the files that a step changed as the keeper writes them: what
// is in force first, then what is staged, the staged targets gone as long as
// a file is not the one that they name.
func inOrder(before, after map[string]string) []string {
	differ := func(name string) bool {
		was, had := before[name]
		is, has := after[name]
		return had != has || was != is
	}
	order := []string{"/policy.yaml", "/trust.json"}
	for name := range after {
		if strings.HasPrefix(name, "/trust/metadata/") {
			order = append(order, name)
		}
	}
	staged := "/trust/staged/"
	if _, had := before[staged+"targets.json"]; had && (differ(staged+"policy.yaml") || differ(staged+"ca.pem")) {
		before = maps.Clone(before)
		delete(before, staged+"targets.json")
		order = append(order, "-"+staged+"targets.json")
	}
	for _, name := range []string{"policy.yaml", "ca.pem", "root.json", "revocations.json", "targets.json"} {
		order = append(order, staged+name)
	}
	return slices.DeleteFunc(order, func(name string) bool { return !strings.HasPrefix(name, "-") && !differ(name) })
}

func (s *team) lay(files map[string]string) {
	s.t.Helper()
	for name, b := range files {
		s.must(os.MkdirAll(filepath.Dir(s.dir+name), 0o700))
		s.must(os.WriteFile(s.dir+name, []byte(b), 0o644))
	}
}

func (s *team) layOnly(files map[string]string, name string) {
	s.t.Helper()
	name, gone := strings.CutPrefix(name, "-")
	b, there := files[name]
	if gone || !there {
		s.must(os.Remove(s.dir + name))
		return
	}
	s.lay(map[string]string{name: b})
}

// An init that was cut off can be run again.
func TestInitAfterACrash(t *testing.T) {
	s := newTeam(t)
	s.init(keeper.Plan{Policy: s.policy(2)})
	s.must(os.Remove(s.path("staged", "targets.json"))) // it is written last
	if _, err := keeper.Open(s.dir, s.clock); !errs.Is(err, errs.CodeNotFound) {
		t.Errorf("open: %v", err)
	}
	s.init(keeper.Plan{Policy: s.policy(2)})
	s.sign("alice", "bob", "erin")
	if !s.freshen("alice") {
		t.Error("not in force")
	}
}

// What others pushed or published is taken, what is older is not.
func TestTake(t *testing.T) {
	s := begun(t)
	other := &team{t: t, dir: t.TempDir(), now: s.now, keys: s.keys}
	other.lay(tree(t, s.dir))
	old := s.bundle()
	_, err := other.reopen().Revoke(s.key("erin"), signing.Revocation{Kind: signing.RevokeHook, Value: "h"})
	s.must(err)
	news, err := s.reopen().Take(other.bundle())
	if err != nil || !news || s.machine().Revoked().Len() != 1 {
		t.Fatalf("took %v, %v", news, err)
	}
	if news, err = s.reopen().Take(other.bundle()); err != nil || news {
		t.Errorf("the same again: %v, %v", news, err)
	}
	if news, err = s.reopen().Take(old); err != nil || news || s.machine().Revoked().Len() != 1 {
		t.Errorf("an older one without the revocation: %v, %v, %d revoked", news, err, s.machine().Revoked().Len())
	}
	// Staged here, overtaken there.
	s.must(s.reopen().ReplaceTargets(s.policy(2, func(p *signing.Policy) { p.Forbidden = []string{"raw"} }), nil))
	s.must(other.reopen().ReplaceTargets(s.policy(1), nil))
	other.sign("alice", "bob", "carol")
	other.freshen("bob")
	if news, err = s.reopen().Take(other.bundle()); err != nil || !news {
		t.Fatalf("took %v, %v", news, err)
	}
	if len(s.reopen().Staged()) != 0 || s.machine().Policy().Reviewers != 1 {
		t.Errorf("staged %d, reviewers %d", len(s.reopen().Staged()), s.machine().Policy().Reviewers)
	}
	if _, err = s.reopen().Take(old); !errs.Is(err, errs.CodeTrustRollback) {
		t.Errorf("older targets: %v", err)
	}
	// The folder went on, and somebody revoked over what the server has.
	behind := &team{t: t, dir: t.TempDir(), now: s.now, keys: s.keys}
	behind.lay(tree(t, s.dir))
	s.freshen("bob")
	_, err = behind.reopen().Revoke(s.key("erin"), signing.Revocation{Kind: signing.RevokeHook, Value: "late"})
	s.must(err)
	if news, err = s.reopen().Take(behind.bundle()); !errs.Is(err, errs.CodeTrustRollback) || !news {
		t.Errorf("an older bundle with newer revocations: %v, %v", news, err)
	}
	s.freshen("bob")
	if b := s.bundle(); s.machine().Revoked().Len() != 2 || len(b.Pushed) != 0 {
		t.Errorf("%v", s.machine().Revoked().List())
	}
	stranger := &team{t: t, dir: t.TempDir(), now: s.now, keys: map[string]*signer.Signer{}}
	stranger.init(keeper.Plan{Policy: stranger.policy(2)})
	stranger.sign("alice", "bob", "erin")
	stranger.freshen("alice")
	if _, err = s.reopen().Take(stranger.bundle()); err == nil {
		t.Error("took the metadata of strangers")
	}
}

// Of two revokers at once one signs anew over what the other has revoked.
func TestTwoRevokers(t *testing.T) {
	s := begun(t)
	other := &team{t: t, dir: t.TempDir(), now: s.now, keys: s.keys}
	other.lay(tree(t, s.dir))
	mine := signing.Revocation{Kind: signing.RevokeHook, Value: "mine"}
	_, err := s.reopen().Revoke(s.key("erin"), mine)
	s.must(err)
	_, err = other.reopen().Revoke(s.key("erin"), signing.Revocation{Kind: signing.RevokeHook, Value: "theirs"})
	s.must(err)
	k := s.reopen()
	_, err = k.Take(other.bundle())
	s.must(err)
	_, err = k.Revoke(s.key("erin"), mine)
	s.must(err)
	if m := s.machine(); m.Revoked().Len() != 2 || m.RevocationsVersion() != 3 {
		t.Errorf("%v, version %d", m.Revoked().List(), m.RevocationsVersion())
	}
	_, err = s.reopen().Revoke(s.key("erin"), mine)
	s.wantCode(err, errs.CodeConflict)
}

// Two processes on one folder lose nothing of each other.
func TestTwoAtOnce(t *testing.T) {
	s := begun(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			k, err := keeper.Open(s.dir, func() time.Time { return start })
			if err == nil {
				_, err = k.Revoke(s.keys["erin"], signing.Revocation{Kind: signing.RevokeHook, Value: fmt.Sprintf("hook-%d", i)})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if m := s.machine(); m.Revoked().Len() != 8 || m.RevocationsVersion() != 9 {
		t.Errorf("%d revoked, version %d", m.Revoked().Len(), m.RevocationsVersion())
	}
}

// Who holds a freshen key or a revoker's could sign a far future: nobody could
// sign over it in this folder for as long.
func TestTakeFromAFarFuture(t *testing.T) {
	for name, do := range map[string]func(s *team, k *keeper.Keeper) error{
		"freshened": func(s *team, k *keeper.Keeper) error {
			_, err := k.Freshen(s.key("alice"), 0)
			return err
		},
		"revoked": func(s *team, k *keeper.Keeper) error {
			_, err := k.Revoke(s.key("erin"), signing.Revocation{Kind: signing.RevokeHook, Value: "bad", Reason: "wrong"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := begun(t)
			dir := t.TempDir()
			s.must(os.CopyFS(dir, os.DirFS(s.dir)))
			theirs, err := keeper.Open(dir, func() time.Time { return s.now.Add(365 * 24 * time.Hour) })
			s.must(err)
			s.must(do(s, theirs))
			b, err := theirs.Bundle()
			s.must(err)
			_, err = s.k.Take(b)
			s.wantCode(err, errs.CodeTrustStale)
			s.must(s.k.Rotate(keeper.Rotation{}))
			s.now = s.now.Add(366 * 24 * time.Hour) // by then it is no future
			_, err = s.k.Take(b)
			s.must(err)
		})
	}
}
