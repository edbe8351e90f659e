package storetest

import (
	"slices"
	"strconv"
	"time"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/review"
)

// intent is one row of what a store does as a whole.
type intent struct {
	name string
	may  auth.Permission // of a person's intent, "" for a machine's
	prep func(k *kit) attempt
}

// attempt is an intent on a store that is ready for it, the same however
// often it is made.
type attempt struct {
	do      func(g auth.Grant) error
	again   []errs.Code               // how it is answered where it was done: "" is no error
	undone  []errs.Code               // how it may be refused where it was not done, since a recovery has ended it
	repeats bool                      // done twice it changes something twice
	even    func(s snapshot) snapshot // what a cut may leave beside "nothing", taken away; nil for nothing
	then    func(done bool)           // looks on, in the end; nil for nothing
}

func intents() []intent {
	return slices.Concat(accountIntents(), versionIntents(), peerIntents(), jobIntents(), settleIntents(), repairIntents())
}

// once is an attempt that is done or not.
func once(do func(g auth.Grant) error, again ...errs.Code) attempt {
	return attempt{do: do, again: again, even: func(s snapshot) snapshot { return s }}
}

func accountIntents() []intent {
	return []intent{
		{"AddUser", auth.TokensCreate, func(k *kit) attempt {
			u := auth.User{Name: "alice", Roles: []auth.Role{auth.RoleAuthor}, CreatedAt: k.clock()}
			return once(func(g auth.Grant) error { return k.AddUser(k.ctx, u, g) }, errs.CodeConflict)
		}},
		{"AddToken", auth.TokensCreate, func(k *kit) attempt {
			t := k.token("api", auth.TokenAPI)
			return once(func(g auth.Grant) error { return k.AddToken(k.ctx, t, g) }, errs.CodeConflict)
		}},
		{"SpendToken", "", func(k *kit) attempt {
			login := k.token("login", auth.TokenLogin)
			k.must(k.AddToken(k.ctx, login, k.grant(auth.LoginCreate)))
			return once(func(auth.Grant) error { return k.SpendToken(k.ctx, login.ID) }, errs.CodeNotFound)
		}},
		{"RemoveToken", auth.TokensCreate, func(k *kit) attempt {
			t := k.token("api", auth.TokenAPI)
			k.must(k.AddToken(k.ctx, t, k.grant(auth.TokensCreate)))
			return once(func(g auth.Grant) error { return k.RemoveToken(k.ctx, t.ID, g) }, errs.CodeNotFound)
		}},
		{"ChangeUser", auth.UsersManage, func(k *kit) attempt {
			k.user("alice")
			password, on := hashed("other"), false
			c := auth.UserChange{Roles: []auth.Role{auth.RoleAdmin}, Password: &password, Off: &on}
			return once(func(g auth.Grant) error { return k.ChangeUser(k.ctx, "alice", c, g) }, "")
		}},
		{"TrySignIn", "", func(k *kit) attempt {
			k.user("alice")
			at := k.clock()
			a := once(func(auth.Grant) error {
				_, err := k.TrySignIn(k.ctx, "alice", at, at.Add(-time.Hour), 100)
				return err
			})
			a.repeats = true
			return a
		}},
		{"SignedIn", "", func(k *kit) attempt {
			k.user("alice")
			at := k.clock()
			return once(func(auth.Grant) error { return k.SignedIn(k.ctx, "alice", at) }, "")
		}},
		{"PutSession", "", func(k *kit) attempt {
			s := k.session("browser")
			return once(func(auth.Grant) error { return k.PutSession(k.ctx, s) }, "")
		}},
		{"EndSession", "", func(k *kit) attempt {
			s := k.session("browser")
			k.must(k.PutSession(k.ctx, s))
			return once(func(auth.Grant) error { return k.EndSession(k.ctx, s.Key) }, "")
		}},
		{"PurgeTokens", "", func(k *kit) attempt {
			for i, name := range []string{"old", "older", "oldest", "api"} {
				t := k.token(name, auth.TokenSession)
				t.ExpiresAt = t.ExpiresAt.Add(-time.Duration(i%3) * time.Minute)
				k.must(k.AddToken(k.ctx, t, k.grant(auth.TokensCreate)))
			}
			s := k.session("old browser")
			s.ExpiresAt = s.ExpiresAt.Add(-time.Minute)
			k.must(k.PutSession(k.ctx, s))
			ended := k.clock().Add(time.Hour - time.Minute)
			a := once(func(auth.Grant) error {
				_, err := k.PurgeTokens(k.ctx, ended, 10)
				return err
			}, "")
			a.even = func(s snapshot) snapshot { return unended(s, ended) } // some may be gone, and others there
			return a
		}},
	}
}

