package auth

import (
	"context"
	"fmt"
	"slices"
	"time"

	"hookline/internal/errs"
)

// Account is what people may see of a user.
type Account struct {
	Name        string
	Roles       []Role
	CreatedAt   time.Time
	HasPassword bool
	Off         bool
	LastSignIn  time.Time // with a password; zero is never
	LockedUntil time.Time // no password is looked at before; zero is not locked
}

// maxWalk bounds how many users are looked at for another admin.
const maxWalk = 100_000

func (g *Gate) account(u User) Account {
	a := Account{
		Name: u.Name, Roles: slices.Clone(u.Roles), CreatedAt: u.CreatedAt,
		HasPassword: u.Password != "", Off: u.Off, LastSignIn: u.LastSignIn,
	}
	if end := u.LastFailure.Add(triesWithin); u.Failures >= maxTries && g.now().Before(end) {
		a.LockedUntil = end
	}
	return a
}

// Account shows p a user: themself, or anybody where p may users.manage. Others
// are errs.CodeNotFound for who may not, as are users that do not exist.
func (g *Gate) Account(ctx context.Context, p Principal, name string) (Account, error) {
	if name != p.User && !p.may(UsersManage) {
		return Account{}, noUser(name)
	}
	u, err := g.Accounts.User(ctx, userOrNone(name))
	if errs.Is(err, errs.CodeNotFound) {
		return Account{}, noUser(name)
	}
	if err != nil {
		return Account{}, err
	}
	return g.account(u), nil
}

func noUser(name string) error {
	return errs.New(errs.CodeNotFound, "there is no user %q", cut(name, 64))
}

// Users lists users by name, for users.manage.
func (g *Gate) Users(ctx context.Context, p Principal, after string, limit int) ([]Account, error) {
	if err := g.Allow(p, UsersManage); err != nil {
		return nil, err
	}
	users, err := g.Accounts.Users(ctx, after, limit)
	list := make([]Account, 0, len(users))
	for _, u := range users {
		list = append(list, g.account(u))
	}
	return list, err
}

// Tokens lists tokens and sign-in links, newest first, without their hashes:
// those of a user, or with "" p's own, or everybody's where p may users.manage.
// Others' are errs.CodeForbidden.
func (g *Gate) Tokens(ctx context.Context, p Principal, user, after string, limit int) ([]Token, error) {
	if user == "" && !p.may(UsersManage) {
		user = p.User
	}
	if user != p.User {
		if err := g.Allow(p, UsersManage); err != nil {
			return nil, err
		}
	}
	tokens, err := g.Accounts.Tokens(ctx, user, after, limit)
	for i := range tokens {
		tokens[i].Hash = [32]byte{}
	}
	return tokens, err
}

// Token shows p a token, without its hash: their own, or anybody's where p may
// users.manage. Others' are errs.CodeNotFound, as are those that do not exist.
func (g *Gate) Token(ctx context.Context, p Principal, id string) (Token, error) {
	t, err := g.Accounts.Token(ctx, cut(id, 64))
	if errs.Is(err, errs.CodeNotFound) || err == nil && t.User != p.User && !p.may(UsersManage) {
		return Token{}, noToken(id)
	}
	t.Hash = [32]byte{}
	return t, err
}

func noToken(id string) error {
	return errs.New(errs.CodeNotFound, "there is no token %q", cut(id, 64)).WithHint("list them with: hookline token list")
}

// AddUser makes a user without a password. errs.CodeConflict: there is one.
func (g *Gate) AddUser(ctx context.Context, p Principal, name string, roles []Role) error {
	if err := checkUser(name, roles); err != nil {
		return err
	}
	return g.addUser(ctx, p, name, roles)
}

// Change is what an admin changes of a user; nil members stay.
type Change struct {
	Roles []Role
	Off   *bool // true also ends the user's sessions
}

// ChangeUser changes a user's roles and whether they may come in, at once. It
// takes users.manage. errs.CodeConflict where no admin who is not off would
// remain.
func (g *Gate) ChangeUser(ctx context.Context, p Principal, name string, c Change) error {
	if c.Roles == nil && c.Off == nil {
		return errs.New(errs.CodeBadInput, "cannot change user %s to nothing", cut(name, 64)).WithHint("say roles, off or both")
	}
	if err := checkUser(name, c.Roles); err != nil {
		return err
	}
	if c.Roles != nil && len(c.Roles) == 0 {
		return needsRole(name)
	}
	detail := ""
	if c.Roles != nil {
		detail = fmt.Sprintf("roles %v", c.Roles)
	}
	u := UserChange{Roles: slices.Clone(c.Roles), Off: c.Off}
	if c.Off != nil {
		detail += map[bool]string{true: " off", false: " on"}[*c.Off]
	}
	if c.Off != nil && *c.Off {
		from := g.sessionsFrom()
		u.SessionsFrom = &from
	}
	grant, err := g.Authorize(ctx, p, UsersManage, "user/"+name, detail)
	if err != nil {
		return err
	}
	g.admins.Lock() // two admins who take each other away at once
	defer g.admins.Unlock()
	if err := g.keepAdmin(ctx, name, c); err != nil {
		return err
	}
	return g.change(ctx, name, u, grant)
}

// SetRoles and SetOff are ChangeUser for one thing.
func (g *Gate) SetRoles(ctx context.Context, p Principal, name string, roles []Role) error {
	return g.ChangeUser(ctx, p, name, Change{Roles: append([]Role{}, roles...)})
}

// SetOff says whether a user may come in at all.
func (g *Gate) SetOff(ctx context.Context, p Principal, name string, off bool) error {
	return g.ChangeUser(ctx, p, name, Change{Off: &off})
}

