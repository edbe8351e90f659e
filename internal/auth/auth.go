// Package auth says who may do what and makes sure that it is written down.
//
// Gate is the one choke point: a person's action needs a Grant, a Grant comes
// only from Gate.Authorize, and every store method that changes something on
// a person's behalf takes the Grant and writes its Entry in the same commit
// (an audit entry that cannot be written refuses the action). A refused
// attempt is audited too.
package auth

import (
	"context"
	"time"
)

// Role is a server role; what it may do stands in the table in roles.go.
type Role string

// The roles.
const (
	RoleAdmin    Role = "admin"
	RoleAuthor   Role = "author"
	RoleReviewer Role = "reviewer"
	RoleOperator Role = "operator"
	RoleViewer   Role = "viewer"
)

// Permission is one thing that a role may do.
type Permission string

// The permissions.
const (
	HooksRead     Permission = "hooks.read"
	HooksSubmit   Permission = "hooks.submit"
	HooksReview   Permission = "hooks.review"
	HooksActivate Permission = "hooks.activate"
	HooksDisable  Permission = "hooks.disable"
	JobsRead      Permission = "jobs.read" // jobs, results, problems
	PeersRead     Permission = "peers.read"
	TokensCreate  Permission = "tokens.create" // for oneself
	LoginCreate   Permission = "logins.create" // a one-time sign-in link for oneself
	UsersManage   Permission = "users.manage"  // make and change users; make and revoke tokens of somebody else
	AuditRead     Permission = "audit.read"
	MetricsRead   Permission = "metrics.read"
	TrustPublish  Permission = "trust.publish" // bring newer trust metadata; its signatures decide
	TrustRevoke   Permission = "trust.revoke"  // bring a revoker's signature, which decides
	HooksComment  Permission = "hooks.comment" // on a version
	PeersLabel    Permission = "peers.label"
	AccountOwn    Permission = "account.own" // one's own password, and to end one's own sessions and tokens

	// HooksRevoke is the server's own: it closes versions that the trust metadata does not let count any more.
	HooksRevoke Permission = "hooks.revoke"
)

// User is a person or program with an account.
type User struct {
	Name      string // [a-z0-9][a-z0-9._-]{0,63}
	Roles     []Role
	CreatedAt time.Time

	Password     string    // argon2id in PHC form; "" is none: sign-in by link only
	Off          bool      // may not sign in, and no token of theirs opens anything
	Failures     int64     // tries to sign in since the last that succeeded, see Accounts.TrySignIn
	LastFailure  time.Time // of those
	LastSignIn   time.Time
	SessionsFrom time.Time // browser sessions from before it are over
}

// UserChange changes an account; nil members stay as they are.
type UserChange struct {
	Roles        []Role
	Password     *string
	Off          *bool
	SessionsFrom *time.Time
}

// TokenKind tells what a secret opens.
type TokenKind string

// The kinds of tokens.
const (
	TokenAPI     TokenKind = "api"     // bearer token of the REST API
	TokenLogin   TokenKind = "login"   // one-time link, turned into a session once
	TokenSession TokenKind = "session" // a browser's cookie, see Session; of a Principal, never of a stored Token
)

// Token is a stored secret: only its SHA-256 is kept.
type Token struct {
	ID        string // UUIDv7, public
	Kind      TokenKind
	Hash      [32]byte
	User      string
	Name      string // what it is for
	CreatedAt time.Time
	ExpiresAt time.Time
	// SessionUntil is when the session that a sign-in link makes ends at the latest; other tokens have none.
	SessionUntil time.Time
}

// Principal is who makes a request.
type Principal struct {
	User      string
	Roles     []Role
	TokenID   string    // of a session: the id that its sign-in has in the audit log
	Kind      TokenKind // a session may not do everything, see roles.go
	ExpiresAt time.Time // of the token or session
}

