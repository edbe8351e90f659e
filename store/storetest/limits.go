package storetest

import (
	"slices"
	"strings"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/review"
	"hookline/store"
)

// text is one place where a store takes a text or bytes of any length. use
// stores something there that is refused.
type text struct {
	name  string
	bytes bool // it need not be UTF-8
	use   func(k *kit, s string, g auth.Grant) error
}

// textPlaces are all of them.
func textPlaces() []text { return slices.Concat(textsOfPeople(), textsOfPeers()) }

func textsOfPeople() []text {
	version := func(change func(v *review.Version, s string)) func(*kit, string, auth.Grant) error {
		return func(k *kit, s string, g auth.Grant) error {
			v := review.Version{Digest: "new", Hook: "new", Number: 1, State: hooks.StateSubmitted, Signatures: [][]byte{{1}}, SubmittedAt: k.clock()}
			change(&v, s)
			return k.AddVersion(k.ctx, v, g)
		}
	}
	reviewed := func(change func(r *review.Review, s string)) func(*kit, string, auth.Grant) error {
		return func(k *kit, s string, g auth.Grant) error {
			r := k.approval("hook-2", "carol")
			change(&r, s)
			return k.AddReview(k.ctx, r, hooks.StateSubmitted, hooks.StateSubmitted, g)
		}
	}
	return []text{
		{"a user", false, func(k *kit, s string, g auth.Grant) error { return k.AddUser(k.ctx, auth.User{Name: s}, g) }},
		{"a role", false, func(k *kit, s string, g auth.Grant) error {
			return k.AddUser(k.ctx, auth.User{Name: "alice", Roles: []auth.Role{auth.Role(s)}}, g)
		}},
		{"a password", false, func(k *kit, s string, g auth.Grant) error {
			return k.ChangeUser(k.ctx, "bob", auth.UserChange{Password: &s}, g)
		}},
		{"another role", false, func(k *kit, s string, g auth.Grant) error {
			return k.ChangeUser(k.ctx, "bob", auth.UserChange{Roles: []auth.Role{auth.Role(s)}}, g)
		}},
		{"a session", false, func(k *kit, s string, _ auth.Grant) error { return k.PutSession(k.ctx, auth.Session{Key: s}) }},
		{"a remark", false, func(k *kit, s string, g auth.Grant) error {
			c := k.newComment("hook-1", "")
			c.Text = s
			return k.AddComment(k.ctx, c, g)
		}},
		{"who settles a thread", false, func(k *kit, s string, g auth.Grant) error {
			return k.ResolveThread(k.ctx, "hook-1", k.comments("hook-1")[0].ID, s, k.clock(), g)
		}},
		{"a label", false, func(k *kit, s string, g auth.Grant) error { return k.SetLabels(k.ctx, "p", []string{"ok", s}, g) }},
		{"a token", false, func(k *kit, s string, g auth.Grant) error {
			t := k.token("api", auth.TokenAPI)
			t.Name = s
			return k.AddToken(k.ctx, t, g)
		}},
		{"an audit entry", false, func(k *kit, s string, _ auth.Grant) error {
			return k.AddEntry(k.ctx, auth.Entry{ID: k.id(), At: k.clock(), Detail: s})
		}},
		{"a manifest", true, version(func(v *review.Version, s string) { v.Manifest = []byte(s) })},
		{"a script", true, version(func(v *review.Version, s string) { v.Script = []byte(s) })},
		{"a statement", true, version(func(v *review.Version, s string) { v.Statement = []byte(s) })},
		{"a signature file", true, version(func(v *review.Version, s string) { v.Signatures = [][]byte{{1}, []byte(s)} })},
		{"a version as a whole", true, version(func(v *review.Version, s string) {
			third := []byte(s[:len(s)/3+1])
			v.Manifest, v.Script, v.Signatures = third, third, [][]byte{third}
		})},
		{"a submitter", false, version(func(v *review.Version, s string) { v.SubmittedBy = s })},
		{"a comment", false, reviewed(func(r *review.Review, s string) { r.Comment = s })},
		{"a reviewer's signature", true, reviewed(func(r *review.Review, s string) { r.Signature = []byte(s) })},
		{"a match key", false, func(k *kit, s string, g auth.Grant) error {
			a := k.activation(review.Version{Digest: "hook-3", Hook: "hook"}, 5)
			a.Keys = append(a.Keys, s)
			return k.Activate(k.ctx, a, hooks.StateApproved, g)
		}},
		{"why it is disabled", false, func(k *kit, s string, g auth.Grant) error {
			return k.Stop(k.ctx, "hook-1", hooks.StateActive, hooks.StateDisabled, s, k.clock(), g)
		}},
	}
}

