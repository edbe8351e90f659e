package archive

import (
	"fmt"
	"strings"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/jobs"
	"hookline/review"
)

// form is how the records of one kind are written and read.
type form struct {
	write func(Record) (data any, err error)
	read  func(key string, fields Extra) (value any, err error)
}

// formOf makes the form of a kind with the data D for the value V.
func formOf[D, V any](to func(V) D, from func(key string, d D) (V, error)) form {
	return form{
		write: func(r Record) (any, error) {
			v, ok := r.Value.(V)
			if !ok {
				return nil, fmt.Errorf("a %s cannot be a %T", r.Kind, r.Value)
			}
			d := to(v)
			return &d, nil
		},
		read: func(key string, fields Extra) (any, error) {
			var d D
			if err := readFields(fields, &d); err != nil {
				return nil, err
			}
			return from(key, d)
		},
	}
}

// formFor knows the kinds; ok is false for one of a later version.
func formFor(k Kind) (f form, ok bool) {
	switch k {
	case KindUser:
		return formOf(fromUser, toUser), true
	case KindToken:
		return formOf(fromToken, toToken), true
	case KindPeer:
		return formOf(fromPeer, toPeer), true
	case KindVersion:
		return formOf(fromVersion, toVersion), true
	case KindReview:
		return formOf(fromReview, toReview), true
	case KindActivation:
		return formOf(fromActivation, toActivation), true
	case KindJob:
		return formOf(fromJob, toJob), true
	case KindProblem:
		return formOf(fromProblem, toProblem), true
	case KindResult:
		return formOf(fromResult, toResult), true
	case KindAudit:
		return formOf(fromEntry, toEntry), true
	case KindComment:
		return formOf(fromComment, toComment), true
	}
	return form{}, false
}

func fromUser(u auth.User) userData {
	return userData{
		CreatedAt: stamp(u.CreatedAt), Failures: u.Failures, LastFailure: stamp(u.LastFailure), LastSignIn: stamp(u.LastSignIn),
		Off: u.Off, Password: u.Password, Roles: notNil(u.Roles), SessionsFrom: stamp(u.SessionsFrom),
	}
}

func toUser(key string, d userData) (auth.User, error) {
	return auth.User{
		Name: key, Roles: d.Roles, CreatedAt: time.Time(d.CreatedAt), Password: d.Password, Off: d.Off, Failures: d.Failures,
		LastFailure: time.Time(d.LastFailure), LastSignIn: time.Time(d.LastSignIn), SessionsFrom: time.Time(d.SessionsFrom),
	}, nil
}

func fromToken(t auth.Token) tokenData {
	return tokenData{
		CreatedAt: stamp(t.CreatedAt), ExpiresAt: stamp(t.ExpiresAt), Hash: t.Hash[:], Kind: t.Kind, Name: t.Name,
		SessionUntil: stamp(t.SessionUntil), User: t.User,
	}
}

func toToken(key string, d tokenData) (auth.Token, error) {
	t := auth.Token{
		ID: key, Kind: d.Kind, User: d.User, Name: d.Name, CreatedAt: time.Time(d.CreatedAt),
		ExpiresAt: time.Time(d.ExpiresAt), SessionUntil: time.Time(d.SessionUntil),
	}
	if len(d.Hash) != len(t.Hash) {
		return t, fmt.Errorf("a token's hash has %d bytes, not %d", len(t.Hash), len(d.Hash))
	}
	copy(t.Hash[:], d.Hash)
	return t, nil
}

func fromPeer(p enroll.Peer) peerData {
	return peerData{
		AllowHooks: p.AllowHooks, Arch: p.Facts.Arch, EnrolledAt: stamp(p.EnrolledAt), Epoch: p.Connection.Epoch,
		Kernel: p.Facts.Kernel, Labels: orNil(p.Labels), Name: p.Name, OS: p.Facts.OS, Release: p.Facts.Release, Seen: stamp(p.Connection.Seen),
		SendReports: p.SendReports, Server: p.Connection.Server, SPKI: p.SPKI, Version: p.Version,
	}
}

func toPeer(key string, d peerData) (enroll.Peer, error) {
	return enroll.Peer{
		ID: key, Name: d.Name, SPKI: d.SPKI, EnrolledAt: time.Time(d.EnrolledAt),
		Facts:   hooks.Facts{OS: d.OS, Release: d.Release, Kernel: d.Kernel, Arch: d.Arch},
		Version: d.Version, SendReports: d.SendReports, AllowHooks: d.AllowHooks, Labels: orNil(d.Labels),
		Connection: enroll.Connection{Server: d.Server, Epoch: d.Epoch, Seen: time.Time(d.Seen)},
	}, nil
}

