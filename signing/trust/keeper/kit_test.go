package keeper_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/signer"
	"hookline/signing/trust"
	"hookline/signing/trust/keeper"
)

var start = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

// team is an offline folder with its people: alice writes, bob, carol and dave
// review, erin revokes; of erin it is an Ed25519 key.
type team struct {
	t    *testing.T
	dir  string
	now  time.Time
	keys map[string]*signer.Signer
	k    *keeper.Keeper
}

var people = []signing.Person{
	{Name: "alice", Roles: []signing.Role{signing.RoleAuthor}},
	{Name: "bob", Roles: []signing.Role{signing.RoleReviewer}},
	{Name: "carol", Roles: []signing.Role{signing.RoleReviewer}},
	{Name: "dave", Roles: []signing.Role{signing.RoleReviewer}},
	{Name: "erin", Roles: []signing.Role{signing.RoleRevoker}},
}

func newTeam(t *testing.T) *team {
	t.Helper()
	s := &team{t: t, dir: t.TempDir(), now: start, keys: map[string]*signer.Signer{}}
	for _, p := range people {
		s.key(p.Name)
	}
	return s
}

// begun is a team whose first metadata is in force.
func begun(t *testing.T) *team {
	t.Helper()
	s := newTeam(t)
	s.init(keeper.Plan{Policy: s.policy(2)})
	s.sign("alice", "bob", "erin")
	if in := s.freshen("alice"); !in {
		t.Fatal("nothing came in force")
	}
	return s
}

func (s *team) clock() time.Time { return s.now }

func (s *team) key(name string) *signer.Signer {
	s.t.Helper()
	if k := s.keys[name]; k != nil {
		return k
	}
	var key any
	var err error
	if name == "erin" {
		_, key, err = ed25519.GenerateKey(rand.Reader)
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	s.must(err)
	k, err := signer.New(key)
	s.must(err)
	s.keys[name] = k
	return k
}

func (s *team) pub(name string) signing.PublicKey { return s.key(name).Public() }

// policy is the policy file of the team, as changed.
func (s *team) policy(reviewers int, changes ...func(*signing.Policy)) []byte {
	p := &signing.Policy{Deployment: "d-" + strings.Repeat("0", 32), Profile: signing.ProfileTeam, Reviewers: reviewers, MaxLifetime: signing.MaxLifetime}
	for _, person := range people {
		person.Keys = []signing.PublicKey{s.pub(person.Name)}
		p.Persons = append(p.Persons, person)
	}
	for _, change := range changes {
		change(p)
	}
	return p.YAML()
}

func (s *team) init(plan keeper.Plan) {
	s.t.Helper()
	k, err := keeper.Init(s.dir, plan, s.clock)
	s.must(err)
	s.k = k
}

// reopen is another command on the same folder.
func (s *team) reopen() *keeper.Keeper {
	s.t.Helper()
	k, err := keeper.Open(s.dir, s.clock)
	s.must(err)
	s.k = k
	return k
}

func (s *team) sign(names ...string) {
	s.t.Helper()
	for _, name := range names {
		if _, err := s.reopen().Sign(s.key(name)); err != nil {
			s.t.Fatalf("%s: %v", name, err)
		}
	}
}

func (s *team) freshen(name string) bool {
	s.t.Helper()
	in, err := s.reopen().Freshen(s.key(name), 0)
	s.must(err)
	return in
}

// machine is somebody who enrolled with the root that is in force now.
func (s *team) machine() *trust.Trusted {
	s.t.Helper()
	anchor, err := s.reopen().Anchor()
	s.must(err)
	t, err := anchor.Open(s.bundle())
	s.must(err)
	return t
}

// bundle is trust.json as the server gets it.
func (s *team) bundle() trust.Bundle {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, keeper.BundleName))
	s.must(err)
	out, err := trust.ParseBundle(b)
	s.must(err)
	return out
}

func (s *team) update(t *trust.Trusted) *trust.Trusted {
	s.t.Helper()
	next, err := t.Update(s.bundle())
	s.must(err)
	return next
}

func (s *team) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *team) wantCode(err error, code errs.Code) {
	s.t.Helper()
	if !errs.Is(err, code) {
		s.t.Errorf("error %v (%s), want %s", err, errs.CodeOf(err), code)
	}
}

// tree is every file below a folder.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		out[strings.TrimPrefix(path, dir)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func certificate(t *testing.T, ca bool) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotBefore: start, NotAfter: start.Add(time.Hour), IsCA: ca, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
