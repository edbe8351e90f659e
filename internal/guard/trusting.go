package guard

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"hookline/internal/errs"
	"hookline/internal/guardwire"
	"hookline/signing"
	"hookline/signing/trust"
)

// How many bundles are looked at: each costs signatures to verify, and a
// refused one a line in a record that only holds so many.
const (
	bundlesEvery = time.Second
	bundlesBurst = 60
)

// errForgetful is why no hook runs where more is revoked than fits.
func errForgetful() error {
	return errs.New(errs.CodeRevoked, "cannot run a hook: more is revoked in this deployment than the %d that this machine can remember", maxRemembered).
		WithHint("found a new deployment, and enrol this machine with a state folder of its own")
}

// onTrust takes trust metadata from the network side. The bytes that were
// taken or refused last cost nothing when they come again; everything else is
// verified, at a bounded rate.
func (g *Guard) onTrust(ctx context.Context, b []byte) error {
	digest := sha256.Sum256(b)
	g.mu.Lock()
	if digest == g.taken || digest == g.turnedDown {
		g.mu.Unlock()
		return nil
	}
	err := g.takeTrust(b)
	switch {
	case err == nil:
		g.taken = digest
	case errs.CodeOf(err) == errs.CodeInternal || errs.Is(err, errs.CodeStorageFull):
		// Ours: it may go well when it comes again.
		g.opts.Log.Error("cannot keep trust metadata", "error", err)
	default:
		g.turnedDown = digest
		g.opts.Log.Warn("trust metadata is refused; what was known stays in force", "code", string(errs.CodeOf(err)), "error", err)
		g.noteForeign(Entry{
			Kind: KindTrust, Decision: "refused", Code: string(errs.CodeOf(err)), Reason: reasonOf(err),
			Digest: fmt.Sprintf("%x", digest), Trust: noteOf(g.trusted, 0),
		})
	}
	g.mu.Unlock()
	return g.bundles.Wait(ctx)
}

// takeTrust verifies a bundle against what is known and lets it count.
func (g *Guard) takeTrust(b []byte) error {
	bundle, err := trust.ParseBundle(b)
	if err != nil {
		return err
	}
	next, err := g.trusted.Update(bundle)
	if err != nil {
		return err
	}
	if next == g.trusted {
		return nil
	}
	if err := g.pin.accepts(next); err != nil {
		return err
	}
	return g.adopt(next)
}

// adopt puts newer metadata on disk, and then lets it count: runs that do not
// verify any more are stopped, and nobody is asked about them. What is revoked
// counts also where the disk is full.
func (g *Guard) adopt(next *trust.Trusted) error {
	before := g.trusted
	if err := g.keepTrust(next); err != nil {
		if list := next.Revoked().List(); len(list) > before.Revoked().Len() {
			g.trusted = before.Remember(list...)
			g.stopUnverified()
		}
		return err
	}
	g.trusted = next
	added := next.Revoked().Len() - before.Revoked().Len()
	asks, grants := 0, 0
	err := g.ledger.update(func(s *State) { asks, grants = s.dropRevoked(next.Revoked()) })
	entry := Entry{Kind: KindTrust, Decision: "taken", Trust: noteOf(next, added), Reason: whatIsNew(before, next)}
	if asks+grants > 0 {
		entry.Reason += fmt.Sprintf("; %d questions to the owner and %d of the owner's yeses went with it", asks, grants)
	}
	g.note(entry)
	g.stopUnverified()
	g.sendLocked(g.stateMessage())
	return err
}

// keepTrust writes what was revoked first: a crash in between leaves more
// revoked, never less.
func (g *Guard) keepTrust(next *trust.Trusted) error {
	known := g.remembered
	// Held against the disk: what a full one refused counts in memory already.
	if next.Revoked().Len() > len(known.of(g.pin.Anchor.Deployment).List) {
		var err error
		if known, err = known.with(g.pin.Anchor.Deployment, next.Revoked()); err != nil {
			return err
		}
		if err := known.save(g.opts.Dir); err != nil {
			return err
		}
	}
	if err := saveTrusted(g.opts.Dir, next); err != nil {
		return err
	}
	g.remembered = known
	return nil
}

