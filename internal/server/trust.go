package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"hookline/internal/auth"
	"hookline/internal/durable"
	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/trust"
)

// keptTrustFile is what the server keeps in its data folder: the newest
// metadata, and all that was ever revoked, which later metadata may leave out.
const keptTrustFile = "trust.json"

// maxKeptTrust bounds it: the bundle, and a text for each revocation.
const maxKeptTrust = trust.MaxBundleBytes + signing.MaxRevocations*1024

// trustHolder holds the deployment's trust metadata, as new as the server knows it.
// It makes none: whatever comes in is verified from the root that the server
// was started with. Readers never wait.
type trustHolder struct {
	path string // of the kept file
	gate *auth.Gate
	now  func() time.Time
	log  *slog.Logger

	changing sync.Mutex // one change at a time
	current  atomic.Pointer[trusted]
}

// trusted is one state of it.
type trusted struct {
	*trust.Trusted
	encoded []byte
	changed chan struct{} // closed when there is a newer one
}

// newest is the state that is in force.
func (h *trustHolder) newest() *trusted { return h.current.Load() }

// rules are what versions are held against now.
func (h *trustHolder) rules() signing.Rules {
	t := h.newest()
	return t.Rules(t.Floor(h.now()), h.now())
}

// Bundle is the newest bundle, encoded; changed is closed when there is a newer one.
func (h *trustHolder) Bundle() (encoded []byte, changed <-chan struct{}) {
	t := h.newest()
	return t.encoded, t.changed
}

// Newest is the newest bundle, encoded, with the policy file in it and the
// digest of its newest root.
func (h *trustHolder) Newest() (bundle, policy []byte, root string) {
	t := h.newest()
	return t.encoded, t.Bundle().Policy, rootOf(t.Bundle())
}

func rootOf(b trust.Bundle) string { return trust.Digest(b.Roots[len(b.Roots)-1]) }

// Replace takes a newer bundle; changed is false where it says nothing new.
// Refusals are those of trust.Trusted.Update.
func (h *trustHolder) Replace(ctx context.Context, p auth.Principal, encoded []byte) (changed bool, err error) {
	return h.change(ctx, p, auth.TrustPublish, func(t *trust.Trusted) (*trust.Trusted, error) {
		b, err := trust.ParseBundle(encoded)
		if err != nil {
			return nil, err
		}
		return newer(t, b)
	})
}

// Push takes newer revocations alone. Metadata that a bundle cannot carry,
// because others brought the same version first, is refused: peers would not
// hear of it.
func (h *trustHolder) Push(ctx context.Context, p auth.Principal, metadata []byte) (changed bool, err error) {
	return h.change(ctx, p, auth.TrustRevoke, func(t *trust.Trusted) (*trust.Trusted, error) {
		next, err := t.Push(metadata)
		if err == nil && next != t && !bytes.Equal(next.Bundle().Pushed, metadata) {
			return nil, errs.New(errs.CodeTrustRollback, "cannot take the revocations: others of version %d came first", t.RevocationsVersion()).
				WithHint("run the command again: it adds to the newest")
		}
		return next, err
	})
}

// listedFor is how long revocations of versions and approvals stay in the
// metadata at least: ten days less than those who sign it keep them, for clocks
// that differ. A version lives for 14 days at most.
const listedFor = 50 * 24 * time.Hour

// leavesNothingOut refuses newer revocations that leave out what others have
// revoked: machines that know it remember, but new ones would never hear of it.
func leavesNothingOut(old, next *trust.Trusted, now time.Time) error {
	for _, r := range old.Listed().List() {
		passing := r.Kind == signing.RevokeVersion || r.Kind == signing.RevokeApproval
		if _, listed := next.Listed().Find(r.Kind, r.Value); listed || passing && now.Sub(r.At) > listedFor {
			continue
		}
		return errs.New(errs.CodeTrustRollback, "cannot take the revocations: they leave out %.100s, which %s revoked", r.ID(), r.By).
			WithHint("revoke with the command, which keeps what others revoked; if somebody signed this on purpose, take the key out of the policy")
	}
	return nil
}

