package httpapi

import (
	"context"
	"time"

	"hookline/internal/api"
	"hookline/internal/auth"
	"hookline/internal/errs"
)

const maxTokenDays = int(auth.MaxTokenLife / (24 * time.Hour))

func (s *service) me(ctx context.Context, _ *nothing) (api.Me, error) {
	p := principalOf(ctx)
	me := api.Me{User: p.User, Roles: []string{}, ExpiresAt: p.ExpiresAt}
	for _, r := range p.Roles {
		me.Roles = append(me.Roles, string(r))
	}
	return me, nil
}

func (s *service) info(context.Context, *nothing) (api.Info, error) {
	_, file, root := s.Trust.Newest()
	policy := s.Rules().Policy
	return api.Info{
		Deployment:   policy.Deployment,
		RootDigest:   root,
		Profile:      string(policy.Profile),
		PolicyDigest: policy.Digest,
		Policy:       file,
		Version:      s.Version,
	}, nil
}

func (s *service) createToken(ctx context.Context, in *struct{ Body api.NewToken }) (api.Token, error) {
	roles := make([]auth.Role, 0, len(in.Body.Roles))
	for _, r := range in.Body.Roles {
		roles = append(roles, auth.Role(r))
	}
	if in.Body.Days < 1 || in.Body.Days > maxTokenDays { // before it is multiplied, which could overflow
		return api.Token{}, errs.New(errs.CodeBadInput, "a token lives from 1 to %d days", maxTokenDays).At("days")
	}
	ttl := time.Duration(in.Body.Days) * 24 * time.Hour
	secret, t, err := s.gate.CreateToken(ctx, principalOf(ctx), in.Body.User, roles, in.Body.Name, ttl)
	return api.Token{ID: t.ID, User: t.User, Secret: secret, ExpiresAt: t.ExpiresAt}, err
}

func (s *service) createLogin(ctx context.Context, _ *nothing) (api.LoginLink, error) {
	code, t, err := s.gate.NewLogin(ctx, principalOf(ctx))
	return api.LoginLink{Path: "/login/" + code, ExpiresAt: t.ExpiresAt}, err
}

func (s *service) listAudit(ctx context.Context, in *Listing) (api.Page[auth.Entry], error) {
	entries, err := s.Audit.Entries(ctx, in.After, in.Limit)
	return page(entries, err, in.Limit, func(e auth.Entry) (auth.Entry, string) { return e, e.ID })
}

// page maps a list; a full page names the key of its last item as the next.
func page[D, A any](list []D, err error, limit int, f func(D) (A, string)) (api.Page[A], error) {
	out := api.Page[A]{Items: make([]A, 0, len(list))}
	for _, d := range list {
		item, key := f(d)
		out.Items = append(out.Items, item)
		out.Next = key
	}
	if len(list) < limit {
		out.Next = ""
	}
	return out, err
}
