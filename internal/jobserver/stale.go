package jobserver

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	clearAgain   = 2 * time.Second // after a store that was away
	clearAtOnce  = 16              // writes under way
	clearPerPage = 200
)

// keepClear ends, in the store, connections that are none any more: at the
// start those that this server had when it was killed, and later those whose
// end the store did not take. It goes on until the store has.
func (s *Server) keepClear(ctx context.Context) {
	for ctx.Err() == nil {
		var again <-chan time.Time
		if err := s.clearStale(ctx); err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "cannot clear connections that are none any more", "error", err)
			again = time.After(clearAgain)
		}
		select {
		case <-s.stale:
		case <-again:
		case <-ctx.Done():
		}
	}
}

// clearLater has keepClear look.
func (s *Server) clearLater() {
	select {
	case s.stale <- struct{}{}:
	default:
	}
}

// clearStale needs no lock against peers that are back, or come back just now:
// the hub knows them before the store has their new epoch, and an older epoch
// ends nothing.
func (s *Server) clearStale(ctx context.Context) error {
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(clearAtOnce)
	after := ""
	for ctx.Err() == nil {
		page, err := s.Peers.Peers(ctx, after, clearPerPage)
		if err != nil {
			workers.Go(func() error { return err })
			break
		}
		if len(page) == 0 {
			break
		}
		for _, p := range page {
			if p.Connection.Server != s.Name || s.Hub.knows(p.ID) {
				continue
			}
			workers.Go(func() error {
				_, err := s.Peers.Disconnect(ctx, p.ID, p.Connection.Epoch, s.Now())
				return err
			})
		}
		after = page[len(page)-1].ID
	}
	return workers.Wait()
}
