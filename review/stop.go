package review

import (
	"context"

	"hookline/hooks"
	"hookline/internal/auth"
)

// Disable stops a version at once; reason (at most 500 bytes) says why and
// shows on its page. Jobs that peers have already may still bring their
// result within the quantity; jobs that were not sent are cancelled.
func (s *Service) Disable(ctx context.Context, p auth.Principal, digest, reason string) (Life, error) {
	return s.stop(ctx, p, digest, reason, hooks.EventDisable)
}

// Pause stops an active version for a while, as Disable does; Activate starts
// it again. While it is paused another version of the hook may become active.
func (s *Service) Pause(ctx context.Context, p auth.Principal, digest, reason string) (Life, error) {
	return s.stop(ctx, p, digest, reason, hooks.EventPause)
}

func (s *Service) stop(ctx context.Context, p auth.Principal, digest, reason string, e hooks.Event) (Life, error) {
	if err := checkDigest(digest); err != nil {
		return Life{}, err
	}
	grant, err := s.Gate.Authorize(ctx, p, auth.HooksDisable, target(digest), string(e)+": "+reason)
	if err != nil {
		return Life{}, err
	}
	if err := needText("reason", reason, MaxReasonBytes); err != nil {
		return Life{}, err
	}
	life, err := s.Versions.Life(ctx, digest)
	if err != nil {
		return Life{}, err
	}
	to, err := next(life.State(), e)
	if err != nil {
		return Life{}, err
	}
	if err := s.Changes.Stop(ctx, digest, life.State(), to, reason, s.now(), grant); err != nil {
		return Life{}, err
	}
	return s.Versions.Life(ctx, digest)
}
