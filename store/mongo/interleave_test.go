package mongo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/internal/wiretest"
)

// TestInterleavedServers plays several servers on one store, command by
// command: exactly one command is obeyed at a time, and chance says whose is
// the next, who stalls for long, whose command or answer is lost with its
// server, and what the time is. What holds of a ledger at any moment is looked
// at after every command, what holds at rest once a server has recovered.
//
// HOOKLINE_SEED repeats a run, HOOKLINE_SCHEDULE one schedule of it, and
// HOOKLINE_SOAK_ROUNDS makes it longer.
func TestInterleavedServers(t *testing.T) {
	seed, from, upTo := schedules(t)
	address := wiretest.With(wiretest.Address(t), "serverSelectionTimeoutMS", "50")
	w := &interleaved{T: t, address: address, base: openedSoon(t, address, Options{})}
	for n := range maxServers {
		w.servers = append(w.servers, &playing{w: w, name: "s" + strconv.Itoa(n)})
		w.servers[n].start()
	}
	w.approve()
	for n := from; n < upTo; n++ {
		w.fresh(rand.New(rand.NewPCG(seed, n))) //nolint:gosec // moments, not secrets
		for range 120 {
			w.next()
		}
		w.end()
		if t.Failed() {
			t.Fatalf("HOOKLINE_SEED=%d HOOKLINE_SCHEDULE=%d\n%s", seed, n, strings.Join(w.trace[max(0, len(w.trace)-200):], "\n"))
		}
	}
	t.Logf("%d schedules, %d commands, %d servers killed", upTo-from, w.commands, w.killed)
}

// schedules says which ones to play.
func schedules(t *testing.T) (seed, from, upTo uint64) {
	t.Helper()
	number := func(variable string, otherwise uint64) uint64 {
		s := os.Getenv(variable)
		if s == "" {
			return otherwise
		}
		n, err := strconv.ParseUint(s, 10, 64)
		noError(t, err)
		return n
	}
	seed, upTo = number("HOOKLINE_SEED", uint64(time.Now().UnixNano())), 15
	if rounds := number("HOOKLINE_SOAK_ROUNDS", 0); rounds > 0 {
		upTo = 20 * rounds
	}
	if n := number("HOOKLINE_SCHEDULE", upTo); n != upTo {
		from, upTo = n, n+1
	}
	return seed, from, upTo
}

const maxServers = 4

// openedSoon tries again on a machine that is too busy for a short selection.
func openedSoon(t *testing.T, address string, o Options) *DB {
	t.Helper()
	o.Timeout = time.Minute
	d, err := Open(t.Context(), address, o)
	for range 50 {
		if err == nil {
			break
		}
		d, err = Open(t.Context(), address, o)
	}
	noError(t, err)
	t.Cleanup(func() { go func() { _ = d.Close() }() })
	return d
}

// interleaved is the store, the servers on it, and what they were promised.
type interleaved struct {
	*testing.T
	address  string
	base     *DB // looks on
	servers  []*playing
	chance   *rand.Rand
	now      time.Time
	ids      int
	trace    []string
	commands int
	killed   int
	wrote    bool // since the last look

	asked    []jobs.Job               // all that anybody tried to lease
	leased   map[string]bool          // acknowledged
	sent     map[string]bool          // to whom MarkSent said first
	settled  map[string]hooks.Outcome // as heard
	won      map[string]bool          // somebody has heard that he settled it
	reported map[string]bool          // acknowledged
}

// playing is one server: it does one task at a time.
type playing struct {
	w      *interleaved
	name   string
	db     *DB
	way    *cutter
	gated  bool
	may    chan bool  // goes on with the command that it has asked for
	says   chan error // errAsks, or how the task ended
	busy   bool
	asleep int           // turns
	ahead  time.Duration // of its clock
}

var errAsks = fmt.Errorf("it asks for a command")

