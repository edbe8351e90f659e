package guard

import (
	"slices"
	"time"

	"hookline/internal/guardwire"
)

const (
	claimsAtOnce = 2 * maxRuns // said in one go: the server gives maxRuns at most
	claimFirst   = 10 * time.Second
	claimLongest = 10 * time.Minute
)

// claims remembers when the server was asked for which run that the owner
// allowed. The server answers a claim with a job or not at all, and where it
// has no slot free, or is another by now, it may forget it: so it is asked
// again until the run comes or can come no more. The zero value has asked for
// nothing.
type claims struct {
	asked map[Pair]asking
}

type asking struct {
	last  time.Time
	pause time.Duration // until it is asked again
}

// said notes a claim; each waits longer for the next.
func (c *claims) said(p Pair, now time.Time) {
	if c.asked == nil {
		c.asked = map[Pair]asking{}
	}
	c.asked[p] = asking{last: now, pause: min(max(2*c.asked[p].pause, claimFirst), claimLongest)}
}

// due lists what to claim now, what was claimed longest ago first. At once is
// for when a slot became free: then no pause counts.
func (c *claims) due(grants []Grant, now time.Time, atOnce bool) []Pair {
	kept := make(map[Pair]asking, len(grants))
	var out []Pair
	for _, g := range grants {
		a, said := c.asked[g.Pair]
		if said {
			kept[g.Pair] = a
		}
		if now.Before(g.NotAfter) && (!said || atOnce || !now.Before(a.last.Add(a.pause))) {
			out = append(out, g.Pair)
		}
	}
	c.asked = kept // what came, or was taken back, is forgotten
	slices.SortStableFunc(out, func(a, b Pair) int { return kept[a].last.Compare(kept[b].last) })
	return out[:min(len(out), claimsAtOnce)]
}

// claimLocked asks the server for what the owner allowed, where it is time.
func (g *Guard) claimLocked(atOnce bool) {
	if !g.connected {
		return
	}
	now := g.now()
	for _, p := range g.claims.due(g.ledger.now.Grants, now, atOnce) {
		g.claims.said(p, now)
		g.sendLocked(claim(p))
	}
}

func claim(p Pair) guardwire.Message {
	return guardwire.Message{Kind: guardwire.KindClaim, Claim: &guardwire.Claim{Version: p.Digest, OriginalID: p.OriginalID}}
}

// allowed lists what the owner allowed and what it waits for, oldest first.
func (g *Guard) allowed() []guardwire.Allowed {
	waits := "the server, which is asked for it again and again"
	switch {
	case !g.connected:
		waits = "the connection to the server"
	case len(g.running) >= maxRuns:
		waits = "a free slot"
	}
	var out []guardwire.Allowed
	for _, r := range g.ledger.now.Grants {
		if !g.now().Before(r.NotAfter) {
			continue
		}
		out = append(out, guardwire.Allowed{
			ID: askID(r.Pair), Hook: r.Hook, Version: r.Version, Digest: r.Digest, OriginalID: r.OriginalID,
			AllowedAt: r.At, NotAfter: r.NotAfter, WaitsFor: waits,
		})
	}
	return out
}
