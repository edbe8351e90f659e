// Package guard is the half of hookline-peer that decides. It has no network:
// it holds the pinned trust anchor and policy, the run counters, the owner's
// opt-ins and the record of what ran and what left; it verifies the raw bytes
// of every hook job again, starts the sandbox, and hands the network side
// nothing but reports that local users filed and results that it checked.
//
// What people signed offline reaches it as a bundle of metadata, which it
// verifies from its pinned root on (package trust). Nothing of that goes back:
// every revocation that was ever seen, the newest metadata and a floor of
// trusted time are on disk before they count, over crashes, restarts and
// enrolments, whatever the clock says. Only a copy of the whole folder that
// somebody puts back over it cannot be told from the real one.
//
// The other half (package peer) talks to the server and is started by the
// guard as its child; whatever it says is hostile input (Serve). The owner's
// commands come over a unix socket (Listen).
//
// Order is what makes the record worth something: a decision is in the record
// before anything about it leaves, a run is counted on disk before it starts,
// and a report or result is on disk before anybody is told that it is kept.
package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"hookline/hooks"
	"hookline/internal/guardwire"
	"hookline/sandbox"
	"hookline/signing/trust"

	"golang.org/x/time/rate"
)

// Sandbox runs one verified hook.
type Sandbox interface {
	Run(ctx context.Context, t sandbox.Task) (sandbox.Outcome, error)
}

// Setting is what one run's sandbox is to be made with.
type Setting struct {
	Filer   sandbox.Filer // who filed the report
	Without []string      // layers of the confinement that the owner accepts to miss
	Deny    []string      // besides what the peer has on disk: the network side's entry in /proc
}

// Options are what a guard is given.
type Options struct {
	Dir     string // the guard's own folder
	Facts   hooks.Facts
	Redact  sandbox.Redaction
	Sandbox func(Setting) Sandbox
	Now     func() time.Time
	Boot    func() Boot // nil is the kernel's
	Log     *slog.Logger
	// OnConnected is called when the network side's stream opens; it must not block.
	OnConnected func()
}

// Guard decides about hook runs. Its methods may be called concurrently.
type Guard struct {
	opts   Options
	pin    Pin
	record *Record
	held   *os.File
	// refusals slows a server down that keeps sending what is refused: each
	// refusal is a line in a record that only holds so many.
	refusals *rate.Limiter
	bundles  *rate.Limiter // the same for trust metadata

	mu sync.Mutex
	// trusted is what people signed offline, the newest that was seen; it is on
	// disk, and so is what is remembered of revocations.
	trusted    *trust.Trusted
	remembered remembered
	taken      [32]byte // digests of the bundles that were taken and refused last
	turnedDown [32]byte
	warned     Warned
	config     Config
	unsaved    bool // the settings on disk are others
	ledger     *ledger
	shelf      *shelf
	outbox     *outbox
	running    map[string]*underWay
	recent     recentJobs
	link       *link
	connected  bool
	trouble    string
	serving    bool
	childPID   int
	filings    filings
	claims     claims

	runs sync.WaitGroup
}

// Open opens the guard's folder and locks it. Runs that were counted and
// never ended are ended now, as interrupted.
func Open(opts Options) (*Guard, error) {
	if !Enrolled(opts.Dir) {
		_, err := loadPin(opts.Dir)
		return nil, err
	}
	if err := prepare(opts.Dir); err != nil {
		return nil, err
	}
	held, err := lock(opts.Dir)
	if err != nil {
		return nil, err
	}
	g := &Guard{
		opts: opts, held: held, running: map[string]*underWay{},
		refusals: rate.NewLimiter(2, 300), bundles: rate.NewLimiter(rate.Every(bundlesEvery), bundlesBurst), trouble: "not started",
	}
	if g.opts.Boot == nil {
		g.opts.Boot = systemBoot()
	}
	if err := g.load(); err != nil {
		held.Close()
		return nil, err
	}
	return g, nil
}

func (g *Guard) load() (err error) {
	dir := g.opts.Dir
	if g.pin, err = loadPin(dir); err != nil {
		return err
	}
	if g.config, err = loadConfig(dir); err != nil {
		return err
	}
	if g.ledger, err = openLedger(dir); err != nil {
		return err
	}
	if err := g.openTrust(); err != nil {
		return err
	}
	if g.shelf, err = openShelf(dir); err != nil {
		return err
	}
	if g.outbox, err = openOutbox(dir); err != nil {
		return err
	}
	if g.record, err = OpenRecord(dir, g.ledger.now.Record, g.opts.Now); err != nil {
		return err
	}
	if err := g.recordFiled(); err != nil {
		return err
	}
	g.warnOld()
	return g.endInterrupted()
}

// Close waits for the runs under way to end, cancelled, and closes the folder.
func (g *Guard) Close() error {
	g.mu.Lock()
	for _, r := range g.running {
		r.cancel(errStopping)
	}
	g.mu.Unlock()
	g.runs.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	// The head that the state remembers is what finds a cut record.
	err := g.ledger.update(func(s *State) { s.Record = g.record.Head() })
	return errors.Join(err, g.record.Close(), g.held.Close())
}

// Pin is what this guard trusts.
func (g *Guard) Pin() Pin { return g.pin }

func (g *Guard) now() time.Time { return g.opts.Now().UTC() }

// setting is for who holds the lock.
func (g *Guard) setting(q *inquiry) Setting {
	s := Setting{Filer: q.original.filer(), Without: slices.Clone(g.config.Sandbox.AllowWithout)}
	if g.childPID != 0 {
		s.Deny = append(s.Deny, fmt.Sprintf("/proc/%d", g.childPID))
	}
	return s
}

// stateMessage is what the server may know about this peer.
func (g *Guard) stateMessage() guardwire.Message {
	return guardwire.Message{Kind: guardwire.KindState, State: &guardwire.State{
		Facts: g.opts.Facts, SendReports: g.config.SendReports, AllowHooks: g.config.AllowHooks, CA: g.trusted.CA(),
	}}
}

// filings limits how often each local user files reports: every report is a
// line in a record that only holds so many, and the record is the owner's.
type filings struct {
	users map[int]*rate.Limiter
}

const (
	filingsBurst = 30
	maxFilers    = 1000
)

func (f *filings) allow(uid int, now time.Time) bool {
	l, ok := f.users[uid]
	if !ok {
		if f.users == nil || len(f.users) >= maxFilers {
			f.users = map[int]*rate.Limiter{}
		}
		l = rate.NewLimiter(rate.Every(6*time.Second), filingsBurst)
		f.users[uid] = l
	}
	return l.AllowN(now, 1)
}

// recentJobs remembers the newest job ids that ended, so that a job sent twice
// is not run twice.
type recentJobs struct {
	seen  map[string]bool
	order []string
}

const maxRecent = 1024

func (r *recentJobs) add(id string) {
	if r.seen == nil {
		r.seen = map[string]bool{}
	}
	if r.seen[id] {
		return
	}
	if len(r.order) >= maxRecent {
		delete(r.seen, r.order[0])
		r.order = r.order[1:]
	}
	r.seen[id] = true
	r.order = append(r.order, id)
}