// keepRevoked writes what a full disk refused when it came: nobody may ever say
// it again.
func (g *Guard) keepRevoked() {
	of := g.remembered.of(g.pin.Anchor.Deployment)
	if of.Full || g.trusted.Revoked().Len() <= len(of.List) {
		return
	}
	known, err := g.remembered.with(g.pin.Anchor.Deployment, g.trusted.Revoked())
	if err == nil {
		err = known.save(g.opts.Dir)
	}
	if err != nil {
		g.opts.Log.Error("cannot keep what is revoked", "error", err)
		return
	}
	g.remembered = known
}

// stopUnverified stops the runs that the metadata in force does not let happen
// any more.
func (g *Guard) stopUnverified() {
	for _, r := range g.running {
		if err := g.stillVerified(r.q); err != nil {
			r.cancel(err)
		}
	}
}

// stillVerified verifies a run again that was let happen under other metadata.
func (g *Guard) stillVerified(q *inquiry) error {
	if q.trusted == g.trusted {
		return nil
	}
	if g.remembered.of(g.pin.Anchor.Deployment).Full {
		return errForgetful()
	}
	_, err := g.trusted.Rules(g.floor(), g.now()).Verify(q.run.Script, q.run.Statement, q.run.Signatures)
	return err
}

// floor is the time that has passed for sure.
func (g *Guard) floor() time.Time { return g.raise(g.ledger.now.Floor).At }

func (g *Guard) raise(f Floor) Floor { return f.raised(g.opts.Boot(), g.trusted.Floor(g.now())) }

// noteOf is what a line says of metadata.
func noteOf(t *trust.Trusted, added int) *TrustNote {
	versions := t.Versions()
	return &TrustNote{
		Root: versions["root"], Timestamp: versions["timestamp"], Revocations: t.RevocationsVersion(), Policy: t.Policy().Digest, New: added,
	}
}

// maxToldRevocations bounds how many of them a line names.
const maxToldRevocations = 10

// whatIsNew tells the difference for people.
func whatIsNew(before, next *trust.Trusted) string {
	text := "fresh metadata"
	was, is := noteOf(before, 0), noteOf(next, 0)
	if was.Root != is.Root {
		text += fmt.Sprintf(", root version %d", is.Root)
	}
	if was.Policy != is.Policy {
		text += ", another policy"
	}
	told, known := 0, before.Revoked()
	for _, r := range next.Revoked().List() {
		if _, old := known.Find(r.Kind, r.Value); old {
			continue
		}
		if told++; told <= maxToldRevocations {
			text += fmt.Sprintf("; %s revoked %s (%s)", r.By, r.ID(), r.Reason)
		}
	}
	if told > maxToldRevocations {
		text += fmt.Sprintf("; and %d more revocations", told-maxToldRevocations)
	}
	return text
}

// The levels of warnings about metadata that grows old.
const (
	levelWarn = iota + 1
	levelAlarm
	levelStale
)

func levelOf(share float64) int {
	switch {
	case share >= 1:
		return levelStale
	case share >= trust.AlarmShare:
		return levelAlarm
	case share >= trust.WarnShare:
		return levelWarn
	}
	return 0
}

// warnOld says once for each level that the metadata grows old, in the log and
// in the record.
func (g *Guard) warnOld() {
	f := g.freshness()
	level, last := levelOf(f.Share), g.warned
	if last.Expires.Equal(f.Expires) && level <= last.Level || level == 0 {
		return
	}
	g.warned = Warned{Expires: f.Expires, Level: level}
	text := fmt.Sprintf("%.0f %% of the life of the trust metadata's %s has passed; it ends on %s", 100*f.Share, f.Role, f.Expires.UTC().Format(time.RFC3339))
	e := Entry{Kind: KindTrust, Decision: "old", Reason: text, Trust: noteOf(g.trusted, 0)}
	if level == levelStale {
		e.Code, e.Reason = string(errs.CodeTrustStale), fmt.Sprintf("the trust metadata's %s ended on %s: no hook runs", f.Role, f.Expires.UTC().Format(time.RFC3339))
	}
	words := "trust metadata grows old"
	if level == levelStale {
		words = "trust metadata is too old: no hook runs"
	}
	g.opts.Log.Warn(words, "role", f.Role, "expires", f.Expires, "share", f.Share)
	g.note(e)
	if err := g.ledger.update(func(s *State) { s.Warned = g.warned }); err != nil {
		g.opts.Log.Error("cannot note a warning", "error", err)
	}
}

