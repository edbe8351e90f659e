package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"hookline/internal/auth"
)

// body is an answer without headers of its own.
type body[T any] struct{ Body T }

// nothing is the input of a route without parameters.
type nothing struct{}

// Listing is one page of a list by id. huma looks into exported members only,
// hence the upper case of these three.
type Listing struct {
	After string `query:"after" maxLength:"256" doc:"next of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

// DigestPath is a path with a version digest.
type DigestPath struct {
	Digest string `path:"digest" maxLength:"128" doc:"version digest: 64 hex digits"`
}

// IDPath is a path with an id.
type IDPath struct {
	ID string `path:"id" maxLength:"128"`
}

// anyone is the permission of routes that every token opens.
const anyone auth.Permission = ""

// register lists every route; the permission of a read stands on its row, a
// change asks the gate itself, in the domain.
func (s *service) register(rest huma.API) {
	read(s, rest, "/api/me", "get-me", "Who am I", anyone, s.me)
	read(s, rest, "/api/info", "get-info", "The deployment and its policy", anyone, s.info)
	read(s, rest, "/api/trust", "get-trust", "The deployment's trust metadata, for the caller to verify", anyone, s.getTrust)
	replace(s, rest, "/api/trust", "replace-trust", "Bring newer trust metadata; its signatures decide", s.putTrust)
	change(s, rest, "/api/revocations", "push-revocations", "Bring a revoker's newer revocations; the signature decides", http.StatusOK, s.pushRevocations)
	change(s, rest, "/api/tokens", "create-token", "Make a token, and its user where there is none", http.StatusCreated, s.createToken)
	read(s, rest, "/api/tokens", "list-tokens", "Tokens and sign-in links, newest first", anyone, s.listTokens)
	remove(s, rest, "/api/tokens/{id}", "revoke-token", "Revoke a token or sign-in link", s.revokeToken)
	read(s, rest, "/api/users", "list-users", "Users by name", auth.UsersManage, s.listUsers)
	change(s, rest, "/api/users", "add-user", "Make a user", http.StatusCreated, s.addUser)
	replace(s, rest, "/api/users/{name}", "change-user", "Change a user's roles, or whether they may come in", s.changeUser)
	change(s, rest, "/api/login-links", "create-login-link", "Make a one-time link that signs a browser in", http.StatusCreated, s.createLogin)

	read(s, rest, "/api/hooks", "list-hooks", "Hooks by name, each with its newest version", auth.HooksRead, s.listHooks)
	read(s, rest, "/api/hooks/{hook}/versions", "list-versions", "A hook's versions, newest first", auth.HooksRead, s.listVersions)
	change(s, rest, "/api/versions", "submit-version", "Submit a version signed by its author", http.StatusCreated, s.submit)
	read(s, rest, "/api/versions/{digest}", "get-version", "A version with script, statement, signatures, reviews", auth.HooksRead, s.getVersion)
	change(s, rest, "/api/versions/{digest}/reviews", "review-version", "Approve (signed), reject, or request changes", http.StatusOK, s.reviewVersion)
	change(s, rest, "/api/versions/{digest}/activation", "activate-version", "Activate within the signed bounds", http.StatusOK, s.activate)
	change(s, rest, "/api/versions/{digest}/bounds", "bound-version", "Change quantity, deadline and rollout of an active version", http.StatusOK, s.bounds)
	change(s, rest, "/api/versions/{digest}/pause", "pause-version", "Stop an activation until it is activated again", http.StatusOK, s.pause)
	change(s, rest, "/api/versions/{digest}/disable", "disable-version", "Stop an activation at once", http.StatusOK, s.disable)

	read(s, rest, "/api/jobs", "list-jobs", "Jobs, newest first", auth.JobsRead, s.listJobs)
	read(s, rest, "/api/jobs/{id}", "get-job", "A job; an original one with its hook jobs and results", auth.JobsRead, s.getJob)
	read(s, rest, "/api/jobs/{id}/explain", "explain-job", "Why a version did or did not run for an original job", auth.JobsRead, s.explain)
	read(s, rest, "/api/peers", "list-peers", "Peers by id", auth.PeersRead, s.listPeers)
	read(s, rest, "/api/peers/{id}", "get-peer", "A peer", auth.PeersRead, s.getPeer)
	read(s, rest, "/api/peers/{id}/jobs", "list-peer-jobs", "A peer's jobs, newest first", auth.JobsRead, s.listPeerJobs)
	read(s, rest, "/api/results", "list-results", "Results, newest first", auth.JobsRead, s.listResults)
	read(s, rest, "/api/results/{id}", "get-result", "The new fields of one hook job", auth.JobsRead, s.getResult)
	read(s, rest, "/api/problems", "list-problems", "Problems, the last seen first", auth.JobsRead, s.listProblems)
	read(s, rest, "/api/problems/{id}", "get-problem", "A problem", auth.JobsRead, s.getProblem)
	read(s, rest, "/api/audit", "list-audit", "The audit log, newest first", auth.AuditRead, s.listAudit)
}

// read registers a GET whose permission is asked for before the handler runs.
func read[I, O any](s *service, rest huma.API, path, id, summary string, perm auth.Permission, f func(context.Context, *I) (O, error)) {
	op := huma.Operation{Method: http.MethodGet, Path: path, OperationID: id, Summary: summary}
	huma.Register(rest, op, func(ctx context.Context, in *I) (*body[O], error) {
		if perm != anyone {
			if err := s.gate.Allow(principalOf(ctx), perm); err != nil {
				return nil, problemOf(ctx, s.log, err)
			}
		}
		return answer(ctx, s, in, f)
	})
}

// change registers a POST.
func change[I, O any](s *service, rest huma.API, path, id, summary string, status int, f func(context.Context, *I) (O, error)) {
	write(s, rest, huma.Operation{Method: http.MethodPost, Path: path, OperationID: id, Summary: summary, DefaultStatus: status}, f)
}

// replace registers a PUT.
func replace[I, O any](s *service, rest huma.API, path, id, summary string, f func(context.Context, *I) (O, error)) {
	write(s, rest, huma.Operation{Method: http.MethodPut, Path: path, OperationID: id, Summary: summary, DefaultStatus: http.StatusOK}, f)
}

// remove registers a DELETE, which answers with what was there.
func remove[I, O any](s *service, rest huma.API, path, id, summary string, f func(context.Context, *I) (O, error)) {
	write(s, rest, huma.Operation{Method: http.MethodDelete, Path: path, OperationID: id, Summary: summary, DefaultStatus: http.StatusOK}, f)
}

func write[I, O any](s *service, rest huma.API, op huma.Operation, f func(context.Context, *I) (O, error)) {
	op.MaxBodyBytes = maxBodyBytes
	switch op.OperationID {
	case "submit-version":
		op.MaxBodyBytes = maxVersionBytes
	case "replace-trust":
		op.MaxBodyBytes = maxTrustBytes
	}
	huma.Register(rest, op, func(ctx context.Context, in *I) (*body[O], error) {
		return answer(ctx, s, in, f)
	})
}

func answer[I, O any](ctx context.Context, s *service, in *I, f func(context.Context, *I) (O, error)) (*body[O], error) {
	out, err := f(ctx, in)
	if err != nil {
		return nil, problemOf(ctx, s.log, err)
	}
	return &body[O]{out}, nil
}
