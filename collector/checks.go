package collector

import (
	"context"
	"time"

	"hookline/hooks"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobs"
)

// offer is an activation with what people signed.
type offer struct {
	act    hooks.Activation
	signed Signed
	pred   hooks.Predicate
}

// offer reads the content of an activation. It does not verify signatures:
// review did at activation, and each peer does before it runs anything.
func (c *Collector) offer(ctx context.Context, a hooks.Activation) (offer, error) {
	signed, err := c.Signed(ctx, a.Digest)
	if err != nil {
		return offer{}, err
	}
	st, err := hooks.ParseStatement(signed.Statement)
	if err != nil {
		return offer{}, err
	}
	return offer{act: a, signed: signed, pred: st.Predicate}, nil
}

// question is: may this peer be asked for this version about this original?
type question struct {
	offer
	peer      enroll.Peer
	original  jobs.Job
	asked     []jobs.Job // hook jobs of this version and original, newest first
	runs      int64      // runs of this version on this peer
	pending   int        // hook jobs of this peer under way
	connected bool
	rateFull  bool
	claimed   bool // the owner said yes
	waits     bool // the owner's yes is in the backlog
	now       time.Time
}

// check is one step of the answer: a note for people, or the refusal.
type check struct {
	name string
	run  func(q *question) (note string, refused *errs.Error)
}

// checks are made in this order before a lease is taken; Explain shows them
// in the same order. The store decides quantity, leases and slots again, in
// the same commit as lease and job.
func checks() []check {
	return []check{
		{"state", checkState},
		{"signatures", checkSignatures},
		{"window", checkWindow},
		{"match", checkMatch},
		{"rollout", checkRollout},
		{"quantity", checkQuantity},
		{"asked", checkAsked},
		{"runs", checkRuns},
		{"connected", checkConnected},
		{"opt-in", checkOptIn},
		{"busy", checkBusy},
		{"rate", checkRate},
	}
}

// refusal is the first check that refuses, nil where none does.
func (q *question) refusal() error {
	for _, c := range checks() {
		if _, refused := c.run(q); refused != nil {
			return refused
		}
	}
	return nil
}

func checkState(q *question) (string, *errs.Error) {
	switch q.act.State {
	case hooks.StateActive:
		return "active", nil
	case "":
		return "", errs.New(errs.CodeHookNotActive, "the version was never activated")
	default:
		e := errs.New(errs.CodeHookNotActive, "the version is %s", q.act.State)
		if q.act.Reason != "" {
			e.Message += ": " + q.act.Reason
		}
		return "", e
	}
}

func checkSignatures(q *question) (string, *errs.Error) {
	return "they count", q.signed.Refused
}

func checkWindow(q *question) (string, *errs.Error) {
	from, until := time.Unix(q.pred.NotBefore, 0).UTC(), time.Unix(q.pred.NotAfter, 0).UTC()
	switch {
	case q.now.Before(from):
		return "", errs.New(errs.CodeNotYetValid, "it is valid from %s", from.Format(time.RFC3339))
	case !q.now.Before(until):
		return "", errs.New(errs.CodeExpired, "it was valid until %s", until.Format(time.RFC3339))
	case !q.now.Before(q.act.Deadline):
		return "", errs.New(errs.CodeDeadlineReached, "the activation ended at %s", q.act.Deadline.UTC().Format(time.RFC3339))
	default:
		return "until " + q.act.Deadline.UTC().Format(time.RFC3339), nil
	}
}

func checkMatch(q *question) (string, *errs.Error) {
	if q.pred.Match.Matches(q.pred.Level, q.original.Report) {
		return "at level " + string(q.pred.Level), nil
	}
	if q.pred.Level == hooks.LevelPackage {
		return "", errs.New(errs.CodeNoMatch, "package %q in version %q is not in the signed range of %s",
			q.original.Report[hooks.FieldPackage], q.original.Report[hooks.FieldPackageVersion], q.pred.Match.Package)
	}
	return "", errs.New(errs.CodeNoMatch, "the fingerprint %s is not among the %d signed ones",
		q.original.Fingerprint, len(q.pred.Match.Fingerprints))
}

func checkRollout(q *question) (string, *errs.Error) {
	percent := min(q.act.Rollout.Percent, q.pred.MaxPercent)
	if !hooks.InRollout(q.act.Digest, q.peer.SPKI, percent) {
		return "", errs.New(errs.CodeNotInRollout, "the peer is not among the %d percent", percent)
	}
	return "", nil
}