func textsOfPeers() []text {
	return []text{
		{"why its state changed", false, func(k *kit, s string, _ auth.Grant) error {
			_, err := k.ChangeState(k.ctx, "hook-1", hooks.StateActive, hooks.StatePaused, s, k.clock())
			return err
		}},
		{"a peer", false, func(k *kit, s string, _ auth.Grant) error {
			return k.AddPeer(k.ctx, enroll.Peer{ID: "new", SPKI: "new", Name: s})
		}},
		{"a hello", false, func(k *kit, s string, _ auth.Grant) error {
			_, err := k.Connect(k.ctx, "p", "server", enroll.Hello{Version: s}, k.clock())
			return err
		}},
		{"a report's job", false, func(k *kit, s string, _ auth.Grant) error {
			j := k.report("p", crashed)
			j.TriggeredBy = s
			_, err := k.AddReport(k.ctx, j, k.problem(j))
			return err
		}},
		{"a report's problem", false, func(k *kit, s string, _ auth.Grant) error {
			j := k.report("p", crashed)
			p := k.problem(j)
			p.Executable = s
			_, err := k.AddReport(k.ctx, j, p)
			return err
		}},
		{"a hook job", false, func(k *kit, s string, _ auth.Grant) error {
			j := k.hookJob("p", "hook-1", "another")
			j.TriggeredBy = s
			return k.lease(j)
		}},
		{"a failure", false, func(k *kit, s string, _ auth.Grant) error {
			pending, err := k.Jobs(k.ctx, jobs.Filter{Status: jobs.Pending, Limit: 1})
			k.must(err)
			d := k.decision(hooks.OutcomeFailed)
			d.Text = s
			_, err = k.Settle(k.ctx, pending[0].ID, d, nil, k.clock())
			return err
		}},
	}
}

// refuses demands that each place refuses a text, says what to do, and keeps
// nothing of it, no audit entry either.
func (k *kit) refuses(s string, code errs.Code, places []text) {
	k.pending("p", "hook", "original")
	k.version("hook", 2)
	k.approved("hook", 3)
	k.peer("p")
	k.user("bob")
	k.comment("hook-1", "")
	before, entries := k.snapshot(), k.entries()
	for _, p := range places {
		err := p.use(k, s, k.grant(auth.HooksSubmit))
		if e, ok := errs.As(err); !ok || e.Code != code || e.Hint == "" {
			k.Errorf("%s: %.300v, want %s with a hint", p.name, err, code)
		}
		k.Log(p.name)
		same(k, k.snapshot(), before)
		same(k, k.entries(), entries)
	}
	k.sound(before)
}

// tooLarge offers what no document of MongoDB can hold, in every place.
func tooLarge(k *kit) {
	k.refuses(strings.Repeat("x", store.MaxRecordBytes+1), errs.CodeTooLarge, textPlaces())
}

// notText offers what is no text, in every place that takes texts.
func notText(k *kit) {
	var places []text
	for _, p := range textPlaces() {
		if !p.bytes {
			places = append(places, p)
		}
	}
	k.refuses("a\xffb", errs.CodeBadInput, places)
	bad := "\xff"
	for name, read := range map[string]func() error{
		"User":         func() error { _, err := k.User(k.ctx, bad); return err },
		"Peer":         func() error { _, err := k.Peer(k.ctx, bad); return err },
		"Peers":        func() error { _, err := k.Peers(k.ctx, bad, 1); return err },
		"Life":         func() error { _, err := k.Life(k.ctx, bad); return err },
		"LatestNumber": func() error { _, err := k.LatestNumber(k.ctx, bad); return err },
		"Hooks":        func() error { _, err := k.Hooks(k.ctx, bad, 1); return err },
		"VersionsOf":   func() error { _, err := k.VersionsOf(k.ctx, bad, 0, 1); return err },
		"Activation":   func() error { _, err := k.Activation(k.ctx, bad); return err },
		"ActiveByKeys": func() error { _, err := k.ActiveByKeys(k.ctx, []string{bad}); return err },
		"Job":          func() error { _, err := k.Job(k.ctx, bad); return err },
		"Jobs":         func() error { _, err := k.Jobs(k.ctx, jobs.Filter{PeerID: bad}); return err },
		"Result":       func() error { _, err := k.Result(k.ctx, bad); return err },
		"Results":      func() error { _, err := k.Results(k.ctx, collector.ResultFilter{Hook: bad}); return err },
		"Problem":      func() error { _, err := k.Problem(k.ctx, bad); return err },
		"Token":        func() error { _, err := k.Token(k.ctx, bad); return err },
		"Tokens":       func() error { _, err := k.Tokens(k.ctx, bad, "", 1); return err },
		"Users":        func() error { _, err := k.Users(k.ctx, bad, 1); return err },
		"Session":      func() error { _, err := k.Session(k.ctx, bad); return err },
		"PeersBy": func() error {
			_, err := k.PeersBy(k.ctx, enroll.PeerFilter{Sort: enroll.ByName, After: bad + "/x"})
			return err
		},
		"Waiting":      func() error { _, err := k.Waiting(k.ctx, "1/"+bad, 1); return err },
		"Comments":     func() error { _, err := k.Comments(k.ctx, bad); return err },
		"Problems":     func() error { _, err := k.Problems(k.ctx, collector.ProblemFilter{Package: bad}); return err },
		"a page of it": func() error { _, err := k.Problems(k.ctx, collector.ProblemFilter{After: "1/" + bad}); return err },
		"Entries":      func() error { _, err := k.Entries(k.ctx, auth.EntryFilter{Actor: bad}); return err },
		"CountJobs": func() error {
			_, err := k.CountJobs(k.ctx, jobs.Filter{PeerID: bad}, []time.Time{k.clock(), k.clock().Add(time.Hour)}, 1)
			return err
		},
		"Unacked":   func() error { _, err := k.Unacked(k.ctx, bad, 1); return err },
		"Originals": func() error { _, err := k.Originals(k.ctx, bad, []string{"fp:a"}, 1); return err },
	} {
		if err := read(); !errs.Is(err, errs.CodeBadInput) {
			k.Errorf("%s: %v, want %s", name, err, errs.CodeBadInput)
		}
	}
}
