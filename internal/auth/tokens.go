package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"hookline/internal/errs"
)

// Lifetimes of tokens.
const (
	MaxTokenLife = 366 * 24 * time.Hour
	MinTokenLife = time.Minute
	LoginLife    = 5 * time.Minute
	SessionLife  = 12 * time.Hour
)

// maxTokenName is the longest name of a token in bytes.
const maxTokenName = 100

// secretBytes of randomness are in each secret.
const secretBytes = 32

// userName is the grammar of User.Name.
var userName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// prefix tells people, and secret scanners, what a secret is.
func (k TokenKind) prefix() string {
	switch k {
	case TokenAPI:
		return "hkl_"
	case TokenLogin:
		return "hkll_"
	default:
		return ""
	}
}

// newSecret makes a secret of a kind; only its hash is ever stored.
func newSecret(kind TokenKind) string {
	b := make([]byte, secretBytes)
	_, _ = rand.Read(b) // crypto/rand.Read never fails: it ends the program instead
	return kind.prefix() + base64.RawURLEncoding.EncodeToString(b)
}

// hashSecret is the SHA-256 by which the store finds a secret. A secret has
// 256 random bits, so that neither salt nor constant-time comparison is needed.
func hashSecret(secret string) [sha256.Size]byte { return sha256.Sum256([]byte(secret)) }

// kindOf tells what a secret claims to be by its prefix and length.
func kindOf(secret string) (TokenKind, bool) {
	for _, kind := range []TokenKind{TokenAPI, TokenLogin} {
		body, ok := strings.CutPrefix(secret, kind.prefix())
		if ok && len(body) == base64.RawURLEncoding.EncodedLen(secretBytes) {
			return kind, true
		}
	}
	return "", false
}

// unauthenticated is the one answer to every bad secret: it does not tell an
// unknown one from an expired one.
func unauthenticated() error {
	return errs.New(errs.CodeUnauthenticated, "the token is missing, unknown or expired").
		WithHint("make a new one with: hookline token create")
}

// Authenticate finds who holds the secret of an API token. The roles are those
// that the stored user has now. errs.CodeUnauthenticated for anything else,
// also where the user is off; other errors are the store's.
func (g *Gate) Authenticate(ctx context.Context, secret string) (Principal, error) {
	t, err := g.lookup(ctx, secret, TokenAPI)
	if err != nil {
		return Principal{}, err
	}
	u, err := g.active(ctx, t.User, unauthenticated())
	if err != nil {
		return Principal{}, err
	}
	return Principal{User: u.Name, Roles: slices.Clone(u.Roles), TokenID: t.ID, Kind: t.Kind, ExpiresAt: t.ExpiresAt}, nil
}

// active is a user who may come in; gone and off ones are answered with refusal.
func (g *Gate) active(ctx context.Context, name string, refusal error) (User, error) {
	u, err := g.Accounts.User(ctx, name)
	if errs.Is(err, errs.CodeNotFound) || err == nil && u.Off {
		return User{}, refusal
	}
	return u, err
}

// lookup finds a live token of the kind.
func (g *Gate) lookup(ctx context.Context, secret string, want TokenKind) (Token, error) {
	kind, ok := kindOf(secret)
	if !ok || kind != want {
		return Token{}, unauthenticated()
	}
	t, err := g.Accounts.TokenByHash(ctx, hashSecret(secret))
	if errs.Is(err, errs.CodeNotFound) {
		return Token{}, unauthenticated()
	}
	if err != nil {
		return Token{}, err
	}
	if t.Kind != kind || !g.now().Before(t.ExpiresAt) {
		return Token{}, unauthenticated()
	}
	return t, nil
}

