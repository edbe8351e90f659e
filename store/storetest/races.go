package storetest

import (
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/jobs"
)

// racers is how many goroutines go for one record.
const racers = 16

func raceTests() []test {
	return []test{
		{"leases never pass the quantity", raceLease},
		{"lease and settle", raceLeaseAndSettle},
		{"reservations never pass the bytes", raceReserve},
		{"results never pass the bytes", raceResults},
		{"a job is settled once", raceSettle},
		{"one open job for a version and an original", raceSlot},
		{"pending jobs of a peer", racePeerCap},
		{"recovery and sender", raceRecover},
		{"a version number is given once", raceVersionNumber},
		{"a key approves once", raceApproval},
		{"a one-time token is spent once", raceSpendToken},
		{"tries to sign in never pass their number", raceTrySignIn},
		{"comments never pass their number", raceComment},
		{"a report is counted once", raceReport},
		{"reports of one problem are all counted", raceProblem},
		{"one active version of a hook", raceActivate},
		{"a user is added once", raceUser},
		{"every connection has its own epoch", raceConnect},
		{"a job is sent once", raceSent},
	}
}

// race runs fn in 16 goroutines at once and returns their errors.
func race(fn func(i int) error) []error {
	var ready, done sync.WaitGroup
	failures := make([]error, racers)
	start := make(chan struct{})
	ready.Add(racers)
	for i := range racers {
		done.Go(func() {
			ready.Done()
			<-start
			failures[i] = fn(i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	return failures
}

// winners counts who got through; all others must be refused with one of the codes.
func (k *kit) winners(failures []error, codes ...errs.Code) int {
	k.Helper()
	n := 0
	for _, err := range failures {
		switch {
		case err == nil:
			n++
		case !slices.Contains(codes, errs.CodeOf(err)):
			k.Errorf("a loser got %v (%s)", err, errs.CodeOf(err))
		}
	}
	return n
}

// ids draws an id for each racer, in the test's own goroutine.
func (k *kit) racerIDs(each int) [][]string {
	all := make([][]string, racers)
	for i := range all {
		for range each {
			all[i] = append(all[i], k.id())
		}
	}
	return all
}

// racerJobs makes jobs for each racer that nothing but the ledger can refuse.
func (k *kit) racerJobs(version string, each int) [][]jobs.Job {
	all := make([][]jobs.Job, racers)
	for i := range all {
		for range each {
			all[i] = append(all[i], k.next(version))
		}
	}
	return all
}

func raceLease(k *kit) {
	const quantity = 50
	a := k.active("taint", quantity)
	all := k.racerJobs(a.Digest, 10)
	var taken atomic.Int64
	k.winners(race(func(i int) error {
		for _, j := range all[i] {
			if err := k.lease(j); err != nil {
				return err
			}
			taken.Add(1)
		}
		return nil
	}), errs.CodeQuantityReached)
	if taken.Load() != quantity {
		k.Errorf("%d leases acknowledged of %d", taken.Load(), quantity)
	}
	same(k, k.ledger(a.Digest), hooks.Ledger{Issued: quantity, Leased: quantity})
	k.leasesHaveJobs(a.Digest, quantity)
}

// leasesHaveJobs demands n leases, each with its pending job.
func (k *kit) leasesHaveJobs(version string, n int) {
	k.Helper()
	out := k.leaseIDs()
	pending, err := k.Jobs(k.ctx, jobs.Filter{Version: version, Status: jobs.Pending, Limit: 200})
	k.must(err)
	var ids []string
	for _, j := range pending {
		ids = append(ids, j.ID)
	}
	slices.Sort(ids)
	same(k, ids, out)
	same(k, len(out), n)
}

// The quantity is met exactly while failures give leases back.
func raceLeaseAndSettle(k *kit) {
	const quantity = 40
	a := k.active("taint", quantity)
	all := k.racerJobs(a.Digest, 20)
	var received atomic.Int64
	k.winners(race(func(i int) error {
		for n, j := range all[i] {
			err := k.lease(j)
			if errs.Is(err, errs.CodeQuantityReached) {
				continue
			}
			if err != nil {
				return err
			}
			o := hooks.OutcomeReceived
			if n%3 == 0 {
				o = hooks.OutcomeFailed
			}
			s, err := k.settle(j, o, 1)
			if err != nil || !s.OK {
				k.Errorf("settle: %v, %v", s.OK, err)
			}
			if err := s.Activation.Ledger.Check(quantity, a.MaxBytes); err != nil {
				k.Error(err)
			}
			if o == hooks.OutcomeReceived {
				received.Add(1)
			}
		}
		return nil
	}), errs.CodeHookNotActive)
	l := k.ledger(a.Digest)
	if l.Leased != 0 || l.Received != received.Load() || l.Bytes != received.Load() {
		k.Errorf("%d received were acknowledged, the ledger has %+v", received.Load(), l)
	}
	if over := k.state(a.Digest) != hooks.StateActive; over != (l.Received == quantity) {
		k.Errorf("received %d, over %v", l.Received, over)
	}
}

func raceReserve(k *kit) {
	a := k.active("taint", racers) // 10,000 bytes
	all := k.racerJobs(a.Digest, 1)
	for _, j := range all {
		k.must(k.lease(j[0]))
	}
	var reserved atomic.Int64
	k.winners(race(func(i int) error {
		for range 10 {
			if err := k.Reserve(k.ctx, a.Digest, all[i][0].ID, 90); err != nil {
				return err
			}
			reserved.Add(90)
		}
		return nil
	}), errs.CodeRateLimited)
	if l := k.ledger(a.Digest); l.Reserved != reserved.Load() || l.Reserved != 9_990 {
		k.Errorf("%d bytes acknowledged, %d reserved", reserved.Load(), l.Reserved)
	}
}

// Results that nobody reserved for: those that fit are in, the others' jobs
// are still pending.
func raceResults(k *kit) {
	a := k.active("taint", 2*racers) // 10,000 bytes
	all := k.racerJobs(a.Digest, 1)
	for _, j := range all {
		k.must(k.lease(j[0]))
	}
	failures := race(func(i int) error {
		_, err := k.settle(all[i][0], hooks.OutcomeReceived, 900)
		return err
	})
	same(k, k.winners(failures, errs.CodeBytesReached, errs.CodeRateLimited), 11) // of others, some may still be under way
	for i, err := range failures {
		if err != nil {
			_, err := k.settle(all[i][0], hooks.OutcomeReceived, 900)
			k.refused(err, errs.CodeBytesReached)
		}
	}
	same(k, k.ledger(a.Digest), hooks.Ledger{Issued: racers, Leased: racers - 11, Received: 11, Bytes: 9_900})
	same(k, len(k.shown(everyResult)), 11)
	k.leasesHaveJobs(a.Digest, racers-11)
}

func raceSettle(k *kit) {
	j := k.pending("p", "v", "original")
	var won atomic.Int64
	first := make([]hooks.Outcome, racers)
	k.winners(race(func(i int) error {
		o := []hooks.Outcome{hooks.OutcomeReceived, hooks.OutcomeTimedOut, hooks.OutcomeEmpty}[i%3]
		s, err := k.settle(j, o, 7)
		if first[i] = s.Job.Outcome; s.OK {
			won.Add(1)
			if s.Job.Outcome != o {
				k.Errorf("%s won, the job says %s", o, s.Job.Outcome)
			}
		}
		return err
	}))
	got, shown := k.job(j.ID), len(k.shown(everyResult))
	if won.Load() != 1 || len(slices.Compact(first)) != 1 || first[0] != got.Outcome {
		k.Errorf("%d settled one job, they heard %v, it is %s", won.Load(), first, got.Outcome)
	}
	if (shown == 1) != (got.Outcome == hooks.OutcomeReceived) {
		k.Errorf("job %s, %d results show", got.Outcome, shown)
	}
	want := hooks.Ledger{Issued: 1, Leased: 1}
	want.Settle(got.Outcome, got.Bytes)
	same(k, k.ledger(j.Version), want)
}

func raceSlot(k *kit) {
	v, all := k.on("v"), make([]jobs.Job, racers)
	for i := range all {
		all[i] = k.hookJob("peer"+strconv.Itoa(i), v, "original")
	}
	if n := k.winners(race(func(i int) error { return k.lease(all[i]) }), errs.CodeAlreadyAsked); n != 1 {
		k.Errorf("%d jobs for one version and original", n)
	}
	same(k, k.ledger(v), hooks.Ledger{Issued: 1, Leased: 1})
	k.leasesHaveJobs(v, 1)
}

func racePeerCap(k *kit) {
	v, all := k.on("v"), make([]jobs.Job, racers)
	for i := range all {
		all[i] = k.hookJob("p", v, strconv.Itoa(i))
	}
	if n := k.winners(race(func(i int) error { return k.lease(all[i]) }), errs.CodePeerBusy); n != jobs.MaxHooksPerPeer {
		k.Errorf("%d pending jobs of one peer", n)
	}
	same(k, k.ledger(v), hooks.Ledger{Issued: jobs.MaxHooksPerPeer, Leased: jobs.MaxHooksPerPeer})
	k.leasesHaveJobs(v, jobs.MaxHooksPerPeer)
}

// Whoever comes first, the lease has one job and is counted once.
func raceRecover(k *kit) {
	v := k.on("v")
	j := k.next(v)
	lost := k.lost(j)
	k.winners(race(func(i int) error {
		if i == 0 {
			return k.lease(j)
		}
		_, err := k.RecoverLease(k.ctx, lost, k.clock())
		return err
	}), errs.CodeConflict)
	want := hooks.Ledger{}
	if k.job(j.ID).Status == jobs.Pending {
		want = hooks.Ledger{Issued: 1, Leased: 1}
	}
	same(k, k.ledger(v), want)
	k.leasesHaveJobs(v, int(want.Leased))
}

func raceVersionNumber(k *kit) {
	grants := k.grants(auth.HooksSubmit)
	base := k.version("taint", 1)
	failures := race(func(i int) error {
		v := base
		v.Number, v.Digest = 2, "digest"+strconv.Itoa(i)
		return k.AddVersion(k.ctx, v, grants[i])
	})
	if n := k.winners(failures, errs.CodeVersionTaken); n != 1 {
		k.Errorf("%d versions with one number", n)
	}
	if list, err := k.VersionsOf(k.ctx, "taint", 0, 100); err != nil || len(list) != 2 {
		k.Errorf("%d versions are there, %v", len(list), err)
	}
	if n := len(k.entries()); n != 2 {
		k.Errorf("%d audit entries of two versions", n)
	}
}

// grants draws one grant for each racer.
func (k *kit) grants(p auth.Permission) []auth.Grant {
	k.Helper()
	all := make([]auth.Grant, racers)
	for i := range all {
		all[i] = k.grant(p)
	}
	return all
}

func raceApproval(k *kit) {
	v, grants, ids := k.version("taint", 1), k.grants(auth.HooksReview), k.racerIDs(1)
	approval := k.approval(v.Digest, "bob")
	failures := race(func(i int) error {
		r := approval
		r.ID = ids[i][0]
		return k.AddReview(k.ctx, r, hooks.StateSubmitted, hooks.StateSubmitted, grants[i])
	})
	if n := k.winners(failures, errs.CodeConflict); n != 1 {
		k.Errorf("%d approvals with one key", n)
	}
	if l := k.life(v.Digest); len(l.Reviews) != 1 || len(l.Version.Signatures) != 2 {
		k.Errorf("%d reviews, %d signature files", len(l.Reviews), len(l.Version.Signatures))
	}
}

func raceSpendToken(k *kit) {
	login := k.token("login", auth.TokenLogin)
	k.must(k.AddToken(k.ctx, login, k.grant(auth.LoginCreate)))
	failures := race(func(int) error { return k.SpendToken(k.ctx, login.ID) })
	if n := k.winners(failures, errs.CodeNotFound); n != 1 {
		k.Errorf("a token was spent %d times", n)
	}
	_, err := k.TokenByHash(k.ctx, login.Hash)
	k.refused(err, errs.CodeNotFound)
}

// Tries at once get no further than tries one after the other.
func raceTrySignIn(k *kit) {
	const each, most = 3, 20
	k.must(k.AddUser(k.ctx, auth.User{Name: "alice"}, k.grant(auth.TokensCreate)))
	since := k.clock().Add(-time.Hour)
	var through atomic.Int64
	k.winners(race(func(int) error {
		for range each {
			ok, err := k.TrySignIn(k.ctx, "alice", k.clock(), since, most)
			if err != nil {
				return err
			}
			if ok {
				through.Add(1)
			}
		}
		return nil
	}))
	same(k, through.Load(), int64(most))
	same(k, k.account("alice").Failures, int64(most))
}

func raceReport(k *kit) {
	j := k.report("p", crashed)
	var created atomic.Int64
	k.winners(race(func(int) error {
		ok, err := k.AddReport(k.ctx, j, k.problem(j))
		if ok {
			created.Add(1)
		}
		return err
	}))
	same(k, created.Load(), int64(1))
	p, err := k.Problem(k.ctx, j.ProblemID)
	k.must(err)
	same(k, p.Reports, int64(1))
}

func raceProblem(k *kit) {
	const each = 5
	all := make([][]jobs.Job, racers)
	for i := range all {
		for range each {
			all[i] = append(all[i], k.report("peer"+strconv.Itoa(i), crashed))
		}
	}
	k.winners(race(func(i int) error {
		for _, j := range all[i] {
			if _, err := k.AddReport(k.ctx, j, k.problem(j)); err != nil {
				return err
			}
		}
		return nil
	}))
	p, err := k.Problem(k.ctx, all[0][0].ProblemID)
	k.must(err)
	same(k, p.Reports, int64(racers*each))
}

func raceActivate(k *kit) {
	grants, all := k.grants(auth.HooksActivate), make([]hooks.Activation, racers)
	for i := range all {
		all[i] = k.activation(k.approved("taint", int64(i+1)), 3)
	}
	failures := race(func(i int) error { return k.Activate(k.ctx, all[i], hooks.StateApproved, grants[i]) })
	same(k, k.winners(failures), racers)
	active := 0
	for _, a := range all {
		switch state := k.state(a.Digest); state {
		case hooks.StateActive:
			active++
		case hooks.StateSuperseded:
		default:
			k.Errorf("a version is %s", state)
		}
	}
	same(k, active, 1)
	if found, err := k.ActiveByKeys(k.ctx, []string{"fp:one"}); err != nil || len(found) != 1 {
		k.Errorf("%d versions match, %v", len(found), err)
	}
}

func raceUser(k *kit) {
	grants := k.grants(auth.TokensCreate)
	failures := race(func(i int) error { return k.AddUser(k.ctx, auth.User{Name: "alice"}, grants[i]) })
	if n := k.winners(failures, errs.CodeConflict); n != 1 {
		k.Errorf("%d users with one name", n)
	}
}

func raceConnect(k *kit) {
	p := k.peer("a")
	epochs := make([]int64, racers)
	k.winners(race(func(i int) (err error) {
		epochs[i], err = k.Connect(k.ctx, p.ID, "server"+strconv.Itoa(i), helloOf(p), k.clock())
		return err
	}))
	sorted := slices.Sorted(slices.Values(epochs))
	if len(slices.Compact(sorted)) != racers {
		k.Errorf("epochs %v", epochs)
	}
	newest := slices.Index(epochs, slices.Max(epochs))
	got, err := k.Peer(k.ctx, p.ID)
	k.must(err)
	same(k, got.Connection.Server, "server"+strconv.Itoa(newest))
}

func raceSent(k *kit) {
	j := k.pending("p", "v", "original")
	var first atomic.Int64
	k.winners(race(func(int) error {
		ok, err := k.MarkSent(k.ctx, j.ID, k.clock())
		if ok {
			first.Add(1)
		}
		return err
	}))
	same(k, first.Load(), int64(1))
}