func fromVersion(v review.Version) versionData {
	files := make([][]byte, len(v.Signatures))
	for i, file := range v.Signatures {
		files[i] = notNil(file)
	}
	return versionData{
		Hook: v.Hook, Manifest: notNil(v.Manifest), Number: v.Number, Script: notNil(v.Script), Signatures: files,
		State: v.State, Statement: notNil(v.Statement), SubmittedAt: stamp(v.SubmittedAt), SubmittedBy: v.SubmittedBy,
	}
}

func toVersion(key string, d versionData) (review.Version, error) {
	return review.Version{
		Digest: key, Hook: d.Hook, Number: d.Number, State: d.State, Manifest: d.Manifest, Script: d.Script,
		Statement: d.Statement, Signatures: d.Signatures, SubmittedBy: d.SubmittedBy, SubmittedAt: time.Time(d.SubmittedAt),
	}, nil
}

func fromReview(r review.Review) reviewData {
	d := reviewData{
		At: stamp(r.At), Comment: r.Comment, KeyID: r.KeyID, Person: r.Person, Signature: r.Signature, User: r.User, Verdict: r.Verdict,
	}
	if len(d.Signature) == 0 {
		d.Signature = nil
	}
	return d
}

func toReview(key string, d reviewData) (review.Review, error) {
	version, id, ok := strings.Cut(key, "/")
	if !ok || id == "" {
		return review.Review{}, fmt.Errorf("a review's key is <version>/<id>")
	}
	return review.Review{
		ID: id, Version: version, User: d.User, Person: d.Person, KeyID: d.KeyID, Verdict: d.Verdict, Comment: d.Comment,
		Signature: d.Signature, At: time.Time(d.At),
	}, nil
}

func fromComment(c review.Comment) commentData {
	return commentData{
		At: stamp(c.At), Line: c.Line, Parent: c.Parent, Part: c.Part, ResolvedAt: stamp(c.ResolvedAt), ResolvedBy: c.ResolvedBy,
		Text: c.Text, User: c.User,
	}
}

func toComment(key string, d commentData) (review.Comment, error) {
	version, id, ok := strings.Cut(key, "/")
	if !ok || id == "" {
		return review.Comment{}, fmt.Errorf("a comment's key is <version>/<id>")
	}
	return review.Comment{
		ID: id, Version: version, Part: d.Part, Line: d.Line, Parent: d.Parent, User: d.User, Text: d.Text,
		At: time.Time(d.At), ResolvedBy: d.ResolvedBy, ResolvedAt: time.Time(d.ResolvedAt),
	}, nil
}

func fromActivation(a Activation) activationData {
	leases := make([]leaseData, len(a.Leases))
	for i, l := range a.Leases {
		leases[i] = leaseData{ID: l.ID, Reserved: l.Reserved, TakenAt: stamp(l.TakenAt)}
	}
	return activationData{
		ChangedAt: stamp(a.ChangedAt), CreatedAt: stamp(a.CreatedAt), Deadline: stamp(a.Deadline), Hook: a.Hook,
		Keys: notNil(a.Keys), Leases: leases, Ledger: fromLedger(a.Ledger), MaxBytes: a.MaxBytes, Percent: a.Rollout.Percent,
		PerMinute: a.Rollout.PerMinute, Quantity: a.Quantity, Reason: a.Reason, State: a.State,
	}
}

func toActivation(key string, d activationData) (Activation, error) {
	a := Activation{Activation: hooks.Activation{
		Digest: key, Hook: d.Hook, State: d.State, Reason: d.Reason, Keys: d.Keys, Quantity: d.Quantity,
		Deadline: time.Time(d.Deadline), MaxBytes: d.MaxBytes, Rollout: hooks.Rollout{Percent: d.Percent, PerMinute: d.PerMinute},
		Ledger: d.Ledger.ledger(), CreatedAt: time.Time(d.CreatedAt), ChangedAt: time.Time(d.ChangedAt),
	}}
	for _, l := range d.Leases {
		a.Leases = append(a.Leases, collector.Lease{ID: l.ID, Version: key, Reserved: l.Reserved, TakenAt: time.Time(l.TakenAt)})
	}
	return a, nil
}

func fromLedger(l hooks.Ledger) ledgerData {
	return ledgerData{
		Bytes: l.Bytes, Cancelled: l.Cancelled, Deferred: l.Deferred, Empty: l.Empty, Failed: l.Failed, Issued: l.Issued,
		Leased: l.Leased, Received: l.Received, Refused: l.Refused, Reserved: l.Reserved, TimedOut: l.TimedOut,
	}
}

