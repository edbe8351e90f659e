package server

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"hookline/internal/api"
	"hookline/internal/auth"
	"hookline/signing"
	"hookline/signing/trust/keeper"
)

// initTrust makes the offline folder, with everybody's signatures.
func (r *rig) initTrust(policy []byte) {
	r.t.Helper()
	must(r.t, os.MkdirAll(r.offline, 0o700))
	k, err := keeper.Init(r.offline, keeper.Plan{Policy: policy}, r.clock.now)
	must(r.t, err)
	r.put(k)
}

// team is the offline folder, as a command opens it.
func (r *rig) team() *keeper.Keeper {
	r.t.Helper()
	k, err := keeper.Open(r.offline, r.clock.now)
	must(r.t, err)
	return k
}

// put has everybody sign what is staged, and puts it in force.
func (r *rig) put(k *keeper.Keeper) {
	r.t.Helper()
	_, err := k.Sign(r.keys["alice"], r.keys["bob"])
	must(r.t, err)
	r.freshen(k)
}

func (r *rig) freshen(k *keeper.Keeper) {
	r.t.Helper()
	_, err := k.Freshen(r.keys["alice"], 0)
	must(r.t, err)
}

// bundle is what the offline folder would publish.
func (r *rig) bundle() []byte {
	r.t.Helper()
	b, err := r.team().Bundle()
	must(r.t, err)
	encoded, err := b.Encode()
	must(r.t, err)
	return encoded
}

// publish brings the offline folder to the server.
func (r *rig) publish() api.TrustChange {
	r.t.Helper()
	var change api.TrustChange
	r.must(auth.RoleOperator, "PUT", "/api/trust", api.NewTrust{Bundle: r.bundle()}, 200, &change)
	return change
}

// replacePolicy publishes the policy as changed.
func (r *rig) replacePolicy(change func(p *signing.Policy)) {
	r.t.Helper()
	k := r.team()
	p := *k.Policy()
	p.Persons = append([]signing.Person(nil), p.Persons...)
	change(&p)
	must(r.t, k.ReplaceTargets(p.YAML(), nil))
	r.put(k)
	r.publish()
}

// revocation is a revoker's newest metadata, in the folder's name.
func (r *rig) revocation(kind signing.RevocationKind, value string) []byte {
	r.t.Helper()
	metadata, err := r.team().Revoke(r.keys["bob"], signing.Revocation{Kind: kind, Value: value, Reason: "it was noisy"})
	must(r.t, err)
	return metadata
}

// revoke revokes over the API; who carries it has no say.
func (r *rig) revoke(kind signing.RevocationKind, value string) {
	r.t.Helper()
	var change api.TrustChange
	r.must(auth.RoleViewer, "POST", "/api/revocations", api.NewRevocations{Metadata: r.revocation(kind, value)}, 200, &change)
	if !change.Changed || change.Revocations == 0 {
		r.t.Fatalf("the revocation changed nothing: %+v", change)
	}
}

// enforced waits until the server has closed what it has to.
func (r *rig) enforced() {
	r.t.Helper()
	must(r.t, r.review.Enforce(context.Background()))
}

func (r *rig) keptTrust() string { return filepath.Join(r.cfg.Data, keptTrustFile) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
