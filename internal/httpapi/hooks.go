package httpapi

import (
	"context"
	"strconv"

	"hookline/hooks"
	"hookline/internal/api"
	"hookline/internal/auth"
	"hookline/review"
)

func (s *service) listHooks(ctx context.Context, in *Listing) (api.Page[api.Version], error) {
	list, err := s.Versions.Hooks(ctx, in.After, in.Limit)
	return page(list, err, in.Limit, func(l review.Life) (api.Version, string) {
		return versionOf(s.Rules(), l, false), l.Version.Hook
	})
}

func (s *service) listVersions(ctx context.Context, in *struct {
	Hook  string `path:"hook" maxLength:"64"`
	Below int64  `query:"below" minimum:"0" doc:"next of the page before; 0 starts from the newest"`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
},
) (api.Page[api.Version], error) {
	list, err := s.Versions.VersionsOf(ctx, in.Hook, in.Below, in.Limit)
	return page(list, err, in.Limit, func(l review.Life) (api.Version, string) {
		return versionOf(s.Rules(), l, false), strconv.FormatInt(l.Version.Number, 10)
	})
}

func (s *service) submit(ctx context.Context, in *struct{ Body api.NewVersion }) (api.Version, error) {
	b, p := in.Body, principalOf(ctx)
	// Only for those who may submit; all others the service refuses, and has it audited.
	if s.CheckScript != nil && s.gate.Allow(p, auth.HooksSubmit) == nil {
		if err := s.CheckScript(ctx, b.Script, b.Statement); err != nil {
			return api.Version{}, err
		}
	}
	l, err := s.Review.Submit(ctx, p, b.Manifest, b.Script, b.Statement, b.Signature)
	return s.version(l, err)
}

func (s *service) getVersion(ctx context.Context, in *DigestPath) (api.Version, error) {
	l, err := s.Versions.Life(ctx, in.Digest)
	return s.version(l, err)
}

func (s *service) reviewVersion(ctx context.Context, in *struct {
	DigestPath
	Body api.NewReview
},
) (api.Version, error) {
	b := in.Body
	l, err := s.Review.Review(ctx, principalOf(ctx), in.Digest, review.Verdict(b.Verdict), b.Comment, b.Signature)
	return s.version(l, err)
}

// bounded is what activates a version, and what gives it other bounds.
type bounded struct {
	DigestPath
	Body api.NewActivation
}

func (b *bounded) rollout() hooks.Rollout {
	return hooks.Rollout{Percent: b.Body.Percent, PerMinute: b.Body.PerMinute}
}

func (s *service) activate(ctx context.Context, in *bounded) (api.Version, error) {
	l, err := s.Review.Activate(ctx, principalOf(ctx), in.Digest, in.Body.Quantity, in.Body.Deadline, in.rollout())
	return s.version(l, err)
}

func (s *service) bounds(ctx context.Context, in *bounded) (api.Version, error) {
	l, err := s.Review.Bounds(ctx, principalOf(ctx), in.Digest, in.Body.Quantity, in.Body.Deadline, in.rollout())
	return s.version(l, err)
}

// stopped is what stops a version, with a reason.
type stopped struct {
	DigestPath
	Body api.Stop
}

func (s *service) pause(ctx context.Context, in *stopped) (api.Version, error) {
	l, err := s.Review.Pause(ctx, principalOf(ctx), in.Digest, in.Body.Reason)
	return s.version(l, err)
}

func (s *service) disable(ctx context.Context, in *stopped) (api.Version, error) {
	l, err := s.Review.Disable(ctx, principalOf(ctx), in.Digest, in.Body.Reason)
	return s.version(l, err)
}

func (s *service) version(l review.Life, err error) (api.Version, error) {
	if err != nil {
		return api.Version{}, err
	}
	return versionOf(s.Rules(), l, true), nil
}
