package mongo

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.mongodb.org/mongo-driver/v2/bson"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/internal/wiretest"
	"hookline/review"
	"hookline/store/archive"
)

// exported is the archive of a store, and its lines.
func (a acting) exported() (file []byte, lines string, err error) {
	var b bytes.Buffer
	if _, err := archive.Export(a.ctx, a, &b, nil); err != nil {
		return nil, "", err
	}
	return b.Bytes(), plain(a.T, b.Bytes()), nil
}

// hookJob is a pending job of the hook for its own original.
func (a acting) hookJob(version string, n int) jobs.Job {
	a.Helper()
	original := aReport(rowID(n)+"-original", 1, noon)
	_, err := a.AddReport(a.ctx, original, collector.Problem{ID: original.ProblemID, Fingerprint: original.Fingerprint})
	noError(a.T, err)
	return jobs.Job{
		ID: rowID(n), PeerID: "peer", Workload: jobs.WorkHook, Status: jobs.Pending, CreatedAt: noon, Deadline: noon.Add(time.Minute),
		OriginalID: original.ID, Hook: "taint", Version: version,
	}
}

// Whatever a stopped server has left half done is whole in its archive.
func TestExportOfWhatWasLeft(t *testing.T) {
	a := acting{t, opened(t, wiretest.Address(t), Options{Now: func() time.Time { return noon }}), t.Context()}
	v := a.activation(hooks.Digest(nil), 1)
	a.activate(v, hooks.StateApproved)
	lost, decided, pending := a.hookJob(v.Digest, 0), a.hookJob(v.Digest, 1), a.hookJob(v.Digest, 2)
	noError(t, a.leaseSteps(lost, noon)[0](a.ctx))
	noError(t, a.Lease(a.ctx, decided, noon))
	noError(t, a.Lease(a.ctx, pending, noon))
	r := collector.Result{ID: decided.ID, JobID: decided.OriginalID, Hook: "taint", Version: v.Digest, Fields: []byte("{}"), Bytes: 2, CreatedAt: noon}
	settle := &settling{d: a.DB, id: decided.ID, decision: jobs.Decision{Status: jobs.Succeeded, Outcome: hooks.OutcomeReceived}, result: &r, now: noon}
	noError(t, run(a.ctx, settle.steps()[:2]))
	filing, err := a.newFiling(aReport("uncounted", 2, noon), collector.Problem{ID: aReport("uncounted", 2, noon).ProblemID})
	noError(t, err)
	noError(t, filing.store(a.ctx))

	file, lines, err := a.exported()
	noError(t, err)
	for _, want := range []string{
		`"ledger":{"bytes":2,"cancelled":1,"deferred":0,"empty":0,"failed":0,"issued":3,"leased":1,"received":1,`,
		`{"kind":"result","key":"b"`, `"outcome":"cancelled"`, `{"kind":"problem","count":2,`,
	} {
		if !strings.Contains(lines, want) {
			t.Errorf("the archive has no %s:\n%s", want, lines)
		}
	}
	b := acting{t, opened(t, wiretest.Address(t), Options{}), t.Context()}
	_, err = archive.Import(t.Context(), b, bytes.NewReader(file), archive.ImportOptions{}, nil)
	noError(t, err)
	s, err := b.Settle(t.Context(), pending.ID, jobs.Decision{Status: jobs.Failed, Outcome: hooks.OutcomeRefused}, nil, noon)
	if err != nil || !s.OK || s.Activation.Ledger.Refused != 1 {
		t.Errorf("settled after the move: %+v, %v", s, err)
	}
	noError(t, b.Lease(t.Context(), b.hookJob(v.Digest, 3), noon))
}

// Fields that a newer version has written are kept, as extended JSON.
func TestExportOfUnknownFields(t *testing.T) {
	a := newActing(t)
	noError(t, a.AddUser(a.ctx, auth.User{Name: "alice", CreatedAt: noon}, a.grant(auth.UsersManage)))
	_, err := a.change(a.ctx, a.users, byID("alice"), m{{Key: "$set", Value: m{
		{Key: "since", Value: noon}, {Key: "newer", Value: m{{Key: "z", Value: int64(1)}, {Key: "a", Value: bson.A{"<", nil, 1.5}}}},
	}}})
	noError(t, err)
	file, lines, err := a.exported()
	noError(t, err)
	want := `{"kind":"user","key":"alice","data":{"created_at":"2026-03-01T12:00:00.000Z","newer":{"a":["<",null,1.5],"z":1},"roles":[],"since":{"$date":"2026-03-01T12:00:00Z"}}}`
	if !strings.Contains(lines, want) {
		t.Errorf("got\n%s", lines)
	}
	b := acting{t, opened(t, wiretest.Address(t), Options{}), t.Context()}
	_, err = archive.Import(t.Context(), b, bytes.NewReader(file), archive.ImportOptions{}, nil)
	noError(t, err)
	again, _, err := b.exported()
	if err != nil || !bytes.Equal(again, file) {
		t.Errorf("after the way back it is another archive, %v", err)
	}
}

