package guard

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/guardwire"

	"github.com/google/uuid"
)

// fileReport keeps a report for the server: own copy, outbox, record, all on
// disk before the caller hears the id. Nobody sends while it holds the lock,
// so nothing leaves that the record does not have.
func (g *Guard) fileReport(caller Caller, req guardwire.Request) (guardwire.Reply, error) {
	if err := g.mayFile(caller, req.Report); err != nil {
		return guardwire.Reply{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return guardwire.Reply{}, err
	}
	k := Kept{
		ID: id.String(), UID: caller.UID, Source: cut(req.Source, 32),
		FiledAt: g.now().Truncate(time.Millisecond), Report: req.Report,
	}
	if err := g.shelf.add(k, g.pinned, !isOwner(caller)); err != nil {
		return guardwire.Reply{}, err
	}
	err = g.outbox.addReport(k.ID)
	if err == nil {
		err = g.recordReport(k)
	}
	if err != nil {
		g.takeBack(k.ID)
		return guardwire.Reply{}, err
	}
	g.pumpLocked()
	return guardwire.Reply{ID: k.ID}, nil
}

func (g *Guard) mayFile(caller Caller, r hooks.Report) error {
	if !g.config.SendReports {
		return errs.New(errs.CodeNotOptedIn, "cannot file the report: the owner has not allowed reports to be sent").
			WithHint("hookline-peer allow --send-reports=yes")
	}
	if !isOwner(caller) && !g.filings.allow(caller.UID, g.now()) {
		return errs.New(errs.CodeRateLimited, "cannot file the report: user %d files too many", caller.UID).
			WithHint("ten a minute are taken")
	}
	if len(r) == 0 {
		return errs.New(errs.CodeBadReport, "cannot file the report: it has no field").
			WithHint("a report is a JSON object of strings; ProblemType, Package and what the program said are a good start")
	}
	return r.Validate()
}

// takeBack removes what was kept of a report that could not be filed.
func (g *Guard) takeBack(id string) {
	if err := g.outbox.takeBack(id); err != nil {
		// The next start finds it, records it, and sends it after all.
		g.opts.Log.Error("cannot remove a report that could not be filed", "id", id, "error", err)
		return
	}
	g.shelf.drop(id)
}

// pinned reports whether an own copy must stay.
func (g *Guard) pinned(id string) bool { return g.outbox.reports[id] || g.ledger.now.pins(id) }

// maxRecordedNames bounds what a report's line in the record holds of the
// names of its fields, in bytes: the record only holds so much, and anybody
// may file reports.
const maxRecordedNames = 1024

// recordReport notes which fields leave; their values are in the own copy.
func (g *Guard) recordReport(k Kept) error {
	names, size := slices.Sorted(maps.Keys(k.Report)), 0
	for i, name := range names {
		if size += len(name); size > maxRecordedNames {
			names = append(names[:i:i], fmt.Sprintf("and %d more", len(names)-i))
			break
		}
	}
	fields, err := encode(names)
	if err != nil {
		return err
	}
	return g.record.Append(Entry{Kind: KindReport, JobID: k.ID, Decision: "filed", Reason: k.Source, Fields: fields, UID: &k.UID})
}

// recordFiled gives the reports in the outbox the lines that a crash kept them
// from: before they leave.
func (g *Guard) recordFiled() error {
	ids, err := g.record.unrecorded(g.outbox.reports)
	if err != nil {
		return err
	}
	for _, id := range ids {
		k, err := g.shelf.get(id)
		if err != nil {
			continue // it is dropped when it should leave, and that is recorded
		}
		if err := g.recordReport(k); err != nil {
			return err
		}
	}
	return nil
}