// Entry is one line of the audit log.
type Entry struct {
	ID      string    `json:"id"` // UUIDv7
	At      time.Time `json:"at"`
	Actor   string    `json:"actor"`
	TokenID string    `json:"token_id"`
	Action  string    `json:"action"`
	Target  string    `json:"target"`  // "version/<digest>", "user/<name>", …
	Detail  string    `json:"detail"`  // parameters, at most 1,000 bytes
	Outcome string    `json:"outcome"` // OutcomeOK, OutcomeBegun, OutcomeUnknown or the code of the refusal
}

// Grant proves that Gate allowed one action; only Gate makes valid ones.
type Grant struct{ entry *Entry }

// Entry is what the store writes in the same commit. It panics on a Grant
// that no Gate made: that is a programming error which must not pass.
func (g Grant) Entry() Entry {
	if g.entry == nil {
		panic("auth: a zero Grant was used")
	}
	return *g.entry
}

// Actor is the user whom the grant was given to.
func (g Grant) Actor() string { return g.Entry().Actor }

// Accounts is what Gate and Tokens need of a store.
type Accounts interface {
	// AddUser and AddToken write the grant's entry in the same commit. AddToken does not ask whether the user
	// exists: Bootstrap stores the first token before the first user.
	AddUser(ctx context.Context, u User, g Grant) error // errs.CodeConflict: exists
	AddToken(ctx context.Context, t Token, g Grant) error
	User(ctx context.Context, name string) (User, error)           // errs.CodeNotFound
	TokenByHash(ctx context.Context, hash [32]byte) (Token, error) // errs.CodeNotFound
	// SpendToken deletes a token, once: errs.CodeNotFound for everybody but the first.
	SpendToken(ctx context.Context, id string) error
	// ChangeUser and RemoveToken write the grant's entry in the same commit; errs.CodeNotFound.
	ChangeUser(ctx context.Context, name string, c UserChange, g Grant) error
	RemoveToken(ctx context.Context, id string, g Grant) error
	Token(ctx context.Context, id string) (Token, error)                        // errs.CodeNotFound
	Users(ctx context.Context, after string, limit int) ([]User, error)         // by name, keyset
	Tokens(ctx context.Context, user, after string, limit int) ([]Token, error) // of a user ("": of all), newest first, keyset by id
	// TrySignIn counts a try to sign in before it is looked at, so that no number of tries at once gets around the
	// lock-out: ok is false, and nothing is counted, where the user has had `most` tries since their last success, the
	// last of them after since. Tries from before since count no more. errs.CodeNotFound.
	TrySignIn(ctx context.Context, name string, at, since time.Time, most int64) (ok bool, err error)
	// SignedIn forgets the tries of a user and keeps the time. errs.CodeNotFound.
	SignedIn(ctx context.Context, name string, at time.Time) error
	Sessions
}

// Sessions keeps what browsers' sessions are, by the hash of their secret.
type Sessions interface {
	// Session reads one; errs.CodeNotFound. Whoever asks looks at ExpiresAt.
	Session(ctx context.Context, key string) (Session, error)
	PutSession(ctx context.Context, s Session) error  // new or again
	EndSession(ctx context.Context, key string) error // nothing to end is no error
}

// Session is a browser's session as it is stored.
type Session struct {
	Key       string // hash of the secret in the cookie
	Data      []byte // at most 64 KiB
	ExpiresAt time.Time
}

// Purger forgets tokens that are good for nothing any more.
type Purger interface {
	// PurgeTokens deletes tokens and sessions that had ended by before, the oldest first, at most limit of each; n tells how many.
	PurgeTokens(ctx context.Context, before time.Time, limit int) (n int64, err error)
}

// Log is the audit log.
type Log interface {
	AddEntry(ctx context.Context, e Entry) error // refused attempts
	Entries(ctx context.Context, f EntryFilter) ([]Entry, error)
}

// EntryFilter narrows a list of audit entries, newest first; zero members do
// not narrow. An entry's time is the one that its id, a UUIDv7, says.
type EntryFilter struct {
	Actor  string
	Action string
	Target string
	From   time.Time // no older ones
	Until  time.Time // older ones only
	Oldest bool      // the oldest first
	After  string    // keyset: entries behind this id in the list
	Limit  int       // 1..200
}
