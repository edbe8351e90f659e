package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"hookline/internal/auth"
	"hookline/internal/errs"
)

type contextKey int

const (
	keyPrincipal contextKey = iota
	keyRequestID
)

func principalOf(ctx context.Context) auth.Principal {
	p, _ := ctx.Value(keyPrincipal).(auth.Principal)
	return p
}

func requestID(ctx context.Context) string {
	id, _ := ctx.Value(keyRequestID).(string)
	return id
}

// identify gives every request an id, which the answer and the log carry. The
// client's own ids are not taken over.
func identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := uuid.NewString()
		w.Header().Set("X-Request-Id", id)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), keyRequestID, id)))
	})
}

// recovered turns a panic of a handler into an internal error; the process
// serves on.
func (s *service) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if cause := recover(); cause != nil {
				text := fmt.Sprintf("panic: %v\n%s", cause, debug.Stack())
				internalProblem(r.Context(), s.log, text).write(w)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// observed reports how long each request took, by route and never by path,
// whose values are without bound.
func (s *service) observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := s.now()
		rec := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(rec, r)
		s.observe(r.Method, chi.RouteContext(r.Context()).RoutePattern(), rec.status, s.now().Sub(start))
	})
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Observe is told of every answered request.
type Observe func(method, route string, status int, took time.Duration)

// authenticated admits requests with a bearer token of the API; a browser
// session or a login code is none.
func (s *service) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := s.bearer(r)
		if err == nil && !s.perToken.allow(p.TokenID) {
			err = errs.New(errs.CodeRateLimited, "too many requests with this token").WithHint("wait a second")
		}
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), keyPrincipal, p)))
	})
}

// bearer finds out who calls. Only failures cost an address anything: people
// behind one address must not be locked out by one of them, and a secret of
// 256 bits cannot be guessed at any rate.
func (s *service) bearer(r *http.Request) (auth.Principal, error) {
	p, err := s.principal(r)
	if errs.Is(err, errs.CodeUnauthenticated) && !s.perAddress.allow(addressKey(r.RemoteAddr)) {
		err = errs.New(errs.CodeRateLimited, "too many failed sign-ins from this address").WithHint("wait a minute")
	}
	return p, err
}

func (s *service) principal(r *http.Request) (auth.Principal, error) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || secret == "" {
		return auth.Principal{}, errs.New(errs.CodeUnauthenticated, "no bearer token").At("Authorization").
			WithHint("send \"Authorization: Bearer <token>\"; `hookline login` does")
	}
	p, err := s.gate.Authenticate(r.Context(), strings.TrimSpace(secret))
	if err == nil && p.Kind != auth.TokenAPI {
		err = errs.New(errs.CodeUnauthenticated, "not a token of the API").At("Authorization")
	}
	return p, err
}

func (s *service) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(r.Context(), s.log, err)
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="hookline"`)
	}
	p.write(w)
}

// allowed admits principals with a permission, for handlers outside huma.
func (s *service) allowed(perm auth.Permission, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.gate.Allow(principalOf(r.Context()), perm); err != nil {
			s.refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}
