package guard

import (
	"strconv"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/guardwire"
)

// A server that has four slots, and forgets what it has none for, runs in the
// end all that the owner allowed at once.
func TestAllThatWasAllowedRuns(t *testing.T) {
	const all, slots = 10, 4
	k := newKit(t)
	g := k.optedIn(HooksAsk)
	s := connect(t, g)
	often := func(p *hooks.Predicate) { p.MaxRunsPerPeer = 100 }
	for range all {
		end := s.end(k.run(file(t, g), often))
		s.write(guardwire.Message{Kind: guardwire.KindFinished, JobID: end.JobID})
	}
	for _, p := range owner(t, g, guardwire.Request{Op: guardwire.OpPending}).Pending {
		owner(t, g, guardwire.Request{Op: guardwire.OpAllowOnce, ID: p.ID})
	}
	reply := owner(t, g, guardwire.Request{Op: guardwire.OpPending})
	status := owner(t, g, guardwire.Request{Op: guardwire.OpStatus}).Status
	if len(reply.Pending) != 0 || len(reply.Allowed) != all || status.Allowed != all {
		t.Fatalf("pending %+v, allowed %+v, status %+v", reply.Pending, reply.Allowed, status)
	}
	if a := reply.Allowed[0]; a.Hook != "answer" || a.Version != 1 || a.WaitsFor == "" {
		t.Errorf("allowed %+v", a)
	}
	given, asked, ran := map[string]bool{}, map[string]bool{}, 0
	for deadline := time.After(20 * time.Second); ran < all; {
		select {
		case m := <-s.got:
			switch {
			case m.Kind == guardwire.KindClaim && len(given) < slots && !asked[m.Claim.OriginalID]:
				id := newID(t)
				given[id], asked[m.Claim.OriginalID] = true, true
				s.write(guardwire.Message{Kind: guardwire.KindRun, JobID: id, Run: k.run(m.Claim.OriginalID, often)})
			case m.Kind == guardwire.KindFinish && given[m.JobID]:
				if m.Code != "" {
					t.Fatalf("%s: %s", m.Code, m.Reason)
				}
				ran++
				delete(given, m.JobID)
				s.write(guardwire.Message{Kind: guardwire.KindFinished, JobID: m.JobID})
			}
		case <-deadline:
			t.Fatalf("%d of %d ran", ran, all)
		}
	}
	if left := owner(t, g, guardwire.Request{Op: guardwire.OpPending}).Allowed; len(left) != 0 {
		t.Errorf("left %+v", left)
	}
}

// Claims that nothing answers come again, each time later, a few at a time and
// in turn, and none for what can run no more.
func TestClaimsComeAgain(t *testing.T) {
	var c claims
	var grants []Grant
	for n := range claimsAtOnce + 3 {
		grants = append(grants, Grant{Pair: Pair{OriginalID: strconv.Itoa(n)}, NotAfter: start.Add(time.Hour)})
	}
	now := start
	ask := func(atOnce bool) int {
		out := c.due(grants, now, atOnce)
		for _, p := range out {
			c.said(p, now)
		}
		return len(out)
	}
	for n, want := range []int{claimsAtOnce, 3, 0} {
		if got := ask(false); got != want {
			t.Fatalf("round %d: %d claims, want %d", n, got, want)
		}
		now = now.Add(time.Second)
	}
	if got := c.due(grants, now, true); len(got) != claimsAtOnce || got[0].OriginalID != "0" {
		t.Fatalf("a free slot: %v", got)
	}
	now = start.Add(claimFirst)
	if got := ask(false); got != claimsAtOnce {
		t.Fatalf("after the first pause: %d", got)
	}
	now = now.Add(claimFirst)
	if got := ask(false); got != 3 {
		t.Fatalf("the second pause is longer: %d", got)
	}
	for range 20 {
		now = now.Add(time.Minute)
		ask(true)
	}
	for p, a := range c.asked {
		if a.pause > claimLongest {
			t.Errorf("%v waits %s", p, a.pause)
		}
	}
	now = start.Add(time.Hour)
	if got := ask(true); got != 0 {
		t.Errorf("%d claims for what can run no more", got)
	}
	grants = nil
	if ask(true); len(c.asked) != 0 {
		t.Errorf("kept %v", c.asked)
	}
}
