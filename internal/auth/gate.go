package auth

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"hookline/internal/errs"
)

// Caps of the audit log.
const (
	MaxDetailBytes = 1000 // of one entry's detail and target

	// Refused attempts that are written in a minute, of one user and of all.
	// What is over them is counted and told by the next entry, so that a
	// program that hammers on a closed door cannot fill the disk.
	maxRefusalsPerUser = 30
	maxRefusals        = 300
)

// The outcomes of an entry that are no code of a refusal. A store that writes
// entry and action in one commit knows the first only.
const (
	OutcomeOK      = "ok"      // the action was done
	OutcomeBegun   = "begun"   // it was about to be done; the server stopped on the way, or is at it now
	OutcomeUnknown = "unknown" // it was begun, and nothing tells any more whether it was done
)

// Gate is the one choke point: every request is authenticated here, every
// action gets its Grant here. The zero value of its other members is ready;
// a Gate must not be copied after its first use.
type Gate struct {
	Accounts Accounts
	Log      Log
	Now      func() time.Time

	mu       sync.Mutex // of what follows
	window   time.Time
	total    int
	perUser  map[string]int
	unlogged int // refused attempts over the cap since the last written one

	admins    sync.Mutex // is held while the last admin could be taken away
	hasher    hasher
	cost      cost  // of hashes; only tests have another
	strangers tries // to sign in as users that do not exist
	addresses tries // to sign in, of one address
}

// now is the clock at the precision that is stored.
func (g *Gate) now() time.Time { return g.Now().UTC().Truncate(time.Millisecond) }

// Allow says whether p may read; errs.CodeForbidden otherwise. Reads are
// routine and leave no entry. It must not guard a change: that needs a Grant.
func (g *Gate) Allow(p Principal, perm Permission) error {
	if p.may(perm) {
		return nil
	}
	return forbidden(p, perm)
}

// Authorize gives p the Grant for one action, once: its entry has an id that
// no store writes twice. target names what is acted on ("version/<digest>",
// "user/<name>"), detail the parameters; both are cut to MaxDetailBytes.
//
// A refused attempt is written to the log (within the cap) and answered with
// errs.CodeForbidden; where it cannot be written the answer is
// errs.CodeUnavailable. Neither gives a Grant.
func (g *Gate) Authorize(ctx context.Context, p Principal, perm Permission, target, detail string) (Grant, error) {
	e, err := g.entry(string(perm), target, detail)
	if err != nil {
		return Grant{}, err
	}
	e.Actor, e.TokenID = p.User, p.TokenID
	if p.may(perm) {
		return Grant{entry: &e}, nil
	}
	if err := g.refused(ctx, e, e.Actor, errs.CodeForbidden); err != nil {
		return Grant{}, err
	}
	return Grant{}, forbidden(p, perm)
}

// entry starts an entry with a fresh id.
func (g *Gate) entry(action, target, detail string) (Entry, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Entry{}, errs.Wrap(errs.CodeInternal, err, "cannot make an audit entry")
	}
	return Entry{
		ID: id.String(), At: g.now(), Action: action, Outcome: OutcomeOK,
		Target: cut(target, MaxDetailBytes), Detail: cut(detail, MaxDetailBytes),
	}, nil
}

// refused writes a refused attempt, within the cap of who.
func (g *Gate) refused(ctx context.Context, e Entry, who string, code errs.Code) error {
	write, missed := g.admit(who, e.At)
	if !write {
		return nil
	}
	e.Outcome = string(code)
	if missed > 0 {
		more := fmt.Sprintf(" (%d refused attempts before this one were not written)", missed)
		e.Detail = cut(e.Detail, MaxDetailBytes-len(more)) + more
	}
	if err := g.Log.AddEntry(ctx, e); err != nil {
		g.mu.Lock()
		g.unlogged += missed + 1
		g.mu.Unlock()
		return errs.Wrap(errs.CodeUnavailable, err, "cannot write the audit log, so nothing is allowed")
	}
	return nil
}

// admit applies the caps; missed is how many attempts went unwritten since
// the last written one.
func (g *Gate) admit(user string, now time.Time) (write bool, missed int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Sub(g.window) >= time.Minute || now.Before(g.window) {
		g.window, g.total, g.perUser = now, 0, map[string]int{}
	}
	if g.total >= maxRefusals || g.perUser[user] >= maxRefusalsPerUser {
		g.unlogged++
		return false, 0
	}
	g.total++
	g.perUser[user]++
	missed, g.unlogged = g.unlogged, 0
	return true, missed
}

// forbidden is the refusal that p sees.
func forbidden(p Principal, perm Permission) error {
	e := errs.New(errs.CodeForbidden, "user %s may not use %s", p.User, perm)
	if p.Kind == TokenSession && !sessionMay(perm) {
		return e.WithHint("it is done with the hookline command and a token, not in a browser")
	}
	return e.WithHint("roles that may: %s; ask an admin for one", strings.Join(holders(perm), ", "))
}

// cut makes s one printable line and shortens it to at most n bytes.
func cut(s string, n int) string {
	s = toValid(s)
	if len(s) <= n {
		return s
	}
	n = max(n, 0)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
