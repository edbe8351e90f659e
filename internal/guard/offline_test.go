package guard

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"sync"
	"testing"
	"time"

	"hookline/internal/guardwire"
	"hookline/signing"
	"hookline/signing/signer"
	"hookline/signing/trust/keeper"
)

// fresh is how long the kit's snapshot and timestamp live.
const fresh = 7 * 24 * time.Hour

// uptime is the boot clock of a test.
type uptime struct {
	mu sync.Mutex
	Boot
}

func (u *uptime) Now() Boot {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.Boot
}

// pass lets time pass that no clock needs to tell.
func (u *uptime) pass(d time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.Since += d
}

// reboot starts the machine anew.
func (u *uptime) reboot(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.Boot = Boot{ID: id, Since: time.Minute}
}

func (k *kit) ok(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

// people is the offline folder of the kit's deployment, its policy in force.
func (k *kit) people() *keeper.Keeper {
	k.t.Helper()
	if k.offline == nil {
		k.offline = k.found(k.policy, k.alice, k.bob, k.carol, k.dave)
	}
	return k.offline
}

// found makes a deployment with a root of its own, which these people sign.
func (k *kit) found(p signing.Policy, people ...keeper.Signer) *keeper.Keeper {
	k.t.Helper()
	o, err := keeper.Init(k.t.TempDir(), keeper.Plan{Policy: p.YAML()}, k.clock.Now)
	k.ok(err)
	k.inForce(o, people...)
	return o
}

// strangers are other people, of a deployment that may be called the same.
func (k *kit) strangers(deployment string) *keeper.Keeper {
	k.t.Helper()
	p := signing.Policy{
		Deployment: deployment, Profile: signing.ProfileTeam, Reviewers: 1, MaxLifetime: 24 * time.Hour,
		Persons: []signing.Person{
			{Name: "alice", Roles: []signing.Role{signing.RoleAuthor}, Keys: []signing.PublicKey{k.mallory.Public()}},
			{Name: "bob", Roles: []signing.Role{signing.RoleReviewer}, Keys: []signing.PublicKey{newSigner(k.t, "mallet").Public()}},
		},
	}
	return k.found(p, k.mallory, newSigner(k.t, "mallet"))
}

// changed brings what the people staged in force.
func (k *kit) changed() {
	k.t.Helper()
	k.inForce(k.people(), k.alice, k.bob, k.carol, k.dave)
}

// inForce signs what is staged and brings it in force.
func (k *kit) inForce(o *keeper.Keeper, people ...keeper.Signer) {
	k.t.Helper()
	_, err := o.Sign(people...)
	k.ok(err)
	in, err := o.Freshen(people[0], fresh)
	k.ok(err)
	if !in {
		k.t.Fatal("what was staged did not come in force")
	}
}

// freshen signs new snapshot and timestamp.
func (k *kit) freshen() {
	k.t.Helper()
	_, err := k.people().Freshen(k.alice, fresh)
	k.ok(err)
}

func (k *kit) revoke(kind signing.RevocationKind, value string) {
	k.t.Helper()
	_, err := k.people().Revoke(k.dave, signing.Revocation{Kind: kind, Value: value, Reason: "it leaks"})
	k.ok(err)
}

// bundle is what the server has.
func (k *kit) bundle() []byte {
	k.t.Helper()
	return bundleOf(k, k.people())
}

func bundleOf(k *kit, o *keeper.Keeper) []byte {
	k.t.Helper()
	b, err := o.Bundle()
	k.ok(err)
	raw, err := b.Encode()
	k.ok(err)
	return raw
}

func (k *kit) enrolment() Enrolment { return k.enrolmentIn(k.people()) }

func (k *kit) enrolmentIn(o *keeper.Keeper) Enrolment {
	k.t.Helper()
	anchor, err := o.Anchor()
	k.ok(err)
	return Enrolment{
		Anchor: anchor, Trust: bundleOf(k, o), PeerSPKI: ownSPKI, AcceptSolo: true, Now: k.clock.Now, Boot: k.boot.Now,
	}
}

// trust sends metadata as the network side does.
func (s *side) trust(bundle []byte) {
	s.t.Helper()
	s.write(guardwire.Message{Kind: guardwire.KindTrust, Trust: &guardwire.Trust{Bundle: bundle}})
}

// hears sends what the people have signed by now, and waits until it counts.
func (s *side) hears(g *Guard, k *kit) {
	s.t.Helper()
	s.trust(k.bundle())
	want := k.people().Trusted()
	eventually(s.t, "the guard takes the metadata", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.trusted.RevocationsVersion() == want.RevocationsVersion() && string(g.trusted.Bundle().Timestamp) == string(want.Bundle().Timestamp)
	})
}

// keyID is the id of somebody's key, as revocations name it.
func keyID(s *signer.Signer) string { return string(s.Public().ID) }

// certificate is some CA's, as people sign it.
func certificate(t testing.TB) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: start, NotAfter: start.Add(365 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