// unended is a snapshot without the tokens and sessions that had ended.
func unended(s snapshot, by time.Time) snapshot {
	s.Tokens = slices.DeleteFunc(slices.Clone(s.Tokens), func(t auth.Token) bool { return !t.ExpiresAt.After(by) })
	s.Sessions = slices.DeleteFunc(slices.Clone(s.Sessions), func(s auth.Session) bool { return !s.ExpiresAt.After(by) })
	if len(s.Sessions) == 0 {
		s.Sessions = nil
	}
	return s
}

func versionIntents() []intent {
	return []intent{
		{"AddVersion, the first of its hook", auth.HooksSubmit, func(k *kit) attempt { return addsVersion(k, 1) }},
		{"AddVersion, a newer one", auth.HooksSubmit, func(k *kit) attempt {
			k.version("hook", 1)
			return addsVersion(k, 2)
		}},
		{"AddReview, changes requested", auth.HooksReview, func(k *kit) attempt {
			r := k.approval(k.version("hook", 1).Digest, "carol")
			r.Verdict, r.Signature = review.VerdictRequestChanges, nil
			return once(func(g auth.Grant) error {
				return k.AddReview(k.ctx, r, hooks.StateSubmitted, hooks.StateChangesRequested, g)
			}, errs.CodeConflict)
		}},
		{"AddReview, approval", auth.HooksReview, func(k *kit) attempt {
			r := k.approval(k.version("hook", 1).Digest, "bob")
			return once(func(g auth.Grant) error {
				return k.AddReview(k.ctx, r, hooks.StateSubmitted, hooks.StateApproved, g)
			}, errs.CodeConflict)
		}},
		{"Activate, the first time", auth.HooksActivate, func(k *kit) attempt {
			return activates(k, k.activation(k.approved("hook", 1), 3), hooks.StateApproved)
		}},
		{"Activate, in another's place", auth.HooksActivate, func(k *kit) attempt {
			k.active("hook", 3)
			return activates(k, k.activation(k.approved("hook", 2), 3), hooks.StateApproved)
		}},
		{"Activate, again", auth.HooksActivate, func(k *kit) attempt {
			a := k.active("hook", 3)
			k.taken(a.Digest)
			k.must(k.Stop(k.ctx, a.Digest, hooks.StateActive, hooks.StateDisabled, "noisy", k.clock(), k.grant(auth.HooksDisable)))
			a.Quantity = 2
			return activates(k, a, hooks.StateDisabled)
		}},
		{"Activate, again and in another's place", auth.HooksActivate, func(k *kit) attempt {
			a := k.active("hook", 3)
			k.must(k.Activate(k.ctx, k.activation(k.approved("hook", 2), 3), hooks.StateApproved, k.grant(auth.HooksActivate)))
			return activates(k, a, hooks.StateSuperseded)
		}},
		{"Disable", auth.HooksDisable, func(k *kit) attempt {
			a, at := k.active("hook", 3), k.clock()
			return once(func(g auth.Grant) error {
				return k.Stop(k.ctx, a.Digest, hooks.StateActive, hooks.StateDisabled, "noisy", at, g)
			}, errs.CodeConflict)
		}},
		{"Pause", auth.HooksDisable, func(k *kit) attempt {
			a, at := k.active("hook", 3), k.clock()
			return once(func(g auth.Grant) error {
				return k.Stop(k.ctx, a.Digest, hooks.StateActive, hooks.StatePaused, "a moment", at, g)
			}, errs.CodeConflict)
		}},
		{"Activate, with other bounds", auth.HooksActivate, func(k *kit) attempt {
			a := k.active("hook", 3)
			k.taken(a.Digest)
			a.Quantity, a.Deadline = 2, a.Deadline.Add(time.Hour)
			return once(func(g auth.Grant) error { return k.Activate(k.ctx, a, hooks.StateActive, g) }, "")
		}},
		{"AddComment", auth.HooksReview, func(k *kit) attempt {
			first := k.comment(k.version("hook", 1).Digest, "")
			c := k.newComment(first.Version, first.ID)
			return once(func(g auth.Grant) error { return k.AddComment(k.ctx, c, g) }, errs.CodeConflict)
		}},
		{"ResolveThread", auth.HooksReview, func(k *kit) attempt {
			first, at := k.comment(k.version("hook", 1).Digest, ""), k.clock()
			return once(func(g auth.Grant) error { return k.ResolveThread(k.ctx, first.Version, first.ID, "alice", at, g) }, "")
		}},
		{"ChangeState", "", func(k *kit) attempt {
			a, at := k.active("hook", 3), k.clock()
			return once(func(auth.Grant) error {
				_, err := k.ChangeState(k.ctx, a.Digest, hooks.StateActive, hooks.StatePaused, "error-rate", at)
				return err
			}, "")
		}},
	}
}