// What somebody is about to do is not exported half, and a token that was
// removed not at all.
func TestExportOfAStoreInUse(t *testing.T) {
	a := newActing(t)
	noError(t, a.AddToken(a.ctx, auth.Token{ID: "removed", Kind: auth.TokenLogin, Hash: [32]byte{1}, User: "alice", CreatedAt: noon, ExpiresAt: noon}, a.grant(auth.LoginCreate)))
	_, err := a.markRemoved(a.ctx, "removed", noon, "entry")
	noError(t, err)
	_, lines, err := a.exported()
	if err != nil || !strings.Contains(lines, `{"kind":"token","count":0,`) {
		t.Errorf("%v\n%s", err, lines)
	}
	filing, err := a.newFiling(aReport("soon", 2, time.Now().Add(time.Hour)), collector.Problem{ID: aReport("soon", 2, noon).ProblemID})
	noError(t, err)
	noError(t, filing.store(a.ctx))
	_, _, err = a.exported()
	a.want(err, errs.CodeConflict)
}

// A report that comes while the store is read may stand before what was read
// already: such an export is none.
func TestExportMeetsAReport(t *testing.T) {
	a := newActing(t)
	end, err := a.ArchiveBegin(a.ctx)
	noError(t, err)
	noError(t, end())
	end, err = a.ArchiveBegin(a.ctx)
	noError(t, err)
	report := aReport("new", 1, noon)
	_, err = a.AddReport(a.ctx, report, collector.ProblemOf(report))
	noError(t, err)
	a.want(end(), errs.CodeConflict)
}

// Whatever stands in the place of fields that were kept, it is no panic.
func TestExportOfDamagedFields(t *testing.T) {
	for _, kept := range []string{"null", "[]", "", "{"} {
		_, err := extraOf(bson.M{extraField: bson.Binary{Data: []byte(kept)}, "a": 1, "z": 1})
		if (err == nil) != (kept == "null") {
			t.Errorf("%q: %v", kept, err)
		}
	}
}

// Whatever stands in a field, or is missing, an export is refused or an import
// takes it; nothing panics or never ends.
func TestExportOfDamagedDocuments(t *testing.T) {
	golden, err := os.ReadFile(filepath.Join("..", "archive", "testdata", "small.ndjson.zst"))
	noError(t, err)
	a := newActing(t)
	_, err = archive.Import(a.ctx, a, bytes.NewReader(golden), archive.ImportOptions{}, nil)
	noError(t, err)
	v, err := one[versionDoc](a.ctx, a.DB, a.versions, m{})
	noError(t, err)
	noError(t, a.AddComment(a.ctx, review.Comment{ID: "c", Version: v.Digest, User: "alice", Text: "fine", At: noon}, a.grant(auth.HooksReview)))
	for _, c := range a.records() {
		var raw bson.Raw
		noError(t, c.FindOne(a.ctx, m{}).Decode(&raw))
		id := byID(raw.Lookup("_id").StringValue())
		elements, err := raw.Elements()
		noError(t, err)
		for i, e := range elements[1:] { // the id is the first
			change := []m{
				{{Key: "$unset", Value: m{{Key: e.Key(), Value: ""}}}},
				{{Key: "$set", Value: m{{Key: e.Key(), Value: bson.A{"null", nil}}}}},
				{{Key: "$set", Value: m{{Key: e.Key(), Value: bson.Binary{Data: []byte("null")}}}}},
			}[i%3]
			if _, err := c.UpdateOne(a.ctx, id, change); err != nil {
				continue // a unique index does not take it
			}
			if file, _, err := a.exported(); err == nil {
				if _, err := archive.Import(a.ctx, a, bytes.NewReader(file), archive.ImportOptions{Merge: true}, nil); err != nil {
					t.Errorf("%s.%s, %v: exported, and not imported: %v", c.Name(), e.Key(), change, err)
				}
			}
			_, err := c.ReplaceOne(a.ctx, id, raw)
			noError(t, err)
		}
	}
}

