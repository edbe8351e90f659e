package collector

import (
	"context"
	"sync"

	"hookline/internal/errs"
)

// Withdraw ends all that is out for a version that was revoked, which its
// state says already, so that nothing is leased any more: each pending job is
// cancelled with code revoked and its lease given back, and the peer told to
// stop it. It may be called again after an error.
func (c *Collector) Withdraw(ctx context.Context, version, why string) error {
	why = clean(why, maxReasonBytes)
	c.closed.add(version, why)
	return c.eachLease(ctx, func(l Lease) error {
		if l.Version != version {
			return nil
		}
		return c.withdraw(ctx, l.ID, why)
	})
}

// withdraw ends one job. A lease whose job is not stored yet is left to its
// sender, who looks at what is closed before it sends.
func (c *Collector) withdraw(ctx context.Context, jobID, why string) error {
	j, err := c.Queries.Job(ctx, jobID)
	if errs.Is(err, errs.CodeNotFound) || err == nil && j.Final() {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = c.end(ctx, j, cancelled(errs.CodeRevoked, why))
	c.Sender.Cancel(j.PeerID, j.ID, why)
	return err
}

// closed are the versions that were revoked while this server runs, with the
// reason. The zero value is ready.
type closed struct {
	mu  sync.Mutex
	all map[string]string
}

func (c *closed) add(version, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = map[string]string{}
	}
	c.all[version] = why
}

func (c *closed) why(version string) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	why, ok := c.all[version]
	return why, ok
}