// change has one change audited, kept on disk and then put in force. A refused
// person is audited before anything is verified.
func (h *trustHolder) change(ctx context.Context, p auth.Principal, perm auth.Permission, make func(*trust.Trusted) (*trust.Trusted, error)) (bool, error) {
	if err := h.gate.Allow(p, perm); err != nil {
		_, err = h.gate.Authorize(ctx, p, perm, "trust", "")
		return false, err
	}
	h.changing.Lock()
	defer h.changing.Unlock()
	old := h.newest().Trusted
	next, err := make(old)
	if err != nil || next == old {
		return false, err
	}
	if err := next.CheckAhead(h.now()); err != nil {
		return false, err
	}
	if err := leavesNothingOut(old, next, h.now()); err != nil {
		return false, err
	}
	grant, err := h.gate.Authorize(ctx, p, perm, "trust/"+rootOf(next.Bundle()), newsOf(old, next))
	if err != nil {
		return false, err
	}
	if err := h.gate.Log.AddEntry(ctx, grant.Entry()); err != nil {
		return false, errs.Wrap(errs.CodeUnavailable, err, "cannot write the audit log, so nothing is changed")
	}
	return true, h.take(ctx, next, newsOf(old, next))
}

// take keeps newer metadata and puts it in force. The caller is alone.
func (h *trustHolder) take(ctx context.Context, next *trust.Trusted, what string) error {
	state, err := stateOf(next)
	if err != nil {
		return err
	}
	if err := h.keep(next); err != nil {
		return err
	}
	old := h.current.Swap(state)
	if old != nil {
		close(old.changed)
	}
	h.log.InfoContext(ctx, "new trust metadata", "root", rootOf(next.Bundle()), "policy", next.Policy().Digest,
		"revocations", next.Revoked().Len(), "news", what)
	return nil
}

func stateOf(t *trust.Trusted) (*trusted, error) {
	encoded, err := t.Bundle().Encode()
	if err == nil && len(encoded) > trust.MaxBundleBytes {
		err = errs.New(errs.CodeTooLarge, "cannot take the trust metadata: all of it is longer than %d bytes", trust.MaxBundleBytes)
	}
	return &trusted{Trusted: t, encoded: encoded, changed: make(chan struct{})}, err
}

// newsOf says what is new, for the audit log.
func newsOf(old, next *trust.Trusted) string {
	text := ""
	versions := next.Roles()
	for i, was := range old.Roles() {
		if versions[i].Version != was.Version {
			text += fmt.Sprintf("%s %d to %d, ", was.Name, was.Version, versions[i].Version)
		}
	}
	for _, r := range next.Revoked().List() {
		if _, known := old.Revoked().Find(r.Kind, r.Value); !known {
			text += fmt.Sprintf("revoked by %s: %s, ", r.By, r.ID())
		}
	}
	return text + fmt.Sprintf("policy %.16s, %d revoked", next.Policy().Digest, next.Revoked().Len())
}

// keptTrust is the form of the kept file.
type keptTrust struct {
	Bundle  trust.Bundle         `json:"bundle"`
	Revoked []signing.Revocation `json:"revoked"`
}

func (h *trustHolder) keep(t *trust.Trusted) error {
	b, err := json.Marshal(keptTrust{Bundle: t.Bundle(), Revoked: t.Revoked().List()})
	if err != nil {
		return err
	}
	if len(b) > maxKeptTrust {
		return errs.New(errs.CodeTooLarge, "cannot keep the trust metadata: with all that was ever revoked it has %d bytes, more than %d", len(b), maxKeptTrust).
			WithHint("a revoker's key is being misused: take it out of the policy with hookline trust replace")
	}
	if err := durable.WriteFile(h.path, b, 0o600); err != nil {
		return errs.Wrap(errs.CodeUnavailable, errs.Plain(err), "cannot keep the trust metadata").WithHint("make room in the folder of --data")
	}
	return nil
}

