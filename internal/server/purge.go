package server

import (
	"context"
	"time"

	"hookline/internal/auth"
)

// How the server forgets tokens that have ended: a few at a time, so that
// nobody waits for the store, and not at once, so that a clock which is wrong
// for a while takes nobody's token away.
const (
	purgeEvery = time.Minute
	purgeAfter = 7 * 24 * time.Hour
	purgeMost  = 500
)

// purgeLoop purges tokens and the file of the first sign-in link at once and at each tick until ctx is over.
func (s *Server) purgeLoop(ctx context.Context, tokens auth.Purger, tick <-chan time.Time) {
	for {
		n, err := tokens.PurgeTokens(ctx, s.cfg.Now().Add(-purgeAfter), purgeMost)
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "cannot delete tokens that have ended", "error", err)
		}
		if n > 0 {
			s.log.InfoContext(ctx, "deleted tokens that have ended", "tokens", n)
		}
		s.tidyFirstSignIn(ctx)
		select {
		case <-tick:
		case <-ctx.Done():
			return
		}
	}
}
