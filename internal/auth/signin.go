package auth

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"hookline/internal/errs"
)

// How often somebody may try to sign in with a password.
const (
	maxTries        = 5  // of one user until they are locked out
	maxAddressTries = 20 // that failed, of one address
	triesWithin     = 15 * time.Minute
)

// nobody is the actor of a sign-in that failed: who it was is not known.
const nobody = "(nobody)"

// SignIn looks at a user's password. address is where the request comes from,
// host or host:port.
//
// A try is counted before it is looked at, by user and by address, so that any
// number at once are as many as one after the other. Whatever is wrong, the
// user, the password, an account that is off, the answer is the same
// errs.CodeUnauthenticated and takes as long. Who is locked out gets
// errs.CodeRateLimited, which says for how long, whether there is such a user or
// not.
func (g *Gate) SignIn(ctx context.Context, user, password, address string) (SignedIn, error) {
	now := g.now()
	id, err := uuid.NewV7()
	if err != nil {
		return SignedIn{}, errs.Wrap(errs.CodeInternal, err, "cannot sign in")
	}
	s := SignedIn{User: user, ID: id.String(), Until: now.Add(SessionLife)}
	from := addressKey(address)
	if until, ok := g.addresses.take(from, now, rule{most: maxAddressTries, within: triesWithin, fixed: true}); !ok {
		return SignedIn{}, g.failed(ctx, s, false, from, lockedOut("this address", until.Sub(now)))
	}
	u, good, err := g.try(ctx, user, password, now)
	if err == nil && !good {
		err = wrongPassword()
	}
	if err != nil {
		return SignedIn{}, g.failed(ctx, s, u.Name != "", from, err)
	}
	// Not now: a new password that is being stored at this moment ends what the old one still lets in.
	s.Since = u.SessionsFrom
	if err := g.note(ctx, actionPassword, user, s.ID); err != nil {
		return SignedIn{}, err
	}
	if err := g.Accounts.SignedIn(ctx, user, now); err != nil {
		return SignedIn{}, err
	}
	g.addresses.giveBack(from)
	return s, nil
}

// wrongPassword is the one answer to whatever is wrong.
func wrongPassword() error {
	return errs.New(errs.CodeUnauthenticated, "the user or the password is wrong").
		WithHint("an admin can set a new password")
}

func lockedOut(who string, left time.Duration) error {
	minutes := max(1, int((left+time.Minute-1)/time.Minute))
	return errs.New(errs.CodeRateLimited, "too many failed sign-ins of %s", who).
		WithHint("wait %d min; a link of hookline open signs in at once", minutes)
}

// failed writes down a try that failed, within the caps, and returns err.
// Unknown names are not written: people type their password there.
func (g *Gate) failed(ctx context.Context, s SignedIn, known bool, from string, err error) error {
	code := errs.CodeOf(err)
	if code != errs.CodeUnauthenticated && code != errs.CodeRateLimited {
		return err // nobody has looked at the password
	}
	target := "user/(unknown)"
	if known {
		target = "user/" + s.User
	}
	e, failure := g.entry(actionPassword, target, "from "+from)
	if failure != nil {
		return failure
	}
	e.Actor, e.TokenID = nobody, s.ID
	if failure := g.refused(ctx, e, target, code); failure != nil {
		return failure
	}
	return err
}

// try counts a try of the user and looks at the password; u is the user as it
// was then, with no more than a name where the try came to nothing, and with
// none where there is no such user. errs.CodeRateLimited is the lock-out. The
// store is asked to count whether it knows the user or not, which takes the same
// time.
func (g *Gate) try(ctx context.Context, user, password string, now time.Time) (u User, good bool, err error) {
	ok, err := g.Accounts.TrySignIn(ctx, userOrNone(user), now, now.Add(-triesWithin), maxTries)
	if errs.Is(err, errs.CodeNotFound) {
		until, ok := g.strangers.take(strangerKey(user), now, rule{most: maxTries, within: triesWithin})
		if !ok {
			return User{}, false, lockedOut("this user", until.Sub(now))
		}
		_, err := g.verify(ctx, "", password)
		return User{}, false, err
	}
	if err != nil {
		return User{Name: user}, false, err
	}
	if u, err = g.Accounts.User(ctx, user); err != nil {
		return User{Name: user}, false, err
	}
	if !ok {
		return u, false, lockedOut("this user", u.LastFailure.Add(triesWithin).Sub(now))
	}
	good, err = g.verify(ctx, u.Password, password)
	return u, good && !u.Off, err
}

// userOrNone is a name that can be one, else one that nobody has: no store has
// to see a megabyte.
func userOrNone(user string) string {
	if userName.MatchString(user) {
		return user
	}
	return nobody
}

// strangerKey is short whatever was typed.
func strangerKey(user string) string {
	sum := hashSecret(user)
	return string(sum[:16])
}

// verify holds a password against a stored hash, "" is none. It costs the same
// whatever comes out.
func (g *Gate) verify(ctx context.Context, stored, password string) (good bool, err error) {
	h := noHash(g.cost)
	if stored != "" {
		if h, err = parseHash(stored); err != nil {
			return false, err
		}
	}
	plain, ok := normal(password)
	err = g.hasher.do(ctx, func() { good = h.matches(plain) })
	return good && ok, err
}

// addressKey is what tries are counted by: an IPv4 address, or the network of
// 64 bits that a machine with IPv6 chooses its addresses from.
func addressKey(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		port, err := netip.ParseAddrPort(address)
		if err != nil {
			return "an unknown address"
		}
		ip = port.Addr()
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	net, _ := ip.Prefix(64) // never fails for IPv6
	return fmt.Sprint(net)
}