func addsVersion(k *kit, number int64) attempt {
	v := review.Version{
		Digest: "hook-" + strconv.FormatInt(number, 10), Hook: "hook", Number: number, State: hooks.StateSubmitted,
		Manifest: []byte("hook: hook"), Script: []byte("return {}"), Statement: []byte("{}"),
		Signatures: [][]byte{[]byte("author")}, SubmittedBy: "alice", SubmittedAt: k.clock(),
	}
	return once(func(g auth.Grant) error { return k.AddVersion(k.ctx, v, g) }, errs.CodeVersionTaken)
}

func activates(k *kit, v hooks.Activation, from hooks.State) attempt {
	return once(func(g auth.Grant) error { return k.Activate(k.ctx, v, from, g) }, errs.CodeConflict)
}

func peerIntents() []intent {
	return []intent{
		{"AddPeer", "", func(k *kit) attempt {
			p := k.peer("other")
			p.ID, p.SPKI = "p", "spki of p"
			return once(func(auth.Grant) error { return k.AddPeer(k.ctx, p) }, "")
		}},
		{"Connect", "", func(k *kit) attempt {
			p, at := k.peer("p"), k.clock()
			a := once(func(auth.Grant) error {
				_, err := k.Connect(k.ctx, p.ID, "server", helloOf(p), at)
				return err
			})
			a.repeats = true
			return a
		}},
		{"SetLabels", auth.UsersManage, func(k *kit) attempt {
			p := k.peer("p")
			return once(func(g auth.Grant) error { return k.SetLabels(k.ctx, p.ID, []string{"other"}, g) }, "")
		}},
		{"Disconnect", "", func(k *kit) attempt {
			p, at := k.peer("p"), k.clock()
			epoch, err := k.Connect(k.ctx, p.ID, "server", helloOf(p), at)
			k.must(err)
			return once(func(auth.Grant) error {
				_, err := k.Disconnect(k.ctx, p.ID, epoch, at)
				return err
			}, "")
		}},
	}
}

func jobIntents() []intent {
	return []intent{
		{"AddReport, of a new problem", "", func(k *kit) attempt { return reports(k, k.report("p", crashed)) }},
		{"AddReport, of a known problem", "", func(k *kit) attempt {
			k.filed("q", crashed)
			k.advance(time.Second)
			return reports(k, k.report("p", crashed))
		}},
		{"AddReport, the same again", "", func(k *kit) attempt { return reports(k, k.filed("p", crashed)) }},
		{"Lease", "", func(k *kit) attempt { return takes(k, 0) }},
		{"Lease, for a peer that is nearly busy", "", func(k *kit) attempt { return takes(k, jobs.MaxHooksPerPeer-1) }},
		{"Reserve", "", func(k *kit) attempt { return reserves(k, 100) }},
		{"Reserve, giving back", "", func(k *kit) attempt { return reserves(k, -100) }},
		{"MarkSent", "", func(k *kit) attempt {
			j, at := k.pending("p", "hook", "original"), k.clock()
			return once(func(auth.Grant) error {
				_, err := k.MarkSent(k.ctx, j.ID, at)
				return err
			}, "")
		}},
		{"MarkAcked", "", func(k *kit) attempt {
			j, at := k.pending("p", "hook", "original"), k.clock()
			return once(func(auth.Grant) error { return k.MarkAcked(k.ctx, []collector.Ack{{JobID: j.ID, At: at}}) }, "")
		}},
	}
}

func reports(k *kit, j jobs.Job) attempt {
	return once(func(auth.Grant) error {
		_, err := k.AddReport(k.ctx, j, k.problem(j))
		return err
	}, "")
}

// takes takes a lease for a peer that has some jobs. A lease whose job was
// not stored is lost: its id is used up, and whoever asks again has another.
func takes(k *kit, pending int) attempt {
	for i := range pending {
		k.pending("p", "hook", "other "+strconv.Itoa(i))
	}
	j, at := k.hookJob("p", k.on("hook"), "original"), k.clock()
	a := once(func(auth.Grant) error { return k.Lease(k.ctx, j, at) }, errs.CodeConflict)
	a.undone, a.even = []errs.Code{errs.CodeConflict}, unlost
	a.then = func(done bool) {
		next := j
		next.ID = k.id()
		err := k.Lease(k.ctx, next, at)
		if done {
			k.refused(err, errs.CodeAlreadyAsked)
		} else if err != nil {
			k.Errorf("another lease after one that was lost: %v", err)
		}
	}
	return a
}

