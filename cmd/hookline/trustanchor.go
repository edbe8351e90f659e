package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"hookline/internal/client"
	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/trust"
	"hookline/signing/trust/keeper"
)

// keptTrust names the newest trust metadata of a deployment that was verified,
// beside the saved configuration: nothing older is believed any more, also after
// the person was signed in elsewhere.
const keptTrust = "trust-%s.json"

var rootDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// trusted is the server's newest trust metadata, verified on this machine from
// the root that login remembered (or HOOKLINE_TRUST_ROOT names), and no older
// than what was seen before. Without either the person is told that it is the
// server's word.
func (a *app) trusted(ctx context.Context) (*trust.Trusted, error) {
	s, err := a.settings()
	if err != nil {
		return nil, err
	}
	c, err := a.client()
	if err != nil {
		return nil, err
	}
	anchor := trust.Anchor{RootDigest: s.RootDigest, Deployment: s.Deployment}
	if root := a.getenv("HOOKLINE_TRUST_ROOT"); root != "" {
		anchor.RootDigest = root
	}
	b, err := fetchTrust(ctx, c)
	if err != nil {
		return nil, err
	}
	if anchor.RootDigest == "" {
		fmt.Fprintf(a.err, "warning: the policy is the word of %s alone; pin its root with: hookline login --trust-root DIGEST\n", safe(c.Server()))
	}
	return a.verifyTrust(anchor, b)
}

// fetchTrust is the server's bundle, of which nothing is verified.
func fetchTrust(ctx context.Context, c *client.Client) (trust.Bundle, error) {
	answer, err := c.GetTrust(ctx)
	if err != nil {
		return trust.Bundle{}, err
	}
	return trust.ParseBundle(answer.Bundle)
}

// verifyTrust verifies a bundle from an anchor, of which an empty member is
// taken from the bundle.
func (a *app) verifyTrust(anchor trust.Anchor, b trust.Bundle) (*trust.Trusted, error) {
	pinned := anchor.RootDigest != ""
	if anchor.Deployment == "" {
		policy, err := signing.ParsePolicy(b.Policy)
		if err != nil {
			return nil, err
		}
		anchor.Deployment = policy.Deployment
	}
	if !pinned {
		anchor.RootDigest = trust.Digest(b.Roots[len(b.Roots)-1])
		return anchor.Open(b)
	}
	t, err := a.followTrust(anchor, b)
	if e, ok := errs.As(err); ok && e.Code == errs.CodeTrustRoot {
		return nil, e.WithHint("compare with the root digest that hookline trust show prints for whoever has the offline folder; if this server's is right, follow it: hookline login --trust-root DIGEST")
	}
	return t, err
}

// followTrust verifies a bundle from a pinned root and against what was kept,
// and keeps what is newer.
func (a *app) followTrust(anchor trust.Anchor, b trust.Bundle) (*trust.Trusted, error) {
	known, err := a.knownTrust(anchor)
	if err != nil {
		return nil, err
	}
	if known == nil {
		t, err := anchor.Open(b)
		if err != nil {
			return nil, err
		}
		return t, a.keepTrust(t)
	}
	t, err := known.Update(b)
	if err != nil || t == known {
		return t, err
	}
	return t, a.keepTrust(t)
}

// knownTrust is what was kept, nil where there is nothing that the anchor
// leads to.
func (a *app) knownTrust(anchor trust.Anchor) (*trust.Trusted, error) {
	path, err := a.keptTrustPath(anchor.Deployment)
	if err != nil {
		return nil, nil //nolint:nilerr // without a home nothing is kept
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fileError(err, "cannot read "+path)
	}
	kept, err := trust.ParseBundle(b)
	if err != nil {
		return nil, errs.Wrap(errs.CodeOf(err), err, "cannot read %s", path).
			WithHint("it is what this machine has seen of the deployment; remove it and sign in again: hookline login --trust-root DIGEST")
	}
	t, err := anchor.Open(kept)
	if errs.Is(err, errs.CodeTrustRoot) || errs.Is(err, errs.CodeWrongDeployment) {
		return nil, nil // the person has pinned another root since
	}
	return t, err
}

func (a *app) keepTrust(t *trust.Trusted) error {
	path, err := a.keptTrustPath(t.Anchor().Deployment)
	if err != nil {
		return nil //nolint:nilerr // without a home nothing is kept
	}
	b, err := t.Bundle().Encode()
	if err != nil {
		return errs.Wrap(errs.CodeInternal, err, "cannot encode the trust metadata")
	}
	return writePrivate(path, b)
}

func (a *app) keptTrustPath(deployment string) (string, error) {
	path, err := a.configPath()
	return filepath.Join(filepath.Dir(path), fmt.Sprintf(keptTrust, deployment)), err
}

// loginAnchor is what login starts from: --trust-root, the offline folder, or
// what an earlier login to this server remembered; else nothing.
func (a *app) loginAnchor(s savedConfig, root, dir string) (trust.Anchor, error) {
	switch {
	case root != "":
		if !rootDigest.MatchString(root) {
			return trust.Anchor{}, usagef("--trust-root %q is not 64 hexadecimal digits; hookline trust show prints it", root)
		}
		return trust.Anchor{RootDigest: root}, nil
	case dir != "":
		k, err := keeper.Open(dir, a.now)
		if err != nil {
			return trust.Anchor{}, err
		}
		return k.Anchor()
	}
	return trust.Anchor{RootDigest: s.RootDigest, Deployment: s.Deployment}, nil
}