func checkQuantity(q *question) (string, *errs.Error) {
	l := q.act.Ledger
	switch {
	case l.Received >= q.act.Quantity:
		return "", errs.New(errs.CodeQuantityReached, "all %d results are in", q.act.Quantity)
	case l.Received+l.Leased >= q.act.Quantity:
		return "", errs.New(errs.CodeQuantityReached, "%d results are in and %d on their way, of %d", l.Received, l.Leased, q.act.Quantity)
	case l.Leased >= hooks.MaxLeasesOut:
		return "", errs.New(errs.CodeLeasesOut, "%d leases are out", l.Leased)
	case l.Bytes >= q.act.MaxBytes:
		return "", errs.New(errs.CodeBytesReached, "the results have reached %d bytes", q.act.MaxBytes)
	default:
		return "", nil
	}
}

func checkAsked(q *question) (string, *errs.Error) {
	may, last := jobs.MayAsk(q.asked, q.claimed)
	switch {
	case !may && len(q.asked) >= jobs.MaxAsks:
		return "", errs.New(errs.CodeAlreadyAsked, "the peer was asked %d times", len(q.asked))
	case !may:
		return "", errs.New(errs.CodeAlreadyAsked, "the peer was asked with job %s, which is %s %s", last.ID, last.Status, last.Outcome)
	case len(q.asked) > 0:
		return "asked before without an answer that counts", nil
	default:
		return "not yet", nil
	}
}

func checkRuns(q *question) (string, *errs.Error) {
	if q.runs >= q.pred.MaxRunsPerPeer {
		return "", errs.New(errs.CodeRunLimit, "the peer has run it %d times, of the signed %d", q.runs, q.pred.MaxRunsPerPeer)
	}
	return "", nil
}

func checkConnected(q *question) (string, *errs.Error) {
	if !q.connected {
		return "", errs.New(errs.CodePeerNotConnected, "the peer is not connected")
	}
	return "", nil
}

// checkOptIn spares a peer that said no the question. The peer decides itself
// in any case.
func checkOptIn(q *question) (string, *errs.Error) {
	if q.peer.AllowHooks == "no" {
		return "", errs.New(errs.CodePeerOptOut, "the owner of the peer does not allow hooks")
	}
	return "the owner chose " + q.peer.AllowHooks, nil
}

func checkBusy(q *question) (string, *errs.Error) {
	if q.pending >= jobs.MaxHooksPerPeer {
		return "", errs.New(errs.CodePeerBusy, "the peer has %d hook jobs under way", q.pending)
	}
	return "", nil
}

func checkRate(q *question) (string, *errs.Error) {
	if q.rateFull {
		return "", errs.New(errs.CodeRateLimited, "the minute has had its %d leases", q.act.Rollout.PerMinute)
	}
	return "", nil
}

// question gathers what the checks look at.
func (c *Collector) question(ctx context.Context, o offer, peer enroll.Peer, original jobs.Job) (*question, error) {
	q := &question{
		offer: o, peer: peer, original: original, now: c.now(),
		connected: c.Sender.Connected(peer.ID),
	}
	q.rateFull = c.rates.full(o.act.Digest, o.act.Rollout.PerMinute, q.now)
	if err := c.history(ctx, q); err != nil {
		return nil, err
	}
	pending, err := c.Queries.Jobs(ctx, jobs.Filter{
		Workload: jobs.WorkHook, Status: jobs.Pending, PeerID: peer.ID, Limit: jobs.MaxHooksPerPeer,
	})
	q.pending = len(pending)
	return q, err
}

// history reads what this peer did with this version. It stops once the runs
// reach the signed limit and the original's own jobs are known.
func (c *Collector) history(ctx context.Context, q *question) error {
	const page = 200
	after := ""
	for {
		list, err := c.Queries.Jobs(ctx, jobs.Filter{
			Workload: jobs.WorkHook, PeerID: q.peer.ID, Version: q.act.Digest, After: after, Limit: page,
		})
		if err != nil {
			return err
		}
		for _, j := range list {
			if j.OriginalID == q.original.ID {
				q.asked = append(q.asked, j)
			}
			if j.Ran() {
				q.runs++
			}
		}
		if len(list) < page {
			return nil
		}
		after = list[len(list)-1].ID
	}
}