// freshness is held against the later of the clock and the time that has
// passed for sure.
func (g *Guard) freshness() trust.Freshness {
	at := g.now()
	if floor := g.floor(); floor.After(at) {
		at = floor
	}
	return g.trusted.Freshness(at)
}

// floorEvery is how often the floor is put on disk where nothing else is
// written: a power cut costs so much of it at most.
const floorEvery = time.Hour

// tend does what time asks for: warnings, and the floor on disk.
func (g *Guard) tend() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.warnOld()
	g.keepRevoked()
	if err := g.record.SumUp(sumEvery); err != nil {
		g.opts.Log.Error("cannot write to the record", "error", err)
	}
	if now := g.raise(g.ledger.now.Floor); now.At.Sub(g.ledger.now.Floor.At) < floorEvery {
		return
	}
	if err := g.ledger.update(func(*State) {}); err != nil {
		g.opts.Log.Error("cannot write how far time has come", "error", err)
	}
}

// trusting is what is trusted now, for the owner.
func (g *Guard) trusting() guardwire.Trusting {
	note, f, roots := noteOf(g.trusted, 0), g.freshness(), g.trusted.Bundle().Roots
	t := guardwire.Trusting{
		RootDigest: trust.Digest(roots[len(roots)-1]), RootVersion: note.Root, PolicyDigest: note.Policy,
		Revocations: g.trusted.Revoked().Len(), RevocationsVersion: note.Revocations,
		Role: f.Role, Expires: f.Expires, Share: f.Share, Floor: g.floor(),
	}
	err := g.trusted.CheckFresh(g.floor(), g.now())
	if g.remembered.of(g.pin.Anchor.Deployment).Full {
		err = errForgetful()
	}
	if err != nil {
		t.Refusal = err.Error()
	}
	return t
}

// openTrust loads what is trusted and lets it count for what waits here.
func (g *Guard) openTrust() (err error) {
	if g.remembered, err = loadRemembered(g.opts.Dir); err != nil {
		return err
	}
	if g.trusted, err = loadTrusted(g.opts.Dir, g.pin, g.remembered); err != nil {
		return err
	}
	if b, err := g.trusted.Bundle().Encode(); err == nil {
		g.taken = sha256.Sum256(b)
	}
	g.ledger.raise, g.warned = g.raise, g.ledger.now.Warned
	revoked := g.trusted.Revoked()
	if err := g.ledger.update(func(s *State) { s.dropRevoked(revoked) }); err != nil {
		// A full disk must not keep reports from being sent. No hook runs then.
		g.opts.Log.Error("cannot write how far time has come", "error", err)
		g.ledger.now.Floor = g.raise(g.ledger.now.Floor)
	}
	return nil
}

// keysOf are the keys whose signatures let a version run.
func keysOf(s signing.Standing) []string {
	keys := []string{string(s.Author.KeyID)}
	for _, r := range s.Reviewers {
		keys = append(keys, string(r.KeyID))
	}
	return keys
}

// Reset sets the run counts and the highest versions back, and nothing else:
// what people signed can run here again as if for the first time. It is for
// who may open the folder while no guard runs, and it is recorded.
func (g *Guard) Reset(uid int) (versions, hooks int, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.serving || g.link != nil {
		return 0, 0, errs.New(errs.CodeStateHeld, "cannot reset the run counts while the guard runs").WithHint("stop hookline-peer run first")
	}
	s := g.ledger.now
	e := Entry{Kind: KindReset, UID: &uid, Reason: fmt.Sprintf("the run counts of %d versions and the highest versions of %d hooks", len(s.Versions), len(s.Highest))}
	if err := g.record.Append(e); err != nil {
		return 0, 0, err
	}
	err = g.ledger.update(func(s *State) { s.Versions, s.Highest = map[string]Count{}, map[string]int64{} })
	return len(s.Versions), len(s.Highest), err
}

// Counts says what Reset would set back.
func (g *Guard) Counts() (versions, hooks int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.ledger.now.Versions), len(g.ledger.now.Highest)
}
