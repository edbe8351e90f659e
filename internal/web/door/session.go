package door

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"hookline/internal/auth"
	"hookline/internal/errs"
)

// What a session holds: the members of auth.SignedIn. It is written when
// somebody signs in, sets a password or ends their other sessions, and at no
// other time, so that no request which is under way brings a session back that
// has ended.
const (
	keyUser  = "user"
	keyID    = "id"
	keySince = "since" // milliseconds since 1970
	keyUntil = "until"
)

// rows is the store of scs over auth.Sessions. Keys are hashes: scs has made
// them before.
type rows struct {
	auth.Sessions
	now func() time.Time
}

// FindCtx reads a session that is not over.
func (s rows) FindCtx(ctx context.Context, key string) (b []byte, found bool, err error) {
	row, err := s.Session(ctx, key)
	if errs.Is(err, errs.CodeNotFound) || err == nil && !s.now().Before(row.ExpiresAt) {
		return nil, false, nil
	}
	return row.Data, err == nil, err
}

// CommitCtx keeps a session.
func (s rows) CommitCtx(ctx context.Context, key string, b []byte, expiry time.Time) error {
	return s.PutSession(ctx, auth.Session{Key: key, Data: b, ExpiresAt: expiry})
}

// DeleteCtx ends a session.
func (s rows) DeleteCtx(ctx context.Context, key string) error { return s.EndSession(ctx, key) }

// Find, Commit and Delete are for callers without a context: scs is none.
func (s rows) Find(key string) ([]byte, bool, error) { return s.FindCtx(context.Background(), key) }

// Commit is CommitCtx.
func (s rows) Commit(key string, b []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), key, b, expiry)
}

// Delete is DeleteCtx.
func (s rows) Delete(key string) error { return s.DeleteCtx(context.Background(), key) }

// codec keeps a session as JSON: words only, so that no row can make the
// server build anything else.
type codec struct{}

type stored struct {
	Deadline time.Time         `json:"deadline"`
	Values   map[string]string `json:"values"`
}

// Encode writes a session.
func (codec) Encode(deadline time.Time, values map[string]any) ([]byte, error) {
	s := stored{deadline.UTC(), map[string]string{}}
	for key, v := range values {
		s.Values[key], _ = v.(string)
	}
	return json.Marshal(s)
}

// Decode reads a session. What is none is nobody's: its browser signs in anew.
func (codec) Decode(b []byte) (time.Time, map[string]any, error) {
	var s stored
	values := map[string]any{}
	if err := json.Unmarshal(b, &s); err != nil {
		return time.Time{}, values, nil //nolint:nilerr // see above
	}
	for key, v := range s.Values {
		values[key] = v
	}
	return s.Deadline, values, nil
}

// visit is what the door knows of one request.
type visit struct {
	w      http.ResponseWriter
	bare   context.Context // of the request, without its session
	err    error           // why the session could not be read
	asked  bool
	who    auth.Principal
	whoErr error
}

type visitKey struct{}

func visitOf(ctx context.Context) *visit {
	v, _ := ctx.Value(visitKey{}).(*visit)
	return v
}

// cookieName keeps a session. Under TLS the prefix makes browsers refuse a
// cookie that another host or plain HTTP tries to plant.
func (d *Door) cookieName(name string) string {
	if d.Secure {
		return "__Host-" + name
	}
	return name
}

const (
	sessionCookie = "hookline"
	saidCookie    = "hookline-said"
)

// setCookie sets a cookie that ends with the browser, or earlier by what the
// server says; "" deletes it. It goes along with links from elsewhere, which
// only read, and with no form or script from elsewhere.
func (d *Door) setCookie(w http.ResponseWriter, name, value string) {
	c := &http.Cookie{ //nolint:gosec // Secure wherever there is TLS; plain HTTP is for loopback only
		Name: d.cookieName(name), Value: value, Path: "/", HttpOnly: true, Secure: d.Secure, SameSite: http.SameSiteLaxMode,
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// Wrap reads the session of a request. A store that is away is told by Who.
func (d *Door) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Cookie")
		v := &visit{w: w, bare: r.Context()}
		ctx := context.WithValue(r.Context(), visitKey{}, v)
		loaded, err := d.sessions.Load(ctx, d.secret(r))
		if err != nil {
			v.err = err
		} else {
			ctx = loaded
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// Who is who sent the request; errs.CodeUnauthenticated is nobody.
func (d *Door) Who(r *http.Request) (auth.Principal, error) {
	v := visitOf(r.Context())
	if v == nil {
		return auth.Principal{}, errs.New(errs.CodeInternal, "a page outside the door")
	}
	if v.err != nil {
		return auth.Principal{}, v.err
	}
	if !v.asked {
		v.asked = true
		v.who, v.whoErr = d.principal(r.Context())
	}
	return v.who, v.whoErr
}

// Still reads the session anew.
func (d *Door) Still(r *http.Request) (auth.Principal, error) {
	v := visitOf(r.Context())
	if v == nil {
		return auth.Principal{}, errs.New(errs.CodeInternal, "a page outside the door")
	}
	ctx, err := d.sessions.Load(v.bare, d.secret(r))
	if err != nil {
		return auth.Principal{}, err
	}
	return d.principal(ctx)
}

// secret is what the browser has of its session.
func (d *Door) secret(r *http.Request) string {
	c, err := r.Cookie(d.cookieName(sessionCookie))
	if err != nil {
		return ""
	}
	return c.Value
}

func (d *Door) principal(ctx context.Context) (auth.Principal, error) {
	user := d.sessions.GetString(ctx, keyUser)
	if user == "" {
		return auth.Principal{}, errs.New(errs.CodeUnauthenticated, "you are not signed in")
	}
	since, until := d.moment(ctx, keySince), d.moment(ctx, keyUntil)
	return d.Gate.SessionPrincipal(ctx, user, d.sessions.GetString(ctx, keyID), since, until)
}

// moment reads a time; what is none is long ago.
func (d *Door) moment(ctx context.Context, key string) time.Time {
	ms, err := strconv.ParseInt(d.sessions.GetString(ctx, key), 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// begin makes the session of somebody who has signed in, under a secret that
// the browser did not have before.
func (d *Door) begin(ctx context.Context, in auth.SignedIn) error {
	s := d.sessions
	if err := s.RenewToken(ctx); err != nil {
		return err
	}
	s.Put(ctx, keyUser, in.User)
	s.Put(ctx, keyID, in.ID)
	s.Put(ctx, keySince, strconv.FormatInt(in.Since.UnixMilli(), 10))
	s.Put(ctx, keyUntil, strconv.FormatInt(in.Until.UnixMilli(), 10))
	s.SetDeadline(ctx, in.Until)
	token, _, err := s.Commit(ctx)
	if err != nil {
		return err
	}
	v := visitOf(ctx)
	v.asked = false
	d.setCookie(v.w, sessionCookie, token)
	return nil
}

// keep lets this session go on where the user's sessions from before `from` are
// over, under a new secret.
func (d *Door) keep(ctx context.Context, p auth.Principal, from time.Time) error {
	return d.begin(ctx, auth.SignedIn{User: p.User, ID: p.TokenID, Since: from, Until: p.ExpiresAt})
}

// end ends the session, here and in the store.
func (d *Door) end(ctx context.Context) error {
	if err := d.sessions.Destroy(ctx); err != nil {
		return err
	}
	d.setCookie(visitOf(ctx).w, sessionCookie, "")
	return nil
}
