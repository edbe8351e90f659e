package guard

import (
	"os"
	"path/filepath"
	"slices"

	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/trust"
)

// Bounds of the revocations that are remembered. Nothing falls out: at a bound
// hooks do not run, or an enrolment is refused.
const (
	maxRemembered      = 2 * signing.MaxRevocations // of one deployment
	maxDeployments     = 8
	maxRememberedBytes = 32 << 20
)

// remembered are all revocations that this machine has ever seen, those of
// deployments that it belonged to before among them: it may come back.
type remembered struct {
	Deployments map[string]*revoked `json:"deployments"`
}

// revoked is what was seen revoked in one deployment.
type revoked struct {
	List []signing.Revocation `json:"list"`
	Full bool                 `json:"full,omitempty"` // there were more than fit: no hook of it runs here any more
}

func loadRemembered(dir string) (remembered, error) {
	r := remembered{Deployments: map[string]*revoked{}}
	b, err := readCapped(filepath.Join(dir, revokedFile), maxRememberedBytes)
	if os.IsNotExist(err) {
		return r, nil
	}
	if err != nil {
		return r, readError(err)
	}
	if err := decodeOwn(revokedFile, b, &r); err != nil {
		return r, err
	}
	for name, of := range r.Deployments {
		if of == nil || name == "" {
			return r, errs.New(errs.CodeBadInput, "the guard's own file names a deployment without its revocations").At(revokedFile)
		}
	}
	if r.Deployments == nil {
		r.Deployments = map[string]*revoked{}
	}
	return r, nil
}

// of is what is remembered of a deployment, never nil.
func (r remembered) of(deployment string) *revoked {
	if known, ok := r.Deployments[deployment]; ok {
		return known
	}
	return &revoked{}
}

// with is r with a deployment's revocations, as many as fit.
func (r remembered) with(deployment string, all signing.Revocations) (remembered, error) {
	if _, known := r.Deployments[deployment]; !known && len(r.Deployments) >= maxDeployments {
		return r, errs.New(errs.CodeBoundExceeded, "cannot remember the revocations of more than %d deployments", maxDeployments).
			WithHint("enrol with a state folder of its own: --state DIR")
	}
	next := remembered{Deployments: make(map[string]*revoked, len(r.Deployments)+1)}
	for name, of := range r.Deployments {
		next.Deployments[name] = of
	}
	was := r.of(deployment)
	merged := signing.NewRevocations(was.List...).With(all.List()...)
	list := merged.List()
	full := was.Full
	if len(list) > maxRemembered {
		// What was there stays; of the new ones some do not fit.
		list, full = slices.Clone(was.List), true
		for _, one := range all.List() {
			if _, known := signing.NewRevocations(was.List...).Find(one.Kind, one.Value); !known && len(list) < maxRemembered {
				list = append(list, one)
			}
		}
	}
	next.Deployments[deployment] = &revoked{List: list, Full: full}
	return next, nil
}

// save puts what is remembered on disk.
func (r remembered) save(dir string) error {
	b, err := encode(r)
	if err != nil {
		return err
	}
	if int64(len(b)) > maxRememberedBytes {
		return errs.New(errs.CodeTooLarge, "cannot keep the revocations: they have more than %d bytes", maxRememberedBytes)
	}
	return writeAtomic(dir, revokedFile, b)
}

// loadTrusted opens the metadata of the folder from the pinned root, anew each
// time: nothing is believed because it lies here.
func loadTrusted(dir string, pin Pin, known remembered) (*trust.Trusted, error) {
	b, err := readCapped(filepath.Join(dir, trustFile), trust.MaxBundleBytes)
	if os.IsNotExist(err) {
		return nil, errs.New(errs.CodeTrustMissing, "cannot open the guard: its trust metadata is missing").
			WithHint("enrol this machine again: hookline-peer enroll LINE")
	}
	if err != nil {
		return nil, readError(err)
	}
	bundle, err := trust.ParseBundle(b)
	if err != nil {
		return nil, err
	}
	t, err := pin.Anchor.Open(bundle)
	if err != nil {
		return nil, err
	}
	if err := pin.accepts(t); err != nil {
		return nil, err
	}
	if list := known.of(pin.Anchor.Deployment).List; len(list) > 0 {
		t = t.Remember(list...)
	}
	return t, nil
}

func saveTrusted(dir string, t *trust.Trusted) error {
	b, err := t.Bundle().Encode()
	if err != nil {
		return errs.Wrap(errs.CodeInternal, err, "cannot encode the trust metadata")
	}
	return writeAtomic(dir, trustFile, b)
}

// accepts refuses a policy under which one person signs alone, unless the
// owner accepted that. That a deployment grew up is nothing to ask about.
func (p Pin) accepts(t *trust.Trusted) error {
	if profile := t.Policy().Profile; profile == signing.ProfileSolo && p.Profile != signing.ProfileSolo {
		return errs.New(errs.CodePolicyInvalid, "cannot take the policy: its profile is %s, the owner accepted %s", profile, p.Profile).
			WithHint("if you trust one person alone with this machine: hookline-peer enroll --accept-solo LINE")
	}
	return nil
}