// A record whose kind is not that of its id ends an export, which would find it
// again and again.
func TestExportOfADamagedKind(t *testing.T) {
	for _, kind := range []string{"", "another"} {
		a := newActing(t)
		_, err := a.foreign.InsertOne(a.ctx, foreignDoc{ID: "zebra/1", Kind: archive.Kind(kind), Key: "1", Data: []byte("{}")})
		noError(t, err)
		ctx, cancel := context.WithTimeout(a.ctx, 30*time.Second)
		defer cancel()
		_, err = archive.Export(ctx, a, &bytes.Buffer{}, nil)
		a.want(err, errs.CodeInternal)
	}
}

// While an import is not finished, nobody but another import opens the store.
func TestNoServerOnHalfAnImport(t *testing.T) {
	address := wiretest.Address(t)
	d := opened(t, address, Options{})
	noError(t, d.ArchivePut(t.Context(), nil, archive.Mark{Archive: "sum"}))
	_, err := d.ArchiveBegin(t.Context())
	for name, err := range map[string]error{"exported": err, "opened": func() error { _, err := Open(t.Context(), address, Options{}); return err }()} {
		if e, ok := errs.As(err); !ok || e.Code != errs.CodeUnavailable || e.Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	d = opened(t, address, Options{Import: true})
	if mark, err := d.ArchiveMark(t.Context()); err != nil || mark.Archive != "sum" {
		t.Errorf("the mark is %+v, %v", mark, err)
	}
	noError(t, d.ArchiveDone(t.Context()))
	opened(t, address, Options{})
}

func plain(t *testing.T, file []byte) string {
	t.Helper()
	dec, err := zstd.NewReader(nil)
	noError(t, err)
	defer dec.Close()
	b, err := dec.DecodeAll(file, nil)
	noError(t, err)
	return string(b)
}

// Comments keep their threads, and more can be added to them where they went.
func TestExportOfComments(t *testing.T) {
	a := newActing(t)
	first, second := hooks.Digest(nil), hooks.Digest([]byte("s"))
	noError(t, a.version(first, 1, 1))
	noError(t, a.AddVersion(a.ctx, review.Version{
		Digest: second, Hook: "taint", Number: 2, State: hooks.StateSubmitted, Statement: []byte("s"), Signatures: [][]byte{{1}}, SubmittedAt: noon,
	}, a.grant(auth.HooksSubmit)))
	for _, c := range []review.Comment{
		{ID: "c", Version: first, Part: review.PartScript, Line: 1, User: "alice", Text: "why?", At: noon},
		{ID: "b", Version: second, User: "bob", Text: "fine", At: noon},
		{ID: "a", Version: first, User: "carol", Text: "no", At: noon},
		{ID: "d", Version: first, Parent: "c", User: "bob", Text: "so", At: noon},
	} {
		noError(t, a.AddComment(a.ctx, c, a.grant(auth.HooksReview)))
	}
	noError(t, a.ResolveThread(a.ctx, first, "c", "carol", noon, a.grant(auth.HooksReview)))
	file, lines, err := a.exported()
	if err != nil || !strings.Contains(lines, `{"kind":"comment","count":4,`) {
		t.Fatalf("%v\n%s", err, lines)
	}
	b := newActing(t)
	for _, merge := range []bool{false, true} {
		_, err = archive.Import(t.Context(), b, bytes.NewReader(file), archive.ImportOptions{Merge: merge}, nil)
		noError(t, err)
		again, _, err := b.exported()
		if err != nil || !bytes.Equal(again, file) {
			t.Errorf("after the way back it is another archive, %v", err)
		}
	}
	noError(t, b.AddComment(b.ctx, review.Comment{ID: "e", Version: first, Parent: "c"}, b.grant(auth.HooksReview)))
	_, err = b.comments.UpdateOne(b.ctx, byID("b"), m{{Key: "$set", Value: m{{Key: "version", Value: first}, {Key: "number", Value: 9}}}})
	noError(t, err)
	_, err = archive.Import(t.Context(), b, bytes.NewReader(file), archive.ImportOptions{Merge: true}, nil)
	a.want(err, errs.CodeConflict)
}
