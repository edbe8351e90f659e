package archive_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/review"
	"hookline/store/archive"
)

// memory is a store of records, as a source.
type memory map[archive.Kind][]archive.Record

func (m memory) ArchiveBegin(context.Context) (func() error, error) {
	return func() error { return nil }, nil
}

func (m memory) ArchivePage(_ context.Context, k archive.Kind, after string, limit int) ([]archive.Record, error) {
	all := m[k]
	slices.SortFunc(all, func(a, b archive.Record) int { return strings.Compare(a.Key, b.Key) })
	i, _ := slices.BinarySearchFunc(all, after+"\x00", func(r archive.Record, key string) int { return strings.Compare(r.Key, key) })
	return all[i:min(i+limit, len(all))], nil
}

func (m memory) ArchiveForeign(context.Context) (kinds []archive.Kind, _ error) {
	for k := range m {
		if !slices.Contains(slices.Concat(archive.Kinds(), archive.Later()), k) {
			kinds = append(kinds, k)
		}
	}
	slices.Sort(kinds)
	return kinds, nil
}

func (m memory) add(k archive.Kind, key string, v any, extra archive.Extra) {
	m[k] = append(m[k], archive.Record{Kind: k, Key: key, Value: v, Extra: extra})
}

// at is a time of the fixtures, n milliseconds after their beginning.
func at(n int) time.Time {
	return time.Date(2026, 3, 1, 12, 0, 0, 123e6, time.UTC).Add(time.Duration(n) * time.Millisecond)
}

func id(kind string, n int) string {
	sum := sha256.Sum256([]byte(kind))
	return fmt.Sprintf("01990000-%04x-7000-8000-%x", n, sum[:6])
}

// oddTexts are what people and machines write and stores trip over.
var oddTexts = []string{
	"", " ", "a.b.c", "$set", ".", "a\x00b", "\x00", "tab\tnewline\n\r", `"quoted" \ back`, "<script>&amp;", "ünï¢ødé",
	"e\u0301 and \u00e9", "日本語", "😀\U0010ffff", "\u2028\u2029\ufeff\ufffd", `\ufffd`, "\u202ereversed", "_id", "__proto__", "1e999",
}

// small is one record or a few of every kind, with every member set, fields
// that nobody knows and a kind that nobody knows.
func small() memory {
	m := memory{}
	unknown := archive.Extra{
		"a.dotted $name": json.RawMessage(`{"z":[1.50,-0,1e400,{"b":null,"a":"\u0000<&>"}],"$date":"x"}`),
		"Name":           json.RawMessage(`"in another case"`), "": json.RawMessage(`""`), "zz\x00": json.RawMessage(`12345678901234567890`),
	}
	m.add(archive.KindUser, "alice", auth.User{Name: "alice", Roles: []auth.Role{auth.RoleAuthor, auth.RoleOperator}, CreatedAt: at(0)}, unknown)
	m.add(archive.KindUser, "bob", auth.User{Name: "bob", Roles: []auth.Role{}}, nil)
	m.add(archive.KindToken, id("token", 1), auth.Token{
		ID: id("token", 1), Kind: auth.TokenAPI, Hash: sha256.Sum256([]byte("t")), User: "alice", Name: "laptop", CreatedAt: at(1), ExpiresAt: at(1e6), SessionUntil: at(2e6),
	}, unknown)
	spki := fmt.Sprintf("%x", sha256.Sum256([]byte("peer")))
	m.add(archive.KindPeer, spki[:32], enroll.Peer{
		ID: spki[:32], Name: "host <1>", SPKI: spki, EnrolledAt: at(2), Facts: hooks.Facts{OS: "linux", Release: "Debian 12", Kernel: "6.1", Arch: "amd64"},
		Version: "0.1.0", SendReports: true, AllowHooks: "ask", Connection: enroll.Connection{Server: "hooklined", Epoch: 7, Seen: at(3)},
	}, unknown)
	addLife(m, spki[:32], unknown)
	for i, text := range oddTexts {
		m.add(archive.KindAudit, id("audit", i), auth.Entry{ID: id("audit", i), At: at(i), Actor: text, TokenID: text, Action: text, Target: text, Detail: text, Outcome: "ok"}, nil)
	}
	m["widget"] = []archive.Record{{Kind: "widget", Key: "w.$1", Value: archive.Foreign(`{"a":[1,2],"b":"<"}`)}}
	m["zebra"] = []archive.Record{{Kind: "zebra", Key: "1", Value: archive.Foreign(`{}`)}, {Kind: "zebra", Key: "2", Value: archive.Foreign(`{"x":1.0}`)}}
	return m
}