// start opens a store of its own.
func (s *playing) start() {
	s.gated, s.busy, s.asleep = false, false, 0
	s.may, s.says = make(chan bool), make(chan error)
	way, may, says := &cutter{}, s.may, s.says
	way.ask = func(message []byte) {
		if s.way != way || !s.gated || way.isCut() {
			return
		}
		says <- errAsks
		<-may
		query, rest, _ := strings.Cut(bson.Raw(message[headerBytes+5:]).String(), `"lsid"`)
		_, change, _ := strings.Cut(rest, `"updates"`)
		s.w.note("    %s %s %.300s", s.name, query, change)
		s.w.wrote = s.w.wrote || kindOf(message) == writes
	}
	s.way = way
	s.db = openedSoon(s.w.T, s.w.address, Options{Dial: way.dial})
	s.gated = true
}

func (w *interleaved) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf(format, args...))
}

func (w *interleaved) one(n int) bool { return w.chance.IntN(n) == 0 }

// begin starts a task, which stops before its first command.
func (s *playing) begin(name string, task func(ctx context.Context, s *playing) error) {
	s.w.note("%s begins %s", s.name, name)
	s.busy = true
	says := s.says
	go func() { says <- task(context.Background(), s) }()
	s.wait()
}

// goOn lets the next command through; lost and stopped end the server with it.
func (s *playing) goOn() {
	s.w.commands++
	s.may <- true
	s.wait()
}

// wait until the server asks for its next command, or has ended its task.
func (s *playing) wait() {
	err := <-s.says
	if err == errAsks { //nolint:errorlint // it is this very one
		return
	}
	s.busy = false
	s.w.note("%s ends: %v", s.name, err)
	if s.way.isCut() {
		s.w.killed++
		s.start()
	} else if err != nil && !expectedOf(err) {
		s.w.Errorf("%s: %v (%s)", s.name, err, errs.CodeOf(err))
	}
}

// expectedOf reports whether an error is what any caller must expect of others.
// FerretDB has no code for a unique key that an update has met.
func expectedOf(err error) bool {
	return strings.Contains(err.Error(), "UNIQUE constraint failed") || slices.Contains([]errs.Code{
		errs.CodeHookNotActive, errs.CodeDeadlineReached, errs.CodeQuantityReached, errs.CodeAlreadyAsked, errs.CodePeerBusy,
		errs.CodeConflict, errs.CodeBytesReached, errs.CodeRateLimited, errs.CodeNotFound, errs.CodeBoundExceeded,
	}, errs.CodeOf(err))
}

// next is one turn.
func (w *interleaved) next() {
	if w.one(6) {
		w.now = w.now.Add([]time.Duration{time.Millisecond, time.Second, 20 * time.Second, 70 * time.Second}[w.chance.IntN(4)])
	}
	s := w.servers[w.chance.IntN(len(w.servers))]
	switch {
	case s.asleep > 0:
		s.asleep--
		return
	case !s.busy:
		s.begin(w.task())
	case w.one(12):
		s.asleep = w.chance.IntN(25)
	case w.one(40):
		s.way.Cut(0, w.one(2))
		s.goOn()
	default:
		s.goOn()
	}
	w.checkNow()
}

// end wakes everybody, or lets them die, and recovers; sometimes once more in between.
func (w *interleaved) end() {
	if w.one(2) {
		w.recover()
	}
	for slices.ContainsFunc(w.servers, func(s *playing) bool { return s.busy }) {
		s := w.servers[w.chance.IntN(len(w.servers))]
		if s.busy {
			s.goOn()
			w.checkNow()
		}
	}
	w.recover()
	w.checkAtRest()
}

func (w *interleaved) recover() {
	w.now = w.now.Add(24 * time.Hour)
	w.note("recovery")
	if err := w.collector(w.base, 0).Recover(w.Context()); err != nil {
		w.Errorf("recover: %v", err)
	}
	w.checkNow()
}

func (w *interleaved) collector(d *DB, ahead time.Duration) *collector.Collector {
	now := w.now.Add(ahead)
	return &collector.Collector{
		Activations: d, Jobs: d, Queries: d, Repairs: d, Peers: d, Sender: nobody{}, Now: func() time.Time { return now },
	}
}

// approve stores the versions, which no schedule changes.
func (w *interleaved) approve() {
	for n := range 3 {
		v := versionDoc{Digest: digestOf(n), Hook: "taint", Number: int64(n + 1), State: hooks.StateApproved}
		_, err := w.base.versions.InsertOne(w.Context(), v)
		noError(w.T, err)
	}
}