// start finds out what is in force when the server starts: the file that
// --trust names or what the server kept, whichever is newer. Both must come
// from one root.
func (h *trustHolder) start(ctx context.Context, file string) error {
	given, err := readTrust(file)
	if err != nil {
		return err
	}
	kept, err := h.read()
	if err != nil {
		return err
	}
	if kept == nil {
		return h.take(ctx, given, "the first")
	}
	if !related(given.Bundle(), kept.Bundle()) {
		return errs.New(errs.CodeTrustRoot, "cannot use %s: the root that the server knows from %s is another", file, h.path).At("--trust").
			WithHint("give it the deployment's own offline/trust.json; where the deployment was made anew, give it an empty --data folder too")
	}
	next, err := newer(kept, given.Bundle())
	switch {
	case errs.Is(err, errs.CodeTrustRollback):
		h.log.InfoContext(ctx, "the trust metadata that the server has is newer than the file's", "file", file)
		next = kept
	case err != nil:
		return at(err, "--trust")
	}
	if next != kept {
		return h.take(ctx, next, newsOf(kept, next))
	}
	state, err := stateOf(kept)
	h.current.Store(state)
	return err
}

// related reports whether two bundles come from one root: the newest of one is
// among those of the other.
func related(a, b trust.Bundle) bool {
	has := func(roots [][]byte, of [][]byte) bool {
		return slices.ContainsFunc(roots, func(r []byte) bool { return trust.SameRoot(r, of[len(of)-1]) })
	}
	return has(a.Roots, b.Roots) || has(b.Roots, a.Roots)
}

// newer is trust.Trusted.Update for metadata that may begin at another root of
// the same line, or leave out what was pushed here.
func newer(t *trust.Trusted, b trust.Bundle) (*trust.Trusted, error) {
	if len(b.Roots) > 0 && !related(t.Bundle(), b) {
		return nil, errs.New(errs.CodeTrustRoot, "cannot take the metadata: it comes from another root").
			WithHint("publish the offline folder of this deployment")
	}
	return t.Update(b)
}

// readTrust opens the bundle that --trust names. The file is given by whoever
// runs the server, so that its own first root is where trust in it starts:
// peers may have been told of any of its roots.
func readTrust(file string) (*trust.Trusted, error) {
	b, err := readCapped("--trust", file, trust.MaxBundleBytes)
	if err != nil {
		return nil, err
	}
	bundle, err := trust.ParseBundle(b)
	if err != nil {
		return nil, at(err, "--trust")
	}
	t, err := openBundle(bundle)
	return t, at(err, "--trust")
}

func openBundle(b trust.Bundle) (*trust.Trusted, error) {
	policy, err := signing.ParsePolicy(b.Policy)
	if err != nil {
		return nil, err
	}
	return trust.Anchor{RootDigest: trust.Digest(b.Roots[0]), Deployment: policy.Deployment}.Open(b)
}

// at names the flag in a refusal.
func at(err error, flag string) error {
	if e, ok := errs.As(err); ok && e.Field == "" {
		return e.At(flag)
	}
	return err
}

// read opens what the server kept, nil where there is nothing yet. A damaged
// file is refused, for the server would forget what was revoked.
func (h *trustHolder) read() (*trust.Trusted, error) {
	if _, err := os.Lstat(h.path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	b, err := readCapped("--data", h.path, maxKeptTrust)
	if err != nil {
		return nil, err
	}
	kept, err := parseKept(b)
	if err != nil {
		return nil, errs.Wrap(errs.CodeTrustInvalid, err, "cannot use %s, which the server wrote itself", h.path).At("--data").
			WithHint("restore it from a backup; without it the server knows only what --trust says, so publish the newest offline folder then")
	}
	return kept, nil
}

func parseKept(b []byte) (*trust.Trusted, error) {
	var kept keptTrust
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&kept); err != nil || dec.More() {
		return nil, errors.New("it is not what the server writes")
	}
	encoded, err := kept.Bundle.Encode()
	if err != nil {
		return nil, err
	}
	bundle, err := trust.ParseBundle(encoded)
	if err != nil {
		return nil, err
	}
	t, err := openBundle(bundle)
	if err != nil {
		return nil, err
	}
	for _, r := range kept.Revoked {
		if err := r.Validate(); err != nil {
			return nil, err
		}
	}
	return t.Remember(kept.Revoked...), nil
}
