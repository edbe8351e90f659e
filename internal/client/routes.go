package client

import (
	"context"
	"net/url"
	"strconv"

	"hookline/internal/api"
)

// List narrows and pages a list; zero members do not narrow.
type List struct {
	After string // Next of the page before
	Limit int    // 1..200, the server's default when 0

	// Jobs and results.
	Workload, Status, Peer, Problem, Original, Version, Hook, Job string
}

func (l List) query() url.Values {
	q := url.Values{}
	set := func(key, value string) {
		if value != "" {
			q.Set(key, value)
		}
	}
	set("after", l.After)
	set("workload", l.Workload)
	set("status", l.Status)
	set("peer", l.Peer)
	set("problem", l.Problem)
	set("original", l.Original)
	set("version", l.Version)
	set("hook", l.Hook)
	set("job", l.Job)
	if l.Limit > 0 {
		q.Set("limit", strconv.Itoa(l.Limit))
	}
	return q
}

// Me is the caller.
func (c *Client) Me(ctx context.Context) (api.Me, error) {
	return get[api.Me](ctx, c, "/api/me", nil)
}

// Info is the deployment and its policy.
func (c *Client) Info(ctx context.Context) (api.Info, error) {
	return get[api.Info](ctx, c, "/api/info", nil)
}

// GetTrust is the deployment's trust metadata, which the caller has to verify.
func (c *Client) GetTrust(ctx context.Context) (api.Trust, error) {
	return get[api.Trust](ctx, c, "/api/trust", nil)
}

// PutTrust brings a newer bundle of trust metadata.
func (c *Client) PutTrust(ctx context.Context, bundle []byte) (api.TrustChange, error) {
	return put[api.TrustChange](ctx, c, "/api/trust", api.NewTrust{Bundle: bundle})
}

// PostRevocations brings newer metadata of what is revoked.
func (c *Client) PostRevocations(ctx context.Context, metadata []byte) (api.TrustChange, error) {
	return post[api.TrustChange](ctx, c, "/api/revocations", api.NewRevocations{Metadata: metadata})
}

// CreateToken makes a token, and its user where there is none.
func (c *Client) CreateToken(ctx context.Context, t api.NewToken) (api.Token, error) {
	return post[api.Token](ctx, c, "/api/tokens", t)
}

// Tokens lists a user's tokens and sign-in links, newest first; of "" the
// caller's own, or everybody's for an admin.
func (c *Client) Tokens(ctx context.Context, user string, l List) (api.Page[api.TokenInfo], error) {
	q := l.query()
	if user != "" {
		q.Set("user", user)
	}
	return get[api.Page[api.TokenInfo]](ctx, c, "/api/tokens", q)
}

// RevokeToken deletes a token or sign-in link.
func (c *Client) RevokeToken(ctx context.Context, id string) (api.TokenInfo, error) {
	return remove[api.TokenInfo](ctx, c, "/api/tokens/"+url.PathEscape(id))
}

// Users lists users by name.
func (c *Client) Users(ctx context.Context, l List) (api.Page[api.User], error) {
	return get[api.Page[api.User]](ctx, c, "/api/users", l.query())
}

// AddUser makes a user without a password.
func (c *Client) AddUser(ctx context.Context, u api.NewUser) (api.User, error) {
	return post[api.User](ctx, c, "/api/users", u)
}

// ChangeUser changes a user's roles, or whether they may come in.
func (c *Client) ChangeUser(ctx context.Context, name string, u api.UserChange) (api.User, error) {
	return put[api.User](ctx, c, "/api/users/"+url.PathEscape(name), u)
}

// CreateLoginLink makes a one-time browser sign-in for the caller.
func (c *Client) CreateLoginLink(ctx context.Context) (api.LoginLink, error) {
	return post[api.LoginLink](ctx, c, "/api/login-links", struct{}{})
}

// Hooks lists the newest version of each hook.
func (c *Client) Hooks(ctx context.Context, l List) (api.Page[api.Version], error) {
	return get[api.Page[api.Version]](ctx, c, "/api/hooks", l.query())
}