func digestOf(n int) string { return "v" + strconv.Itoa(n) }

// fresh is the beginning of a schedule.
func (w *interleaved) fresh(chance *rand.Rand) {
	for _, c := range []*mongo.Collection{w.base.activations, w.base.jobs, w.base.problems, w.base.results, w.base.audit} {
		_, err := c.DeleteMany(w.Context(), m{})
		noError(w.T, err)
	}
	w.chance, w.now, w.trace, w.asked = chance, noon, nil, nil
	w.leased, w.sent, w.settled, w.reported, w.won = map[string]bool{}, map[string]bool{}, map[string]hooks.Outcome{}, map[string]bool{}, map[string]bool{}
	for _, s := range w.servers {
		s.asleep, s.ahead = 0, time.Duration(w.chance.IntN(7)-3)*time.Second
	}
	for n := range 2 {
		noError(w.T, w.base.Activate(w.Context(), w.activation(n), hooks.StateApproved, w.grant(auth.HooksActivate)))
	}
}

// activation has bounds that are soon met.
func (w *interleaved) activation(n int) hooks.Activation {
	return hooks.Activation{
		Digest: digestOf(n), Hook: "taint", Keys: []string{"k"}, Quantity: int64(1 + w.chance.IntN(5)), MaxBytes: 12,
		Deadline: w.now.Add(time.Duration(1+w.chance.IntN(4)) * time.Minute), CreatedAt: w.now, ChangedAt: w.now,
	}
}

func (w *interleaved) grant(p auth.Permission) auth.Grant {
	return acting{w.T, w.base, w.Context()}.grant(p)
}

// id is the next of a rising sequence of ids.
func (w *interleaved) id() string {
	w.ids++
	return fmt.Sprintf("%06d", w.ids)
}

// task draws what a server does next.
func (w *interleaved) task() (string, func(context.Context, *playing) error) {
	switch n := w.chance.IntN(20); {
	case n < 6 || len(w.asked) == 0:
		return w.ask()
	case n < 11:
		return w.answer()
	case n < 12:
		return "recover leases", recoverAll(w.now)
	case n < 14:
		whole := w.one(3)
		return "sweep", func(ctx context.Context, s *playing) error {
			c := w.collector(s.db, s.ahead)
			if whole {
				return c.Recover(ctx)
			}
			return c.Sweep(ctx)
		}
	case n < 16:
		return w.mend()
	case n < 18:
		return w.report()
	}
	return w.person()
}

// ask leases and sends, and sometimes has the answer at once.
func (w *interleaved) ask() (string, func(context.Context, *playing) error) {
	j := jobs.Job{
		ID: w.id(), PeerID: "p" + strconv.Itoa(w.chance.IntN(2)), Workload: jobs.WorkHook, Status: jobs.Pending, CreatedAt: w.now,
		Deadline: w.now.Add(time.Minute), OriginalID: strconv.Itoa(w.chance.IntN(4)), Hook: "taint", Version: digestOf(w.chance.IntN(2)),
	}
	if d, err := w.base.activeOf(w.Context(), "taint"); err == nil && d.Digest != "" && !w.one(5) {
		j.Version = d.Digest
	}
	w.asked = append(w.asked, j)
	now := w.now
	return "ask " + j.ID, func(ctx context.Context, s *playing) error {
		if err := s.db.Lease(ctx, j, now.Add(s.ahead)); err != nil {
			return err
		}
		w.leased[j.ID] = true
		return w.send(ctx, s, j.ID, now)
	}
}

func (w *interleaved) send(ctx context.Context, s *playing, id string, now time.Time) error {
	first, err := s.db.MarkSent(ctx, id, now)
	if err == nil && first && w.sent[id] {
		w.Errorf("job %s was sent twice", id)
	}
	w.sent[id] = w.sent[id] || first
	return err
}