func (d ledgerData) ledger() hooks.Ledger {
	return hooks.Ledger{
		Bytes: d.Bytes, Cancelled: d.Cancelled, Deferred: d.Deferred, Empty: d.Empty, Failed: d.Failed, Issued: d.Issued,
		Leased: d.Leased, Received: d.Received, Refused: d.Refused, Reserved: d.Reserved, TimedOut: d.TimedOut,
	}
}

func fromJob(j jobs.Job) jobData {
	return jobData{
		AckedAt: stamp(j.AckedAt), Bytes: j.Bytes, CompletedAt: stamp(j.CompletedAt), CreatedAt: stamp(j.CreatedAt),
		Deadline: stamp(j.Deadline), Denied: j.Denied, FailedCode: j.FailedCode, FailedText: j.FailedText, Fingerprint: j.Fingerprint,
		Hook: j.Hook, HookError: j.HookError, OriginalID: j.OriginalID, Outcome: j.Outcome, PeerID: j.PeerID,
		ProblemID: j.ProblemID, Report: j.Report, SentAt: stamp(j.SentAt), Status: j.Status, TriggeredBy: j.TriggeredBy,
		Version: j.Version, Workload: j.Workload, PackageVersion: j.PackageVersion, Release: j.Release,
	}
}

func toJob(key string, d jobData) (jobs.Job, error) {
	j := jobs.Job{
		ID: key, PeerID: d.PeerID, Workload: d.Workload, Status: d.Status, TriggeredBy: d.TriggeredBy,
		CreatedAt: time.Time(d.CreatedAt), Deadline: time.Time(d.Deadline), SentAt: time.Time(d.SentAt),
		AckedAt: time.Time(d.AckedAt), CompletedAt: time.Time(d.CompletedAt), Outcome: d.Outcome,
		FailedCode: d.FailedCode, FailedText: d.FailedText, Fingerprint: d.Fingerprint, ProblemID: d.ProblemID,
		Report: d.Report, OriginalID: d.OriginalID, Hook: d.Hook, Version: d.Version, HookError: d.HookError, Bytes: d.Bytes,
		Denied: d.Denied, PackageVersion: d.PackageVersion, Release: d.Release,
	}
	if j.Workload == jobs.WorkHook {
		j.Slot = jobs.SlotOf(j)
	}
	return j, nil
}

func fromProblem(p collector.Problem) problemData {
	return problemData{
		Executable: p.Executable, Fingerprint: p.Fingerprint, FirstSeen: stamp(p.FirstSeen), LastSeen: stamp(p.LastSeen),
		Package: p.Package, Reports: p.Reports,
	}
}

func toProblem(key string, d problemData) (collector.Problem, error) {
	return collector.Problem{
		ID: key, Fingerprint: d.Fingerprint, Package: d.Package, Executable: d.Executable, Reports: d.Reports,
		FirstSeen: time.Time(d.FirstSeen), LastSeen: time.Time(d.LastSeen),
	}, nil
}

func fromResult(r collector.Result) resultData {
	return resultData{
		Bytes: r.Bytes, CreatedAt: stamp(r.CreatedAt), Fields: notNil(r.Fields), Hook: r.Hook, JobID: r.JobID,
		PeerID: r.PeerID, ProblemID: r.ProblemID, Version: r.Version, Level: r.Level, Package: r.Package,
	}
}

func toResult(key string, d resultData) (collector.Result, error) {
	return collector.Result{
		ID: key, JobID: d.JobID, Hook: d.Hook, Version: d.Version, PeerID: d.PeerID, ProblemID: d.ProblemID,
		Fields: d.Fields, Bytes: d.Bytes, CreatedAt: time.Time(d.CreatedAt), Level: d.Level, Package: d.Package,
	}, nil
}

func fromEntry(e auth.Entry) auditData {
	return auditData{
		Action: e.Action, Actor: e.Actor, At: stamp(e.At), Detail: e.Detail, Outcome: e.Outcome, Target: e.Target, TokenID: e.TokenID,
	}
}

func toEntry(key string, d auditData) (auth.Entry, error) {
	return auth.Entry{
		ID: key, At: time.Time(d.At), Actor: d.Actor, TokenID: d.TokenID, Action: d.Action, Target: d.Target,
		Detail: d.Detail, Outcome: d.Outcome,
	}, nil
}

// orNil has one form of an empty list.
func orNil[E any](s []E) []E {
	if len(s) == 0 {
		return nil
	}
	return s
}

// notNil writes no bytes and an empty list as such, not as null.
func notNil[S ~[]E, E any](s S) S {
	if s == nil {
		return S{}
	}
	return s
}