// VersionsOf lists the versions of a hook, newest first, below a number
// (0: from the newest).
func (c *Client) VersionsOf(ctx context.Context, hook string, below int64, limit int) (api.Page[api.Version], error) {
	q := List{Limit: limit}.query()
	if below > 0 {
		q.Set("below", strconv.FormatInt(below, 10))
	}
	return get[api.Page[api.Version]](ctx, c, "/api/hooks/"+url.PathEscape(hook)+"/versions", q)
}

// Submit uploads a new version.
func (c *Client) Submit(ctx context.Context, v api.NewVersion) (api.Version, error) {
	return post[api.Version](ctx, c, "/api/versions", v)
}

// Version is one version with its bytes, signatures and reviews.
func (c *Client) Version(ctx context.Context, digest string) (api.Version, error) {
	return get[api.Version](ctx, c, versionPath(digest, ""), nil)
}

// Review adds a reviewer's word.
func (c *Client) Review(ctx context.Context, digest string, r api.NewReview) (api.Version, error) {
	return post[api.Version](ctx, c, versionPath(digest, "/reviews"), r)
}

// Activate starts or restarts a version.
func (c *Client) Activate(ctx context.Context, digest string, a api.NewActivation) (api.Version, error) {
	return post[api.Version](ctx, c, versionPath(digest, "/activation"), a)
}

// Bounds changes quantity, deadline and rollout of an active version.
func (c *Client) Bounds(ctx context.Context, digest string, a api.NewActivation) (api.Version, error) {
	return post[api.Version](ctx, c, versionPath(digest, "/bounds"), a)
}

// Pause stops a version until it is activated again.
func (c *Client) Pause(ctx context.Context, digest string, d api.Stop) (api.Version, error) {
	return post[api.Version](ctx, c, versionPath(digest, "/pause"), d)
}

// Disable stops a version.
func (c *Client) Disable(ctx context.Context, digest string, d api.Stop) (api.Version, error) {
	return post[api.Version](ctx, c, versionPath(digest, "/disable"), d)
}

func versionPath(digest, rest string) string {
	return "/api/versions/" + url.PathEscape(digest) + rest
}

// Jobs lists jobs, newest first.
func (c *Client) Jobs(ctx context.Context, l List) (api.Page[api.Job], error) {
	return get[api.Page[api.Job]](ctx, c, "/api/jobs", l.query())
}

// Job is one job; an original comes with its results and hook jobs.
func (c *Client) Job(ctx context.Context, id string) (api.Job, error) {
	return get[api.Job](ctx, c, "/api/jobs/"+url.PathEscape(id), nil)
}

// Explain says why a version did or did not run for an original job.
func (c *Client) Explain(ctx context.Context, job, version string) (api.Explanation, error) {
	q := url.Values{"version": {version}}
	return get[api.Explanation](ctx, c, "/api/jobs/"+url.PathEscape(job)+"/explain", q)
}

// Peers lists the enrolled machines.
func (c *Client) Peers(ctx context.Context, l List) (api.Page[api.Peer], error) {
	return get[api.Page[api.Peer]](ctx, c, "/api/peers", l.query())
}

// Peer is one machine.
func (c *Client) Peer(ctx context.Context, id string) (api.Peer, error) {
	return get[api.Peer](ctx, c, "/api/peers/"+url.PathEscape(id), nil)
}

// PeerJobs lists the jobs of one machine, newest first.
func (c *Client) PeerJobs(ctx context.Context, id string, l List) (api.Page[api.Job], error) {
	return get[api.Page[api.Job]](ctx, c, "/api/peers/"+url.PathEscape(id)+"/jobs", l.query())
}

// Results lists what hooks brought back, newest first.
func (c *Client) Results(ctx context.Context, l List) (api.Page[api.Result], error) {
	return get[api.Page[api.Result]](ctx, c, "/api/results", l.query())
}

// Result is one result.
func (c *Client) Result(ctx context.Context, id string) (api.Result, error) {
	return get[api.Result](ctx, c, "/api/results/"+url.PathEscape(id), nil)
}

// Problems lists the buckets of reports.
func (c *Client) Problems(ctx context.Context, l List) (api.Page[api.ProblemBucket], error) {
	return get[api.Page[api.ProblemBucket]](ctx, c, "/api/problems", l.query())
}

// Problem is one bucket.
func (c *Client) Problem(ctx context.Context, id string) (api.ProblemBucket, error) {
	return get[api.ProblemBucket](ctx, c, "/api/problems/"+url.PathEscape(id), nil)
}
