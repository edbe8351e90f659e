package auth

import (
	"context"
	"slices"
	"strings"
	"time"

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
	actionSignIn   = "logins.use"
	actionPassword = "logins.password"
	actionSignOut  = "logins.end"
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
	grant, err := g.Authorize(ctx, p, LoginCreate, "user/"+p.User, "good for "+inWords(LoginLife))
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

// SignedIn is what a browser's session is made of. The pages keep it; with each
// request they ask SessionPrincipal who that is now.
type SignedIn struct {
	User  string
	ID    string    // of the sign-in, in the audit log
	Since time.Time // when what was shown to sign in was still good; see User.SessionsFrom
	Until time.Time // the session ends then at the latest
}

// SpendLogin takes a code, once; the audit log has it before anybody is signed
// in. A code that was spent, is unknown or has expired, that is older than the
// moment from which its user's sessions count, or whose user is gone or off:
// errs.CodeUnauthenticated.
func (g *Gate) SpendLogin(ctx context.Context, code string) (SignedIn, error) {
	u, used, err := g.link(ctx, code)
	if err != nil {
		return SignedIn{}, err
	}
	if err := g.note(ctx, actionSignIn, u.Name, used.ID); err != nil {
		return SignedIn{}, err
	}
	err = g.Accounts.SpendToken(ctx, used.ID)
	if errs.Is(err, errs.CodeNotFound) {
		return SignedIn{}, unauthenticated()
	}
	if err != nil {
		return SignedIn{}, err
	}
	until := g.now().Add(SessionLife)
	if used.SessionUntil.Before(until) {
		until = used.SessionUntil
	}
	return SignedIn{User: u.Name, ID: used.ID, Since: used.CreatedAt, Until: until}, nil
}

// LinkUser says whom a sign-in link's code would let in, and spends nothing;
// "" where it lets nobody in.
func (g *Gate) LinkUser(ctx context.Context, code string) (string, error) {
	u, _, err := g.link(ctx, code)
	if errs.Is(err, errs.CodeUnauthenticated) {
		return "", nil
	}
	return u.Name, err
}

// link finds a code that is good, and its user.
func (g *Gate) link(ctx context.Context, code string) (User, Token, error) {
	t, err := g.lookup(ctx, code, TokenLogin)
	if err != nil {
		return User{}, Token{}, err
	}
	u, err := g.active(ctx, t.User, unauthenticated())
	if err != nil {
		return User{}, Token{}, err
	}
	if t.CreatedAt.Before(u.SessionsFrom) {
		return User{}, Token{}, unauthenticated()
	}
	return u, t, nil
}

// SessionPrincipal says who a browser's session is now: its members are those
// of SignedIn. A session that is over, that began before its user's sessions
// count, or whose user is gone or off: errs.CodeUnauthenticated.
func (g *Gate) SessionPrincipal(ctx context.Context, user, tokenID string, since, until time.Time) (Principal, error) {
	over := errs.New(errs.CodeUnauthenticated, "you are not signed in, or not any more").WithHint("sign in again")
	if !g.now().Before(until) {
		return Principal{}, over
	}
	u, err := g.active(ctx, user, over)
	if err != nil {
		return Principal{}, err
	}
	if since.Before(u.SessionsFrom) {
		return Principal{}, over
	}
	return Principal{User: u.Name, Roles: slices.Clone(u.Roles), TokenID: tokenID, Kind: TokenSession, ExpiresAt: until}, nil
}

// SignOut writes down that a person signs a browser out. Whoever keeps the
// session ends it then.
func (g *Gate) SignOut(ctx context.Context, p Principal) error {
	if p.Kind != TokenSession {
		return errs.New(errs.CodeBadInput, "only a browser session can be signed out")
	}
	return g.note(ctx, actionSignOut, p.User, p.TokenID)
}

// FirstLinkLife is how long the link is good that Bootstrap makes.
const FirstLinkLife = 24 * time.Hour

// Bootstrap makes user admin with a first token and a one-time sign-in link
// where there is no user at all; created tells. Only an admin makes users and
// nobody removes any, so that no user at all is the same as no user admin.
//
// deliver keeps both secrets for the owner (files, mode 0600) and runs before
// anything is stored; the user is stored last. A crash anywhere in between
// leaves no user, and the next start begins again with new secrets.
func (g *Gate) Bootstrap(ctx context.Context, deliver func(secret, code string) error) (created bool, err error) {
	if _, err := g.Accounts.User(ctx, firstUser); !errs.Is(err, errs.CodeNotFound) {
		return false, err
	}
	secret, t, err := g.newToken(TokenAPI, firstUser, bootstrapActor, MaxTokenLife)
	if err != nil {
		return false, err
	}
	code, link, err := g.newToken(TokenLogin, firstUser, "the first sign-in", FirstLinkLife)
	if err != nil {
		return false, err
	}
	link.SessionUntil = link.ExpiresAt.Add(SessionLife)
	if err := deliver(secret, code); err != nil {
		return false, errs.Wrap(errs.CodeUnavailable, err, "cannot keep the first admin token")
	}
	if err := g.bootstrapStore(ctx, t, link); err != nil {
		return false, err
	}
	return true, nil
}

func (g *Gate) bootstrapStore(ctx context.Context, t, link Token) error {
	add := func(t Token, perm Permission, detail string) error {
		grant, err := g.system(bootstrapActor, perm, "user/"+firstUser, detail)
		if err != nil {
			return err
		}
		return g.Accounts.AddToken(ctx, t, grant)
	}
	if err := add(t, TokensCreate, "the first token"); err != nil {
		return err
	}
	if err := add(link, LoginCreate, "the first sign-in link"); err != nil {
		return err
	}
	grant, err := g.system(bootstrapActor, UsersManage, "user/"+firstUser, "the first user")
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
