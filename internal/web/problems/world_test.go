package problems_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/internal/web/kit/kittest"
	"hookline/internal/web/problems"
	"hookline/review"
	"hookline/store/archive"
)

// hostile is what must not get into a page as anything but text.
const hostile = "<script>alert(1)</script>\" onmouseover=\"x\" hx-get=\"/evil\" \u202e reversed\x1b[31m\u200b'{{.}}"

// world is a deployment with what these pages show.
type world struct {
	*testing.T
	*kittest.Site
	ctx context.Context
	ids int
}

// now is the first moment of the site's clock.
var now = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, Site: kittest.New(t), ctx: t.Context()}
	w.Serve(problems.Routes(w.Kit, problems.Parts{Store: w.DB, Explain: w.explain}))
	return w
}

// explain says what a collector could.
func (w *world) explain(_ context.Context, job, version string) (collector.Explanation, error) {
	if strings.HasPrefix(version, "0000") {
		return collector.Explanation{}, errs.New(errs.CodeNotFound, "there is no version %s", version)
	}
	return collector.Explanation{
		JobID: job, Hook: "taint", Version: version, Verdict: "it did not run: " + hostile, Code: "not-opted-in",
		Checks: []collector.Check{{Name: "state", OK: true, Note: "active"}, {Name: "answer", Note: hostile}},
	}, nil
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// id is a UUIDv7 of a time.
func (w *world) id(at time.Time) string {
	w.ids++
	hex := fmt.Sprintf("%012x", at.UnixMilli())
	return hex[:8] + "-" + hex[8:] + fmt.Sprintf("-7000-8000-%012x", w.ids)
}

func (w *world) peer(name string) string {
	w.Helper()
	w.ids++
	id := fmt.Sprintf("%032x", w.ids)
	w.must(w.DB.AddPeer(w.ctx, enroll.Peer{
		ID: id, Name: name, SPKI: id + id, EnrolledAt: now, Version: "1", Facts: hooks.Facts{OS: "linux", Release: "Debian 12", Kernel: "6.1", Arch: "amd64"}, AllowHooks: "yes",
	}))
	return id
}

// crash is a report of one program.
func crash(name string) hooks.Report {
	return hooks.Report{
		hooks.FieldExecutablePath: "/usr/sbin/" + name, hooks.FieldPackage: name, hooks.FieldPackageVersion: "1.2-3", hooks.FieldRelease: "Debian 12",
		hooks.FieldSignal: "11", hooks.FieldSignalName: "SIGSEGV", hooks.FieldFrames: "main\nserve\n" + name,
	}
}

// file stores a report and returns it.
func (w *world) file(peer string, r hooks.Report, at time.Time) jobs.Job {
	w.Helper()
	return w.fileAs(peer, hooks.Fingerprint(r), r, at)
}

// fileAs stores a report under any fingerprint.
func (w *world) fileAs(peer, fp string, r hooks.Report, at time.Time) jobs.Job {
	w.Helper()
	j := reportJob(w.id(at), peer, fp, r, at)
	_, err := w.DB.AddReport(w.ctx, j, collector.ProblemOf(j))
	w.must(err)
	return j
}

// many stores reports of one problem at once.
func (w *world) many(peer string, list []hooks.Report) (problem string) {
	w.Helper()
	var records []archive.Record
	var p collector.Problem
	for i, r := range list {
		j := reportJob(w.id(now.Add(-time.Duration(i)*time.Second)), peer, hooks.Fingerprint(r), r, now.Add(-time.Duration(i)*time.Second))
		records, p = append(records, archive.Record{Kind: archive.KindJob, Key: j.ID, Value: j}), collector.ProblemOf(j)
	}
	p.Reports = int64(len(list))
	w.must(w.DB.ArchivePut(w.ctx, []archive.Record{{Kind: archive.KindProblem, Key: p.ID, Value: p}}, archive.Mark{}))
	w.must(w.DB.ArchivePut(w.ctx, records, archive.Mark{}))
	return p.ID
}

func reportJob(id, peer, fp string, r hooks.Report, at time.Time) jobs.Job {
	return jobs.Job{
		ID: id, PeerID: peer, Workload: jobs.WorkReport, Status: jobs.Succeeded, TriggeredBy: "peer", CreatedAt: at, CompletedAt: at,
		Fingerprint: fp, ProblemID: hooks.ProblemID(fp), PackageVersion: r[hooks.FieldPackageVersion], Release: r[hooks.FieldRelease], Report: r,
	}
}

func (w *world) grant(p auth.Permission) auth.Grant {
	w.Helper()
	admin := auth.Principal{User: "admin", Roles: []auth.Role{auth.RoleAdmin}, TokenID: "t", Kind: auth.TokenAPI}
	g, err := w.Gate.Authorize(w.ctx, admin, p, "target", "detail")
	w.must(err)
	return g
}

// submitted stores a version of alice's that waits for review.
func (w *world) submitted(hook string, number int64, at time.Time) review.Version {
	w.Helper()
	return w.submittedBy("alice", hook, number, at)
}

func (w *world) submittedBy(user, hook string, number int64, at time.Time) review.Version {
	w.Helper()
	w.ids++
	v := review.Version{
		Digest: fmt.Sprintf("%064x", w.ids+0xabc0_0000_0000), Hook: hook, Number: number, State: hooks.StateSubmitted,
		Manifest: []byte("hook: " + hook), Script: []byte("return {}"), Statement: []byte(fmt.Sprint(w.ids)), Signatures: [][]byte{[]byte("author")}, SubmittedBy: user, SubmittedAt: at,
	}
	v.Digest = "abc" + v.Digest[3:]
	w.must(w.DB.AddVersion(w.ctx, v, w.grant(auth.HooksSubmit)))
	return v
}

// active stores an active version for a match key.
func (w *world) active(hook string, quantity int64, keys ...string) review.Version {
	w.Helper()
	v := w.submitted(hook, 1, now.Add(-time.Hour))
	w.must(w.DB.AddReview(w.ctx, review.Review{
		ID: w.id(now), Version: v.Digest, User: "bob", Person: "bob", KeyID: "key", Verdict: review.VerdictApprove, Signature: []byte("bob"), At: now,
	}, hooks.StateSubmitted, hooks.StateApproved, w.grant(auth.HooksReview)))
	w.must(w.DB.Activate(w.ctx, hooks.Activation{
		Digest: v.Digest, Hook: hook, State: hooks.StateActive, Keys: keys, Quantity: quantity, Deadline: now.Add(72 * time.Hour), MaxBytes: 1 << 30,
		Rollout: hooks.Rollout{Percent: 100, PerMinute: 1000}, CreatedAt: now.Add(-time.Hour), ChangedAt: now.Add(-time.Hour),
	}, hooks.StateApproved, w.grant(auth.HooksActivate)))
	return v
}

// lease stores a pending run of a version for a report.
func (w *world) lease(v review.Version, original jobs.Job) jobs.Job {
	w.Helper()
	j := jobs.Job{
		ID: w.id(original.CreatedAt), PeerID: original.PeerID, Workload: jobs.WorkHook, Status: jobs.Pending, TriggeredBy: "match", CreatedAt: original.CreatedAt,
		Deadline: original.CreatedAt.Add(jobs.DefaultDeadline), OriginalID: original.ID, ProblemID: original.ProblemID, Hook: v.Hook, Version: v.Digest,
		Slot: jobs.OpenSlot(v.Digest, original.ID),
	}
	w.must(w.DB.Lease(w.ctx, j, original.CreatedAt))
	return j
}

// bring settles a run of a version with new fields.
func (w *world) bring(v review.Version, original jobs.Job, level hooks.Level, fields map[string]any) jobs.Job {
	w.Helper()
	j := w.lease(v, original)
	at := j.CreatedAt
	_, err := w.DB.MarkSent(w.ctx, j.ID, at.Add(120*time.Millisecond))
	w.must(err)
	w.must(w.DB.MarkAcked(w.ctx, []collector.Ack{{JobID: j.ID, At: at.Add(3 * time.Second)}}))
	raw, err := json.Marshal(fields)
	w.must(err)
	_, err = w.DB.Settle(w.ctx, j.ID, jobs.Decision{Status: jobs.Succeeded, Outcome: hooks.OutcomeReceived, Denied: 2}, &collector.Result{
		ID: j.ID, JobID: original.ID, Hook: v.Hook, Version: v.Digest, PeerID: j.PeerID, ProblemID: original.ProblemID, Level: level,
		Package: original.Report[hooks.FieldPackage], Fields: raw, Bytes: int64(len(raw)), CreatedAt: at.Add(5 * time.Minute),
	}, at.Add(5*time.Minute))
	w.must(err)
	return j
}

// fail settles a run with an error of the hook.
func (w *world) fail(v review.Version, original jobs.Job, text, hookError string) jobs.Job {
	w.Helper()
	j := w.lease(v, original)
	_, err := w.DB.Settle(w.ctx, j.ID, jobs.Decision{
		Status: jobs.Failed, Outcome: hooks.OutcomeFailed, Code: string(errs.CodeHookError), Text: text, HookError: hookError,
	}, nil, j.CreatedAt.Add(time.Second))
	w.must(err)
	return j
}

// page fetches a page as a viewer, and holds it against what every page
// promises.
func (w *world) page(path string, roles ...auth.Role) string {
	w.Helper()
	if len(roles) == 0 {
		roles = []auth.Role{auth.RoleViewer}
	}
	body := w.Want(path, roles...)
	for _, bad := range []string{"<script>", "hx-get=\"/evil", " onmouseover=\"", "\x1b", "\u202e", "\u200b", "\x00", "ZgotmplZ", "%!", " style=", "<no value>", "NaN"} {
		if strings.Contains(body, bad) {
			w.Errorf("%s has %q: …%s", path, bad, around(body, bad))
		}
	}
	if n := strings.Count(body, "<h1>"); n != 1 {
		w.Errorf("%s has %d h1", path, n)
	}
	if len(body) > 120<<10 {
		w.Errorf("%s has %d bytes", path, len(body))
	}
	return body
}

func around(s, part string) string {
	i := strings.Index(s, part)
	return s[max(0, i-100):min(len(s), i+100)]
}

// has demands that a page says something.
func (w *world) has(body string, wants ...string) {
	w.Helper()
	for _, want := range wants {
		if !strings.Contains(body, want) {
			w.Errorf("the page does not have %s\n%s", want, strings.TrimSpace(body[max(0, strings.Index(body, "<main")):]))
		}
	}
}

func (w *world) hasNot(body string, bads ...string) {
	w.Helper()
	for _, bad := range bads {
		if strings.Contains(body, bad) {
			w.Errorf("the page has %s: …%s", bad, around(body, bad))
		}
	}
}