func reserves(k *kit, n int64) attempt {
	j := k.pending("p", "hook", "original")
	k.must(k.Reserve(k.ctx, j.Version, j.ID, 1_000))
	a := once(func(auth.Grant) error { return k.Reserve(k.ctx, j.Version, j.ID, n) })
	a.repeats = true
	return a
}

func settleIntents() []intent {
	return []intent{
		{"Settle, received", "", func(k *kit) attempt { return settles(k, 2, 0, hooks.OutcomeReceived) }},
		{"Settle, received as reserved", "", func(k *kit) attempt { return settles(k, 2, crashBytes, hooks.OutcomeReceived) }},
		{"Settle, received and the last", "", func(k *kit) attempt { return settles(k, 1, 0, hooks.OutcomeReceived) }},
		{"Settle, empty", "", func(k *kit) attempt { return settles(k, 2, 0, hooks.OutcomeEmpty) }},
		{"Settle, failed", "", func(k *kit) attempt { return settles(k, 1, 0, hooks.OutcomeFailed) }},
		{"Settle, failed with bytes reserved", "", func(k *kit) attempt { return settles(k, 1, 1_000, hooks.OutcomeFailed) }},
		{"Settle, decided before", "", func(k *kit) attempt {
			a := settles(k, 2, 0, hooks.OutcomeReceived)
			k.must(a.do(auth.Grant{}))
			return a
		}},
	}
}

func settles(k *kit, quantity, reserved int64, o hooks.Outcome) attempt {
	original := k.filed("p", crashed)
	j := k.hookJob("p", k.active("hook", quantity).Digest, original.ID)
	k.must(k.lease(j))
	if reserved > 0 {
		k.must(k.Reserve(k.ctx, j.Version, j.ID, reserved))
	}
	r, at := k.result(j, "17 bytes of field"), k.clock()
	a := once(func(auth.Grant) error {
		if o != hooks.OutcomeReceived {
			_, err := k.Settle(k.ctx, j.ID, k.decision(o), nil, at)
			return err
		}
		_, err := k.Settle(k.ctx, j.ID, k.decision(o), &r, at)
		return err
	}, "")
	a.even = unreserved
	return a
}

// repairIntents cut the recovery of what was cut before.
func repairIntents() []intent {
	recovers := func(k *kit) attempt {
		k.advance(noLongerYoung)
		return once(func(auth.Grant) error { return k.collector().Recover(k.ctx) }, "")
	}
	return []intent{
		{"Recover, a lease without a job", "", func(k *kit) attempt {
			k.must(k.LeaseSteps(k.hookJob("p", k.on("hook"), "original"), k.clock())[0](k.ctx))
			return recovers(k)
		}},
		{"Recover, the lease of a decided job", "", func(k *kit) attempt {
			halfSettled(k, hooks.OutcomeReceived)
			return recovers(k)
		}},
		{"Recover, the lease of a failed job", "", func(k *kit) attempt {
			halfSettled(k, hooks.OutcomeFailed)
			return recovers(k)
		}},
		{"Recover, a job that nobody answered", "", func(k *kit) attempt {
			k.pending("p", "hook", "original")
			k.advance(jobs.DefaultDeadline)
			return recovers(k)
		}},
		{"Recover, a report that is stored and not counted", "", func(k *kit) attempt {
			k.filed("q", crashed)
			j := k.report("p", crashed)
			k.half(1, func() error { _, err := k.AddReport(k.ctx, j, k.problem(j)); return err })
			return recovers(k)
		}},
		{"Recover, a person's action without its end", "", func(k *kit) attempt {
			for n := range 3 {
				v := addsVersion(k, int64(n+1))
				g := k.grant(auth.HooksSubmit)
				k.half(n+1, func() error { return v.do(g) })
			}
			return recovers(k)
		}},
	}
}

// halfSettled makes all steps of a Settle but the last.
func halfSettled(k *kit, o hooks.Outcome) {
	j := k.pending("p", "hook", "original")
	var r *collector.Result
	if o == hooks.OutcomeReceived {
		fields := k.result(j, "17 bytes of field")
		r = &fields
	}
	steps := k.SettleSteps(j.ID, k.decision(o), r, k.clock())
	for _, step := range steps[:len(steps)-1] {
		k.must(step(k.ctx))
	}
}

// half does what can be cut after n commands, and opens the store again. A
// store that cannot be cut does it whole.
func (k *kit) half(n int, do func() error) {
	k.Helper()
	c, ok := k.Store.(Cutter)
	if !ok {
		k.must(do())
		return
	}
	cut := c.Cut(n, false)
	if err := do(); !cut() {
		k.must(err)
	}
	k.reopen()
}
