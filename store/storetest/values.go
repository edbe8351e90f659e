package storetest

import (
	"bytes"
	"strings"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/review"
)

func valueTests() []test {
	return []test{
		{"report keys and values", oddReports},
		{"not UTF-8", notUTF8},
		{"big documents", bigDocuments},
		{"bytes of a version", versionBytes},
		{"texts", texts},
		{"records above 16 MB", tooLarge},
		{"texts that are no UTF-8", notText},
	}
}

// oddTexts are what people and machines write and stores trip over.
var oddTexts = []string{
	"", " ", "a.b.c", "$set", "$", ".", "..", "a\x00b", "\x00", "tab\tnewline\n\r", `"quoted" 'single' \ back`,
	"<script>&amp;", "ünï¢ødé", "e\u0301 and \u00e9", "日本語", "😀\U0010ffff", "\u2028\u2029\ufeff", "\u202ereversed",
	"'; DROP TABLE jobs; --", "%s %d {{.}}", "_id", "__proto__", "null", "0", "1e999", "true", "?1 :a @b",
	strings.Repeat("long ", 5_000),
}

func oddReports(k *kit) {
	r := hooks.Report{}
	for _, text := range oddTexts {
		r["value of "+text] = text
		r[text] = "key"
		r["dotted."+text+".$end"] = text + text
	}
	j := k.filed("p", r)
	k.reopen()
	same(k, k.job(j.ID), j)
	created, err := k.AddReport(k.ctx, j, k.problem(j))
	if err != nil || created {
		k.Errorf("the same odd report again: created %v, %v", created, err)
	}
	found, err := k.Originals(k.ctx, "p", hooks.MatchKeys(r), 10)
	k.must(err)
	same(k, found, []jobs.Job{j})
}

func notUTF8(k *kit) {
	for _, r := range []hooks.Report{{"bad": "\xff"}, {"bad\xff": ""}} {
		j := k.report("p", r)
		_, err := k.AddReport(k.ctx, j, k.problem(j))
		k.refused(err, errs.CodeBadReport)
		_, err = k.Job(k.ctx, j.ID)
		k.refused(err, errs.CodeNotFound)
	}
}

func bigDocuments(k *kit) {
	r := hooks.Report{"Big": ""}
	r["Big"] = strings.Repeat("é", (hooks.MaxReportBytes-len(r.Canonical()))/2)
	j := k.filed("p", r)
	if got := k.job(j.ID).Report["Big"]; got != r["Big"] {
		k.Errorf("%d bytes of a report became %d", len(r["Big"]), len(got))
	}
	r = with(r, "Big", r["Big"]+"xxx")
	over := k.report("p", r)
	_, err := k.AddReport(k.ctx, over, k.problem(over))
	k.refused(err, errs.CodeTooLarge)
	if e, ok := errs.As(err); ok && e.Hint == "" {
		k.Errorf("%v has no hint", err)
	}
	_, err = k.Job(k.ctx, over.ID)
	k.refused(err, errs.CodeNotFound)
	a := k.activation(k.approved("big", 1), 1)
	a.MaxBytes = 2 * hooks.MaxResultBytes
	k.must(k.Activate(k.ctx, a, hooks.StateApproved, k.grant(auth.HooksActivate)))
	job := k.taken(a.Digest)
	big := k.result(job, strings.Repeat("x", hooks.MaxResultBytes+1))
	_, err = k.Settle(k.ctx, job.ID, k.decision(hooks.OutcomeReceived), &big, k.clock())
	k.refused(err, errs.CodeTooLarge)
	big = k.result(job, strings.Repeat("x", hooks.MaxResultBytes))
	_, err = k.Settle(k.ctx, job.ID, k.decision(hooks.OutcomeReceived), &big, k.clock())
	k.must(err)
	got, err := k.Result(k.ctx, job.ID)
	k.must(err)
	if !bytes.Equal(got.Fields, big.Fields) || got.Bytes != big.Bytes {
		k.Errorf("%d bytes of a result became %d", len(big.Fields), len(got.Fields))
	}
}

func versionBytes(k *kit) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	v := review.Version{
		Digest: "d", Hook: "h", Number: hooks.MaxInteger, State: hooks.StateSubmitted,
		Manifest: every, Script: append(every, every...), Statement: []byte(strings.Repeat("x", hooks.MaxStatementBytes)),
		Signatures: [][]byte{every, {0}}, SubmittedBy: "ü", SubmittedAt: k.clock(),
	}
	k.must(k.AddVersion(k.ctx, v, k.grant(auth.HooksSubmit)))
	k.reopen()
	same(k, k.life("d").Version, v)
}

func texts(k *kit) {
	v := k.version("taint", 1)
	k.peer("p")
	for _, text := range oddTexts {
		c := k.newComment(v.Digest, "")
		c.User, c.Text = text, text
		k.must(k.AddComment(k.ctx, c, k.grant(auth.HooksReview)))
		list := k.comments(v.Digest)
		same(k, list[len(list)-1], c)
		k.must(k.SetLabels(k.ctx, "p", []string{text, "other"}, k.grant(auth.UsersManage)))
		peer, err := k.Peer(k.ctx, "p")
		k.must(err)
		same(k, peer.Labels, []string{text, "other"})
		k.must(k.AddUser(k.ctx, auth.User{Name: "user " + text, Password: text}, k.grant(auth.UsersManage)))
		same(k, k.account("user "+text).Password, text)
		s := k.session("key " + text)
		k.must(k.PutSession(k.ctx, s))
		stored, err := k.Session(k.ctx, s.Key)
		k.must(err)
		same(k, stored, s)
	}
	for _, text := range oddTexts {
		e := auth.Entry{ID: k.id(), At: k.clock(), Actor: text, TokenID: text, Action: text, Target: text, Detail: text, Outcome: text}
		k.must(k.AddEntry(k.ctx, e))
		found, err := k.Entries(k.ctx, auth.EntryFilter{Actor: text, Action: text, Target: text, Oldest: true, Limit: 1})
		k.must(err)
		if text != "" { // else it narrows nothing
			same(k, found, []auth.Entry{e})
		}
		j := k.report("peer "+text, hooks.Report{hooks.FieldExecutablePath: text})
		j.TriggeredBy = text
		p := collector.Problem{ID: j.ProblemID, Fingerprint: text, Package: text, Executable: text, Reports: 1, FirstSeen: k.clock(), LastSeen: k.clock()}
		j.PackageVersion, j.Release = text, text
		_, err = k.AddReport(k.ctx, j, p)
		k.must(err)
		same(k, k.job(j.ID), j)
		if p, err = k.Problem(k.ctx, j.ProblemID); err != nil || p.Package != text || text == "" { // some texts name one problem
			continue
		}
		first, err := k.Problems(k.ctx, collector.ProblemFilter{Package: text, Least: true, Limit: 1})
		k.must(err)
		same(k, first, []collector.Problem{p})
	}
}