// CreateToken makes an API token and, where it does not exist, the user.
// Everybody may make one for themself; only users.manage makes one for
// somebody else or a new user. roles are for a new user (at least one); for
// one that exists they must be left out or be the ones it has. name says what
// the token is for (at most 100 printable bytes). The secret is returned once.
//
// A token that somebody without users.manage makes ends no later than the one
// that it is made with: who was given a day must not turn it into a year.
func (g *Gate) CreateToken(ctx context.Context, p Principal, user string, roles []Role, name string, ttl time.Duration) (string, Token, error) {
	if err := checkNewToken(user, roles, name, ttl); err != nil {
		return "", Token{}, err
	}
	perm := UsersManage
	if user == p.User {
		perm = TokensCreate
	}
	if !p.may(UsersManage) {
		ttl = min(ttl, p.ExpiresAt.Sub(g.now()))
	}
	detail := "a token, good for " + inWords(ttl)
	if name != "" {
		detail = fmt.Sprintf("token %q, good for %s", name, inWords(ttl))
	}
	grant, err := g.Authorize(ctx, p, perm, "user/"+user, detail)
	if err != nil {
		return "", Token{}, err
	}
	if err := g.ensureUser(ctx, p, user, roles); err != nil {
		return "", Token{}, err
	}
	secret, t, err := g.newToken(TokenAPI, user, name, ttl)
	if err != nil {
		return "", Token{}, err
	}
	if err := g.Accounts.AddToken(ctx, t, grant); err != nil {
		return "", Token{}, err
	}
	return secret, t, nil
}

// inWords writes a token's life as people say it.
func inWords(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return fmt.Sprintf("%d days", d/day)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d min", d/time.Minute)
}

// checkNewToken checks the words of a request before anything is asked.
func checkNewToken(user string, roles []Role, name string, ttl time.Duration) error {
	if err := checkUser(user, roles); err != nil {
		return err
	}
	if len(name) > maxTokenName || toValid(name) != name {
		return errs.New(errs.CodeBadInput, "a token name is at most %d bytes of printable text", maxTokenName).At("name")
	}
	if ttl < MinTokenLife || ttl > MaxTokenLife {
		return errs.New(errs.CodeBadInput, "a token lives from one minute to 366 days").At("days")
	}
	return nil
}

// checkUser checks a name and roles as words.
func checkUser(user string, roles []Role) error {
	if !userName.MatchString(user) {
		return errs.New(errs.CodeBadInput, "a user name is 1 to 64 of a-z 0-9 . _ - and starts with a letter or digit").At("user")
	}
	if user == bootstrapActor {
		return errs.New(errs.CodeBadInput, "the name %q is the server's own", user).At("user")
	}
	for i, r := range roles {
		if !r.Valid() {
			return errs.New(errs.CodeBadInput, "unknown role %q", cut(string(r), 40)).At("roles").
				WithHint("roles are admin, author, reviewer, operator, viewer")
		}
		if slices.Contains(roles[:i], r) {
			return errs.New(errs.CodeBadInput, "role %s is given twice", r).At("roles")
		}
	}
	return nil
}

// ensureUser makes the user or checks the roles of the one that exists.
func (g *Gate) ensureUser(ctx context.Context, p Principal, name string, roles []Role) error {
	u, err := g.Accounts.User(ctx, name)
	if errs.Is(err, errs.CodeNotFound) {
		return g.addUser(ctx, p, name, roles)
	}
	if err != nil {
		return err
	}
	if len(roles) > 0 && !sameRoles(u.Roles, roles) {
		return errs.New(errs.CodeConflict, "user %s exists with other roles", name).At("roles").
			WithHint("leave the roles out: they are only for a new user")
	}
	return nil
}

func (g *Gate) addUser(ctx context.Context, p Principal, name string, roles []Role) error {
	if len(roles) == 0 {
		return needsRole(name)
	}
	grant, err := g.Authorize(ctx, p, UsersManage, "user/"+name, fmt.Sprintf("new user with roles %v", roles))
	if err != nil {
		return err
	}
	return g.Accounts.AddUser(ctx, User{Name: name, Roles: slices.Clone(roles), CreatedAt: g.now()}, grant)
}

func needsRole(name string) error {
	return errs.New(errs.CodeBadInput, "user %s needs a role", name).At("roles").
		WithHint("roles are admin, author, reviewer, operator, viewer")
}

func sameRoles(a, b []Role) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// newToken makes a secret with the token that is stored for it.
func (g *Gate) newToken(kind TokenKind, user, name string, ttl time.Duration) (string, Token, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", Token{}, errs.Wrap(errs.CodeInternal, err, "cannot make a token")
	}
	secret, now := newSecret(kind), g.now()
	return secret, Token{
		ID: id.String(), Kind: kind, Hash: hashSecret(secret), User: user, Name: name,
		CreatedAt: now, ExpiresAt: now.Add(ttl),
	}, nil
}

// toValid replaces bytes that are not UTF-8 and characters that are not
// printable, so that a log line stays one line.
func toValid(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '·'
	}, strings.ToValidUTF8(s, "·"))
}