func (g *Gate) change(ctx context.Context, name string, c UserChange, grant Grant) error {
	err := g.Accounts.ChangeUser(ctx, name, c, grant)
	if errs.Is(err, errs.CodeNotFound) {
		return noUser(name)
	}
	return err
}

// keepAdmin refuses to take the last admin away. The server is the only one
// of its store.
func (g *Gate) keepAdmin(ctx context.Context, name string, c Change) error {
	if (c.Off == nil || !*c.Off) && (c.Roles == nil || slices.Contains(c.Roles, RoleAdmin)) {
		return nil // takes nothing away
	}
	after := ""
	for range maxWalk / 200 {
		users, err := g.Accounts.Users(ctx, after, 200)
		if err != nil {
			return err
		}
		for _, u := range users {
			if u.Name != name && !u.Off && slices.Contains(u.Roles, RoleAdmin) {
				return nil
			}
			after = u.Name
		}
		if len(users) < 200 {
			break
		}
	}
	return errs.New(errs.CodeConflict, "cannot take away the last admin: nobody could change anything any more").
		WithHint("make another user admin first")
}

// personal is the permission for something of a user's: one's own, or users.manage.
func personal(p Principal, user string) Permission {
	if user == p.User {
		return AccountOwn
	}
	return UsersManage
}

// SetPassword sets p's own password, for which it takes the old one unless
// there is none, or, with users.manage, somebody else's. It ends the user's
// sessions from before; from is what a session that is to go on has to be dated
// (SignedIn.Since).
func (g *Gate) SetPassword(ctx context.Context, p Principal, user, old, password string) (from time.Time, err error) {
	plain, err := checkPassword(user, password)
	if err != nil {
		return time.Time{}, err
	}
	grant, err := g.Authorize(ctx, p, personal(p, user), "user/"+user, "a new password")
	if err != nil {
		return time.Time{}, err
	}
	u, err := g.Accounts.User(ctx, userOrNone(user))
	if errs.Is(err, errs.CodeNotFound) {
		return time.Time{}, noUser(user)
	}
	if err != nil {
		return time.Time{}, err
	}
	if user == p.User {
		if err := g.checkOwn(ctx, p, u, old); err != nil {
			return time.Time{}, err
		}
	}
	var hash string
	if err := g.hasher.do(ctx, func() { hash = newHash(plain, g.cost).String() }); err != nil {
		return time.Time{}, err
	}
	from = g.sessionsFrom()
	if err := g.change(ctx, user, UserChange{Password: &hash, SessionsFrom: &from}, grant); err != nil {
		return time.Time{}, err
	}
	return from, g.Accounts.SignedIn(ctx, user, u.LastSignIn) // lets in who was locked out
}

// sessionsFrom is later than whatever began up to now, at the precision that is
// stored.
func (g *Gate) sessionsFrom() time.Time { return g.now().Add(time.Millisecond) }

// checkOwn is what a person needs for another password of their own: the one
// that there is, or, for the first one, to be an admin. Who was given a token
// for a day must not turn it into a password for good.
func (g *Gate) checkOwn(ctx context.Context, p Principal, u User, old string) error {
	if u.Password != "" {
		return g.checkOld(ctx, u, old)
	}
	if p.may(UsersManage) {
		return nil
	}
	return errs.New(errs.CodeForbidden, "%s has no password yet, and may not set the first one", u.Name).
		WithHint("an admin sets it, on the page of the user; it can be changed then")
}

// checkOld looks at the old password, as often as at a sign-in: who finds a
// browser open cannot guess it either.
func (g *Gate) checkOld(ctx context.Context, u User, old string) error {
	_, good, err := g.try(ctx, u.Name, old, g.now())
	if err != nil {
		return err
	}
	if !good {
		return errs.New(errs.CodeBadInput, "the old password is wrong").WithHint("an admin can set a new one without it")
	}
	return nil
}

// EndSessions ends all browser sessions of a user, and takes back sign-in
// links that are not used yet: p's own, or with users.manage somebody else's.
// from is as for SetPassword.
func (g *Gate) EndSessions(ctx context.Context, p Principal, user string) (from time.Time, err error) {
	grant, err := g.Authorize(ctx, p, personal(p, user), "user/"+user, "all browser sessions ended")
	if err != nil {
		return time.Time{}, err
	}
	from = g.sessionsFrom()
	return from, g.change(ctx, user, UserChange{SessionsFrom: &from}, grant)
}

// RevokeToken deletes a token or sign-in link: one's own, or with users.manage
// anybody's. Others' are errs.CodeNotFound for who may not, and the try is
// written down.
func (g *Gate) RevokeToken(ctx context.Context, p Principal, id string) (Token, error) {
	none := noToken(id)
	t, err := g.Accounts.Token(ctx, cut(id, 64))
	if errs.Is(err, errs.CodeNotFound) {
		return Token{}, none
	}
	if err != nil {
		return Token{}, err
	}
	grant, err := g.Authorize(ctx, p, personal(p, t.User), "token/"+t.ID, fmt.Sprintf("token %q of %s revoked", t.Name, t.User))
	if errs.Is(err, errs.CodeForbidden) && t.User != p.User {
		return Token{}, none
	}
	if err != nil {
		return Token{}, err
	}
	if err := g.Accounts.RemoveToken(ctx, t.ID, grant); err != nil {
		if errs.Is(err, errs.CodeNotFound) {
			return Token{}, none
		}
		return Token{}, err
	}
	t.Hash = [32]byte{}
	return t, nil
}
