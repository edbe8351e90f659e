package mongo

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/store"
)

// maxTries bounds how often an update is tried again because its document
// changed between a look and the update.
const maxTries = 32

// step is one conditional update of an intent. A stop before or after it
// leaves what Recover can put right.
type step func(context.Context) error

func run(ctx context.Context, steps []step) error {
	for _, s := range steps {
		if err := s(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Lease takes a lease and stores its job, in this order: a lease without a job
// is what Leases lists and RecoverLease ends.
func (d *DB) Lease(ctx context.Context, j jobs.Job, now time.Time) error {
	if err := fits(newJobDoc(j, 0), "job "+j.ID); err != nil { // before there is a lease
		return err
	}
	return run(ctx, d.leaseSteps(j, now))
}

func (d *DB) leaseSteps(j jobs.Job, now time.Time) []step {
	j.Workload, j.Status = jobs.WorkHook, jobs.Pending
	return []step{
		func(ctx context.Context) error { return d.takeLease(ctx, j.Version, j.ID, now) },
		func(ctx context.Context) error { return d.addHookJob(ctx, j) },
	}
}

// leaseField is where an activation keeps a lease, or a part of one.
func leaseField(id string, part ...string) string {
	return strings.Join(append([]string{"leases", id}, part...), ".")
}

// nameable reports whether an id can name a field. The ids of leases are made
// by the server; no other ever is one.
func nameable(id string) bool {
	return id != "" && !strings.ContainsAny(id, ".$\x00") && utf8.ValidString(id)
}

// takeLease adds the lease and counts it, where the activation is active,
// before its deadline, and has one to give.
func (d *DB) takeLease(ctx context.Context, version, lease string, now time.Time) error {
	if !nameable(lease) {
		return errs.New(errs.CodeBadInput, "cannot take lease %q: this is no id", lease)
	}
	filter := m{
		{Key: "_id", Value: version},
		{Key: "state", Value: hooks.StateActive},
		{Key: "deadline", Value: m{{Key: "$gt", Value: now}}},
		{Key: "open", Value: m{{Key: "$gt", Value: 0}}},
		{Key: "ledger.leased", Value: m{{Key: "$lt", Value: hooks.MaxLeasesOut}}},
		{Key: leaseField(lease), Value: m{{Key: "$exists", Value: false}}},
	}
	update := m{
		{Key: "$inc", Value: m{{Key: "ledger.issued", Value: 1}, {Key: "ledger.leased", Value: 1}, {Key: "open", Value: -1}}},
		{Key: "$set", Value: m{{Key: leaseField(lease), Value: leaseDoc{TakenAt: now}}}},
	}
	for range maxTries {
		ok, err := d.change(ctx, d.activations, filter, update)
		if err != nil || ok {
			return err
		}
		if err := d.whyNoLease(ctx, version, lease, now); err != nil {
			return err
		}
	}
	return busy(version)
}

// busy answers where a document changed faster than it could be looked at.
func busy(version string) error { return busyOf("version", version) }

func busyOf(what, id string) error {
	return errs.New(errs.CodeUnavailable, "cannot change %s %s: too many others do", what, id).WithHint("try again")
}

// whyNoLease names the condition that a refused lease met first, nil where
// none is met any more.
func (d *DB) whyNoLease(ctx context.Context, version, lease string, now time.Time) error {
	doc, err := d.activationDoc(ctx, version)
	if errs.Is(err, errs.CodeNotFound) {
		return store.NeverActivated(version)
	}
	if err == nil {
		err = collector.WhyNoLease(doc.activation(), now)
	}
	if _, taken := doc.Leases[lease]; err == nil && taken {
		return store.LeaseTaken(lease)
	}
	return err
}

// addHookJob stores the job of a lease that is out. One command offers it in
// each of its peer's places, unordered: the unique keys let at most one in.
func (d *DB) addHookJob(ctx context.Context, j jobs.Job) error {
	var offers []any
	for n := range jobs.MaxHooksPerPeer {
		offers = append(offers, newJobDoc(j, n))
	}
	for range maxTries {
		r, err := d.jobs.InsertMany(ctx, offers, options.InsertMany().SetOrdered(false))
		if r != nil && len(r.InsertedIDs) > 0 && duplicatesOnly(err) {
			return nil
		}
		if err != nil && !duplicatesOnly(err) {
			return d.failed(err)
		}
		if settled, err := d.whyNoJob(ctx, j); settled || err != nil {
			return err
		}
	}
	return busy(j.Version)
}

// duplicatesOnly reports whether unique keys, and nothing else, stood in the
// way of some documents.
func duplicatesOnly(err error) bool {
	if err == nil {
		return true
	}
	var e mongo.BulkWriteException
	if !errors.As(err, &e) || e.WriteConcernError != nil {
		return false
	}
	return !slices.ContainsFunc(e.WriteErrors, func(w mongo.BulkWriteError) bool { return !duplicate(w.WriteError) })
}

// whyNoJob says what stood in the way of a job and gives its lease back,
// uncounted. stored is true where it is there after all: the driver sent it
// twice. Neither means that what was in the way has gone.
func (d *DB) whyNoJob(ctx context.Context, j jobs.Job) (stored bool, err error) {
	there, err := one[jobDoc](ctx, d, d.jobs, byID(j.ID), jobAlone())
	switch {
	case err != nil && !none(err):
		return false, err
	case err == nil && sameAsked(there, j):
		return true, nil
	case err == nil:
		return false, d.takeBack(ctx, j, store.JobTaken(j.ID))
	}
	return false, d.obstacle(ctx, j)
}

// sameAsked reports whether a stored job is this very one.
func sameAsked(there jobDoc, j jobs.Job) bool {
	return there.Workload == jobs.WorkHook && there.Status == jobs.Pending && there.PeerID == j.PeerID && there.Version == j.Version &&
		there.OriginalID == j.OriginalID && there.CreatedAt.UnixMilli() == j.CreatedAt.UnixMilli()
}

// obstacle is what else keeps a job out: its slot, or its peer's places.
func (d *DB) obstacle(ctx context.Context, j jobs.Job) error {
	_, err := one[jobDoc](ctx, d, d.jobs, m{{Key: "slot", Value: slotOf(j)}}, jobAlone())
	if err == nil {
		return d.takeBack(ctx, j, store.AlreadyAsked(j.Version, j.OriginalID))
	}
	if !none(err) {
		return err
	}
	var places []string
	for n := range jobs.MaxHooksPerPeer {
		places = append(places, placeOf(j, n))
	}
	in, err := list[jobDoc](ctx, d, d.jobs, m{{Key: "place", Value: m{{Key: "$in", Value: places}}}}, m{{Key: "place", Value: 1}},
		jobs.MaxHooksPerPeer, m{{Key: "place", Value: 1}})
	if err != nil || len(in) < jobs.MaxHooksPerPeer {
		return err
	}
	return d.takeBack(ctx, j, store.PeerBusy(j.PeerID, int64(len(in))))
}

// takeBack undoes a lease whose job was refused. One that was given up for
// lost meanwhile stays, for a job stands for it.
func (d *DB) takeBack(ctx context.Context, j jobs.Job, why error) error {
	_, err := d.change(ctx, d.activations,
		m{
			{Key: "_id", Value: j.Version},
			{Key: leaseField(j.ID, "reserved"), Value: 0},
			{Key: leaseField(j.ID, "lost"), Value: m{{Key: "$exists", Value: false}}},
		},
		m{
			{Key: "$inc", Value: m{{Key: "ledger.issued", Value: -1}, {Key: "ledger.leased", Value: -1}, {Key: "open", Value: 1}}},
			{Key: "$unset", Value: m{{Key: leaseField(j.ID), Value: ""}}},
		})
	if err != nil {
		return err
	}
	return why
}

// Reserve adds n bytes to a lease where what is settled and reserved leaves
// room for them. A negative n gives back what an upload that was cut had
// reserved, at most all of it; nothing once a Settle builds on it, perhaps that
// of another upload: then it ends with the lease.
func (d *DB) Reserve(ctx context.Context, version, lease string, n int64) error {
	switch {
	case n > hooks.MaxInteger || n < -hooks.MaxInteger:
		return store.NoReservation(n)
	case !nameable(lease):
		return store.NoLease(lease)
	}
	for range maxTries {
		if n >= 0 {
			_, err := d.reserve(ctx, version, lease, n)
			if err == nil || !none(err) {
				return err
			}
		}
		if done, err := d.reserveExactly(ctx, version, lease, n); done || err != nil {
			return err
		}
	}
	return busy(version)
}

// reserve counts n more bytes for a lease, where it meets the conditions;
// none(err) where there is no such lease or no room.
func (d *DB) reserve(ctx context.Context, version, lease string, n int64, also ...condition) (activationDoc, error) {
	return changed[activationDoc](ctx, d, d.activations, reservable(version, lease, n, also), m{reservation(lease, n)})
}

// reserveToSettle is reserve for a Settle: from then on nothing is given back.
func (d *DB) reserveToSettle(ctx context.Context, version, lease string, n int64, also ...condition) (activationDoc, error) {
	return changed[activationDoc](ctx, d, d.activations, reservable(version, lease, n, also),
		m{reservation(lease, n), {Key: "$set", Value: m{{Key: leaseField(lease, "settling"), Value: true}}}})
}

func reservable(version, lease string, n int64, also []condition) m {
	return append(m{
		{Key: "_id", Value: version},
		{Key: leaseField(lease), Value: m{{Key: "$exists", Value: true}}},
		{Key: "room", Value: m{{Key: "$gte", Value: n}}},
	}, also...)
}

func reservation(lease string, n int64) condition {
	return condition{Key: "$inc", Value: m{
		{Key: leaseField(lease, "reserved"), Value: n}, {Key: "ledger.reserved", Value: n}, {Key: "room", Value: -n},
	}}
}

// reserveExactly looks at what the lease has. done is false where it changed
// meanwhile.
func (d *DB) reserveExactly(ctx context.Context, version, lease string, n int64) (done bool, err error) {
	doc, err := d.activationDoc(ctx, version)
	l, out := doc.Leases[lease]
	switch {
	case errs.Is(err, errs.CodeNotFound), err == nil && !out:
		return false, store.NoLease(lease)
	case err != nil:
		return false, err
	case n > doc.Room:
		return false, collector.WhyNoBytes(doc.activation(), l.Reserved+n)
	case n < 0 && l.Settling:
		return true, nil
	}
	n = max(n, -l.Reserved)
	same := []condition{{Key: leaseField(lease, "reserved"), Value: l.Reserved}}
	if n < 0 {
		same = append(same, condition{Key: leaseField(lease, "settling"), Value: m{{Key: "$exists", Value: false}}})
	}
	_, err = d.reserve(ctx, version, lease, n, same...)
	if none(err) {
		return false, nil
	}
	return err == nil, err
}

// Leases lists the leases that are out, by id, those above after. They stand
// in their activations, of which few have any.
func (d *DB) Leases(ctx context.Context, after string, limit int) ([]collector.Lease, error) {
	docs, err := list[activationDoc](ctx, d, d.activations, m{{Key: "ledger.leased", Value: m{{Key: "$gt", Value: 0}}}},
		m{{Key: "ledger.leased", Value: 1}}, store.MaxRepair, m{{Key: "leases", Value: 1}})
	if err != nil {
		return nil, err
	}
	var out []collector.Lease
	for _, doc := range docs {
		out = append(out, doc.leases(after)...)
	}
	slices.SortFunc(out, func(a, b collector.Lease) int { return strings.Compare(a.ID, b.ID) })
	return out[:min(len(out), store.Page(limit, store.MaxRepair))], nil
}

// leases are those with an id above after.
func (d activationDoc) leases(after string) []collector.Lease {
	var out []collector.Lease
	for id, l := range d.Leases {
		if id > after {
			out = append(out, collector.Lease{ID: id, Version: d.Digest, Reserved: l.Reserved, TakenAt: l.TakenAt})
		}
	}
	return out
}