// addLife adds a hook with two versions and what became of them.
func addLife(m memory, peer string, unknown archive.Extra) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	first := addVersion(m, "first", 1, hooks.StateApproved, every)
	addVersion(m, "first", 2, hooks.StateChangesRequested, nil)
	m[archive.KindVersion][0].Extra = unknown
	r := review.Review{ID: id("review", 1), Version: first, User: "bob", Person: "Bob", KeyID: "k", Verdict: review.VerdictApprove, Comment: "fine \x00.$", Signature: []byte("bob's"), At: at(5)}
	m.add(archive.KindReview, archive.ReviewKey(r), r, unknown)
	r = review.Review{ID: id("review", 0), Version: first, User: "carol", Verdict: review.VerdictRequestChanges, Comment: "no"}
	m.add(archive.KindReview, archive.ReviewKey(r), r, nil)

	report := hooks.Report{hooks.FieldExecutablePath: "/bin/x", hooks.FieldPackage: "x"}
	for _, text := range oddTexts {
		report["value of "+text], report[text] = text, "key"
	}
	original := addReport(m, id("report", 1), peer, report)
	a := hooks.Activation{
		Digest: first, Hook: "first", State: hooks.StateActive, Keys: []string{"fp:one", "pkg:x"}, Quantity: 10, Deadline: at(1e7), MaxBytes: 10_000,
		Rollout: hooks.Rollout{Percent: 50, PerMinute: 7}, CreatedAt: at(6), ChangedAt: at(7),
		Ledger: hooks.Ledger{Issued: 3, Leased: 1, Received: 1, TimedOut: 1, Bytes: 8, Reserved: 100},
	}
	leases := []collector.Lease{{ID: id("hook", 3), Version: first, Reserved: 100, TakenAt: at(9)}}
	m.add(archive.KindActivation, first, archive.Activation{Activation: a, Leases: leases}, unknown)
	addHookJob(m, 1, peer, first, original.ID, hooks.OutcomeTimedOut)
	done := addHookJob(m, 2, peer, first, original.ID, hooks.OutcomeReceived)
	other := addReport(m, id("report", 2), peer, hooks.Report{})
	addHookJob(m, 3, peer, first, other.ID, "")
	m.add(archive.KindResult, done.ID, collector.Result{
		ID: done.ID, JobID: original.ID, Hook: "first", Version: first, PeerID: peer, ProblemID: original.ProblemID, Fields: []byte(`{"a":12}`), Bytes: 8, CreatedAt: at(12),
	}, unknown)
}

func addVersion(m memory, hook string, number int64, state hooks.State, odd []byte) string {
	statement := fmt.Appendf(nil, `{"hook":%q,"number":%d}`, hook, number)
	v := review.Version{
		Digest: hooks.Digest(statement), Hook: hook, Number: number, State: state, Manifest: odd, Script: []byte("return {}"), Statement: statement,
		Signatures: [][]byte{[]byte("alice's"), []byte("bob's")}, SubmittedBy: "alice", SubmittedAt: at(4),
	}
	m.add(archive.KindVersion, v.Digest, v, nil)
	return v.Digest
}

func addReport(m memory, id, peer string, fields hooks.Report) jobs.Job {
	fp := hooks.Fingerprint(fields)
	j := jobs.Job{
		ID: id, PeerID: peer, Workload: jobs.WorkReport, Status: jobs.Succeeded, TriggeredBy: "peer", CreatedAt: at(8), CompletedAt: at(8),
		Fingerprint: fp, ProblemID: hooks.ProblemID(fp), Report: fields,
	}
	m.add(archive.KindJob, id, j, archive.Extra{"later": json.RawMessage(`true`)})
	m.add(archive.KindProblem, j.ProblemID, collector.Problem{ID: j.ProblemID, Fingerprint: fp, Package: "x", Executable: "/bin/x", Reports: 1, FirstSeen: at(8), LastSeen: at(8)}, nil)
	return j
}