// answer settles one of the last jobs, as an upload does or without one.
func (w *interleaved) answer() (string, func(context.Context, *playing) error) {
	known, err := w.base.Jobs(w.Context(), jobs.Filter{Workload: jobs.WorkHook, Limit: 4})
	if noError(w.T, err); len(known) == 0 {
		return w.ask()
	}
	j := known[w.chance.IntN(len(known))]
	for _, other := range known {
		if other.Status == jobs.Pending && !w.one(4) {
			j = other
		}
	}
	o := []hooks.Outcome{hooks.OutcomeReceived, hooks.OutcomeReceived, hooks.OutcomeReceived, hooks.OutcomeEmpty, hooks.OutcomeFailed}[w.chance.IntN(5)]
	n, now, gives, uploads := int64(1+w.chance.IntN(8)), w.now, w.one(3), w.one(2)
	decision := jobs.Decision{Status: jobs.StatusOf(o), Outcome: o}
	var r *collector.Result
	if o == hooks.OutcomeReceived {
		r = &collector.Result{ID: j.ID, JobID: j.OriginalID, Version: j.Version, Fields: make([]byte, n), Bytes: n, CreatedAt: now}
	}
	return fmt.Sprintf("answer %s %s %d, uploads %v, gives back %v", j.ID, o, n, uploads, gives), func(ctx context.Context, s *playing) error {
		if r != nil && uploads {
			if err := s.db.Reserve(ctx, j.Version, j.ID, n); err != nil {
				return err
			}
			if gives {
				return s.db.Reserve(ctx, j.Version, j.ID, -n)
			}
		}
		got, err := s.db.Settle(ctx, j.ID, decision, r, now.Add(s.ahead))
		if err == nil {
			w.heard(j.ID, got, o)
		}
		return err
	}
}

// heard notes an answer: all who ask hear the same.
func (w *interleaved) heard(id string, got collector.Settlement, mine hooks.Outcome) {
	if got.OK && (w.won[id] || got.Job.Outcome != mine) {
		w.Errorf("job %s was settled as %s by one who came with %s, before that: %v", id, got.Job.Outcome, mine, w.won[id])
	}
	w.settled[id], w.won[id] = got.Job.Outcome, w.won[id] || got.OK
}

// recoverAll ends all leases without a job, however young.
func recoverAll(now time.Time) func(context.Context, *playing) error {
	return func(ctx context.Context, s *playing) error {
		leases, err := s.db.Leases(ctx, "", 100)
		if err != nil {
			return err
		}
		for _, l := range leases {
			lost := jobs.Job{
				ID: l.ID, Status: jobs.Failed, CreatedAt: l.TakenAt, CompletedAt: now, Outcome: hooks.OutcomeCancelled,
				FailedCode: string(errs.CodeLostLease), Version: l.Version,
			}
			if _, err := s.db.RecoverLease(ctx, lost, now); err != nil {
				return err
			}
		}
		return nil
	}
}

func (w *interleaved) mend() (string, func(context.Context, *playing) error) {
	before, limit := w.now.Add(time.Duration(w.chance.IntN(3)-1)*time.Second), 1+w.chance.IntN(4)
	return "mend", func(ctx context.Context, s *playing) error {
		_, err := s.db.Mend(ctx, before, limit)
		return err
	}
}

// report files one of a few reports, new or again.
func (w *interleaved) report() (string, func(context.Context, *playing) error) {
	n := w.chance.IntN(6)
	j := aReport("r"+strconv.Itoa(n), n%2, w.now)
	return "report " + j.ID, func(ctx context.Context, s *playing) error {
		_, err := s.db.AddReport(ctx, j, collector.ProblemOf(j))
		w.reported[j.ID] = w.reported[j.ID] || err == nil
		return err
	}
}

// person activates, or stops what is active or gives it new bounds.
func (w *interleaved) person() (string, func(context.Context, *playing) error) {
	a := w.activation(w.chance.IntN(3))
	activate, disable := w.grant(auth.HooksActivate), w.grant(auth.HooksDisable)
	from, now, bounds := hooks.StateApproved, w.now, w.one(2)
	to := []hooks.State{hooks.StateDisabled, hooks.StatePaused}[w.chance.IntN(2)]
	if have, err := w.base.Activation(w.Context(), a.Digest); err == nil {
		from = have.State
	}
	return fmt.Sprintf("person finds %s %s", a.Digest, from), func(ctx context.Context, s *playing) error {
		if from == hooks.StateActive && !bounds {
			return s.db.Stop(ctx, a.Digest, from, to, "enough", now, disable)
		}
		return s.db.Activate(ctx, a, from, activate)
	}
}
