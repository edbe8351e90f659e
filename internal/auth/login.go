package auth

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"hookline/internal/errs"
)

// bootstrapActor is the actor of what the server does for its first user. No
// user can have this name.
const bootstrapActor = "bootstrap"

// serverActor is the actor of what the server does by itself; it is no name of
// a user.
const serverActor = "(server)"

// firstUser is the user that Bootstrap makes.
const firstUser = "admin"

// What a browser does without a permission: the link that it uses was granted
// when it was made.
const (
	actionSignIn  = "logins.use"
	actionSignOut = "logins.end"
)

// note writes down what a person does with a token of their own; where it
// cannot be written it must not be done.
func (g *Gate) note(ctx context.Context, action, user, token string) error {
	e, err := g.entry(action, "user/"+user, "")
	if err != nil {
		return err
	}
	e.Actor, e.TokenID = user, token
	if err := g.Log.AddEntry(ctx, e); err != nil {
		return errs.Wrap(errs.CodeUnavailable, err, "cannot write the audit log, so nothing is allowed")
	}
	return nil
}

// NewLogin makes a code that signs p in to a browser, once, within LoginLife.
// Neither it nor its session outlives the token that p came with.
func (g *Gate) NewLogin(ctx context.Context, p Principal) (string, Token, error) {
	grant, err := g.Authorize(ctx, p, LoginCreate, "user/"+p.User, fmt.Sprintf("good for %s", LoginLife))
	if err != nil {
		return "", Token{}, err
	}
	code, t, err := g.newToken(TokenLogin, p.User, "sign-in link", min(LoginLife, p.ExpiresAt.Sub(g.now())))
	if err != nil {
		return "", Token{}, err
	}
	t.SessionUntil = p.ExpiresAt
	if err := g.Accounts.AddToken(ctx, t, grant); err != nil {
		return "", Token{}, err
	}
	return code, t, nil
}

// SpendLogin turns a code into a session that can only read; the audit log
// has it before the session is there. A code that was spent, is unknown or has
// expired: errs.CodeUnauthenticated.
func (g *Gate) SpendLogin(ctx context.Context, code string) (string, Token, error) {
	used, err := g.lookup(ctx, code, TokenLogin)
	if err != nil {
		return "", Token{}, err
	}
	secret, t, err := g.newToken(TokenSession, used.User, "browser", min(SessionLife, used.SessionUntil.Sub(g.now())))
	if err != nil {
		return "", Token{}, err
	}
	if err := g.note(ctx, actionSignIn, used.User, used.ID); err != nil {
		return "", Token{}, err
	}
	err = g.Accounts.SpendToken(ctx, used.ID, t)
	if errs.Is(err, errs.CodeNotFound) {
		return "", Token{}, unauthenticated()
	}
	if err != nil {
		return "", Token{}, err
	}
	return secret, t, nil
}

// Bootstrap makes user admin and its first token where there is no user at
// all; created tells. Only an admin makes users and nobody removes any, so
// that no user at all is the same as no user admin.
//
// deliver keeps the secret for the owner (a file, mode 0600) and runs before
// anything is stored; the user is stored last. A crash anywhere in between
// leaves no user, and the next start begins again with a new secret.
func (g *Gate) Bootstrap(ctx context.Context, deliver func(secret string) error) (created bool, err error) {
	if _, err := g.Accounts.User(ctx, firstUser); !errs.Is(err, errs.CodeNotFound) {
		return false, err
	}
	secret, t, err := g.newToken(TokenAPI, firstUser, bootstrapActor, MaxTokenLife)
	if err != nil {
		return false, err
	}
	if err := deliver(secret); err != nil {
		return false, errs.Wrap(errs.CodeUnavailable, err, "cannot keep the first admin token")
	}
	if err := g.bootstrapStore(ctx, t); err != nil {
		return false, err
	}
	return true, nil
}

func (g *Gate) bootstrapStore(ctx context.Context, t Token) error {
	grant, err := g.system(bootstrapActor, TokensCreate, "user/"+firstUser, "the first token")
	if err != nil {
		return err
	}
	if err := g.Accounts.AddToken(ctx, t, grant); err != nil {
		return err
	}
	grant, err = g.system(bootstrapActor, UsersManage, "user/"+firstUser, "the first user")
	if err != nil {
		return err
	}
	u := User{Name: firstUser, Roles: []Role{RoleAdmin}, CreatedAt: g.now()}
	return g.Accounts.AddUser(ctx, u, grant)
}

// Server is a grant for what the server does by itself because of what people
// signed; detail says what that is.
func (g *Gate) Server(perm Permission, target, detail string) (Grant, error) {
	return g.system(serverActor, perm, target, detail)
}

// system is a grant that no person asked for.
func (g *Gate) system(actor string, perm Permission, target, detail string) (Grant, error) {
	e, err := g.entry(string(perm), target, detail)
	if err != nil {
		return Grant{}, err
	}
	e.Actor = actor
	return Grant{entry: &e}, nil
}

// ParseRoles reads roles as people write them, "author,reviewer"; an unknown
// one is errs.CodeBadInput.
func ParseRoles(s string) ([]Role, error) {
	var roles []Role
	for part := range strings.SplitSeq(s, ",") {
		r := Role(strings.TrimSpace(part))
		if r == "" {
			continue
		}
		if !r.Valid() || slices.Contains(roles, r) {
			return nil, errs.New(errs.CodeBadInput, "unknown or repeated role %q", cut(string(r), 40)).At("roles").
				WithHint("roles are admin, author, reviewer, operator, viewer")
		}
		roles = append(roles, r)
	}
	return roles, nil
}