func addHookJob(m memory, n int, peer, version, original string, o hooks.Outcome) jobs.Job {
	j := jobs.Job{
		ID: id("hook", n), PeerID: peer, Workload: jobs.WorkHook, Status: jobs.Pending, TriggeredBy: "match", CreatedAt: at(9), Deadline: at(1e6), SentAt: at(10),
		Outcome: o, ProblemID: "p", OriginalID: original, Hook: "first", Version: version,
	}
	if o != "" {
		j.Status, j.CompletedAt, j.AckedAt = jobs.StatusOf(o), at(11), at(10)
	}
	if j.Status == jobs.Failed {
		j.FailedCode, j.FailedText, j.HookError = "lost", "it\x00 broke", "line 3"
	}
	if o == hooks.OutcomeReceived {
		j.Bytes = 8
	}
	j.Slot = jobs.SlotOf(j)
	m.add(archive.KindJob, j.ID, j, nil)
	return j
}

// withDenied gives a hook job a count that older archives do not have.
func withDenied(m memory, id string, n int64) {
	i := slices.IndexFunc(m[archive.KindJob], func(r archive.Record) bool { return r.Key == id })
	j := m[archive.KindJob][i].Value.(jobs.Job)
	j.Denied = n
	m[archive.KindJob][i].Value = j
}

// withPages adds what the first archives do not have: fields, and comments
// between kinds that nobody knows.
func withPages(m memory) {
	users, peers, results := m[archive.KindUser], m[archive.KindPeer], m[archive.KindResult]
	u := users[0].Value.(auth.User)
	u.Password, u.Off, u.Failures, u.LastFailure, u.LastSignIn, u.SessionsFrom = "$argon2id$<x>", true, 3, at(20), at(21), at(22)
	users[0].Value = u
	p := peers[0].Value.(enroll.Peer)
	p.Labels = []string{"db", "<web>"}
	peers[0].Value = p
	r := results[0].Value.(collector.Result)
	r.Level, r.Package = hooks.LevelPackage, "x"
	results[0].Value = r
	i := slices.IndexFunc(m[archive.KindJob], func(r archive.Record) bool { return r.Key == id("report", 1) })
	j := m[archive.KindJob][i].Value.(jobs.Job)
	j.PackageVersion, j.Release = "1.2-3", "Debian 12"
	m[archive.KindJob][i].Value = j
	for v := range 2 { // of two versions
		addComments(m, m[archive.KindVersion][v].Key, v)
	}
	m["aaa"] = []archive.Record{{Kind: "aaa", Key: "1", Value: archive.Foreign(`{}`)}}
}

// addComments adds threads to a version, of which one was answered by a server
// whose clock was behind.
func addComments(m memory, version string, v int) {
	for i, text := range oddTexts {
		c := review.Comment{ID: id(fmt.Sprint("comment", v), i), Version: version, User: "bob", Text: text, At: at(i)}
		switch i {
		case 1:
			c.Part, c.Line, c.ResolvedBy, c.ResolvedAt = review.PartScript, 7, "alice", at(30)
		case 2, 0:
			c.Part, c.Parent = review.PartManifest, id(fmt.Sprint("comment", v), 1)
		}
		m.add(archive.KindComment, archive.CommentKey(c), c, archive.Extra{"later": json.RawMessage(`true`)})
	}
}

// many is small with so many and so large reports that they need several
// pages and batches.
func many() memory {
	m := small()
	withDenied(m, id("hook", 2), 3)
	withPages(m)
	peer := m[archive.KindPeer][0].Key
	for i := range 260 {
		m.add(archive.KindJob, id("many", i), jobs.Job{
			ID: id("many", i), PeerID: peer, Workload: jobs.WorkReport, Status: jobs.Succeeded, TriggeredBy: "peer", CreatedAt: at(i), CompletedAt: at(i),
			Fingerprint: "f", ProblemID: "p", Report: hooks.Report{"n": fmt.Sprint(i)},
		}, nil)
	}
	big := hooks.Report{"Big": ""}
	big["Big"] = strings.Repeat("<\u2028\x01é", (hooks.MaxReportBytes-len(big.Canonical()))/15)
	m.add(archive.KindJob, id("big", 1), jobs.Job{ID: id("big", 1), PeerID: peer, Workload: jobs.WorkReport, Status: jobs.Succeeded, TriggeredBy: "peer", CreatedAt: at(1), CompletedAt: at(1), Report: big}, nil)
	return m
}

// export is the archive of a source.
func export(t testing.TB, src archive.Source) ([]byte, archive.Summary) {
	t.Helper()
	var b bytes.Buffer
	s, err := archive.Export(context.Background(), src, &b, nil)
	if err != nil {
		t.Fatal(err, detail(err))
	}
	return b.Bytes(), s
}

// detail is what only the log would tell.
func detail(err error) string {
	e, ok := errs.As(err)
	if !ok {
		return ""
	}
	return e.Detail
}
