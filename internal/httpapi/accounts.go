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
	return api.Me{User: p.User, Roles: namesOf(p.Roles), ExpiresAt: p.ExpiresAt}, nil
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
	roles := rolesOf(in.Body.Roles)
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

// TokenListing is one page of tokens.
type TokenListing struct {
	Listing
	User string `query:"user" maxLength:"64" doc:"whose; left out: one's own, or everybody's for who may users.manage"`
}

func (s *service) listTokens(ctx context.Context, in *TokenListing) (api.Page[api.TokenInfo], error) {
	tokens, err := s.gate.Tokens(ctx, principalOf(ctx), in.User, in.After, in.Limit)
	return page(tokens, err, in.Limit, func(t auth.Token) (api.TokenInfo, string) { return tokenOf(t), t.ID })
}

func (s *service) revokeToken(ctx context.Context, in *IDPath) (api.TokenInfo, error) {
	t, err := s.gate.RevokeToken(ctx, principalOf(ctx), in.ID)
	return tokenOf(t), err
}

func tokenOf(t auth.Token) api.TokenInfo {
	return api.TokenInfo{ID: t.ID, Kind: string(t.Kind), User: t.User, Name: t.Name, CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt}
}

func (s *service) listUsers(ctx context.Context, in *Listing) (api.Page[api.User], error) {
	users, err := s.gate.Users(ctx, principalOf(ctx), in.After, in.Limit)
	return page(users, err, in.Limit, func(a auth.Account) (api.User, string) { return userOf(a), a.Name })
}

func (s *service) addUser(ctx context.Context, in *struct{ Body api.NewUser }) (api.User, error) {
	p := principalOf(ctx)
	if err := s.gate.AddUser(ctx, p, in.Body.Name, rolesOf(in.Body.Roles)); err != nil {
		return api.User{}, err
	}
	return s.user(ctx, p, in.Body.Name)
}

// ChangeUser changes a user.
type ChangeUser struct {
	Name string `path:"name" maxLength:"64"`
	Body api.UserChange
}

func (s *service) changeUser(ctx context.Context, in *ChangeUser) (api.User, error) {
	p := principalOf(ctx)
	c := auth.Change{Off: in.Body.Off}
	if in.Body.Roles != nil {
		c.Roles = rolesOf(in.Body.Roles)
	}
	if err := s.gate.ChangeUser(ctx, p, in.Name, c); err != nil {
		return api.User{}, err
	}
	return s.user(ctx, p, in.Name)
}

func (s *service) user(ctx context.Context, p auth.Principal, name string) (api.User, error) {
	a, err := s.gate.Account(ctx, p, name)
	return userOf(a), err
}

func userOf(a auth.Account) api.User {
	return api.User{
		Name: a.Name, Roles: namesOf(a.Roles), CreatedAt: a.CreatedAt, HasPassword: a.HasPassword, Off: a.Off,
		LastSignIn: timeOf(a.LastSignIn), LockedUntil: timeOf(a.LockedUntil),
	}
}

func rolesOf(names []string) []auth.Role {
	roles := make([]auth.Role, 0, len(names))
	for _, r := range names {
		roles = append(roles, auth.Role(r))
	}
	return roles
}

func namesOf(roles []auth.Role) []string {
	names := make([]string, 0, len(roles))
	for _, r := range roles {
		names = append(names, string(r))
	}
	return names
}

func (s *service) listAudit(ctx context.Context, in *Listing) (api.Page[auth.Entry], error) {
	entries, err := s.Audit.Entries(ctx, auth.EntryFilter{After: in.After, Limit: in.Limit})
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
