package reviews

import (
	"context"
	"slices"
	"time"

	"hookline/hooks"
	"hookline/internal/code"
	"hookline/internal/errs"
	"hookline/internal/web/kit"
	"hookline/internal/wording"
	"hookline/review"
	"hookline/signing"
)

// maxEarlier versions are looked at, and can be chosen to compare with.
const maxEarlier = 30

// compared is what a version is compared with, and in what they differ.
type compared struct {
	To      kit.VersionRef // Number 0: nothing
	Why     string         // why it is that one
	Chosen  string         // digest that was asked for
	Passed  []string       // approved once, and not compared with
	Earlier []earlier      // the newest first
	Changes []wording.Change
	Wider   int // of the changes
	Code    code.Difference
	Split   bool
	Mine    *mine // nil where the account said nothing yet
}

// earlier is a version that can be compared with.
type earlier struct {
	kit.VersionRef
	State hooks.State
}

// mine is what the account said last, about an earlier version.
type mine struct {
	kit.VersionRef
	Verdict review.Verdict
	At      time.Time
}

// compare finds what a version is compared with: the one that was asked for, or
// the newest approved one whose signatures hold under the rules of now.
func (p *pages) compare(ctx context.Context, v review.Version, now hooks.Predicate, against, user string) (compared, error) {
	out := compared{Chosen: against}
	before, err := p.Store.VersionsOf(ctx, v.Hook, v.Number, maxEarlier)
	if err != nil && !errs.Is(err, errs.CodeNotFound) {
		return out, err
	}
	for _, l := range before {
		out.Earlier = append(out.Earlier, earlier{refOf(l.Version), l.State()})
	}
	out.Mine = lastWord(before, user)
	var base *review.Version
	if against != "" {
		base, err = p.asked(ctx, v, before, against)
		out.Why = "chosen"
	} else {
		base, out.Passed = lastApproved(p.Rules(), before)
		out.Why = "the last approved version"
	}
	if err != nil || base == nil {
		return out, err
	}
	st, err := hooks.ParseStatement(base.Statement)
	if err != nil {
		return out, err
	}
	out.To = refOf(*base)
	out.Changes = wording.Changes(st.Predicate, now)
	for _, c := range out.Changes {
		if c.Mark.More() {
			out.Wider++
		}
	}
	out.Code = p.Painter.LuaDifference(base.Script, v.Script)
	return out, nil
}

func refOf(v review.Version) kit.VersionRef {
	return kit.VersionRef{Hook: v.Hook, Number: v.Number, Digest: v.Digest}
}

// asked is another version of the same hook.
func (p *pages) asked(ctx context.Context, v review.Version, before []review.Life, digest string) (*review.Version, error) {
	if i := slices.IndexFunc(before, func(l review.Life) bool { return l.Version.Digest == digest }); i >= 0 {
		return &before[i].Version, nil
	}
	l, err := p.Store.Life(ctx, digest)
	if err != nil || l.Version.Hook != v.Hook || digest == v.Digest {
		return nil, errs.New(errs.CodeNotFound, "this hook has no such other version").At("against").WithHint("choose one of the list")
	}
	return &l.Version, nil
}

// lastApproved is the newest approved version whose signatures hold; those
// that were approved later and do not count any more are passed over.
func lastApproved(rules signing.Rules, before []review.Life) (base *review.Version, passed []string) {
	for _, l := range before {
		switch l.Version.State {
		case hooks.StateSubmitted, hooks.StateChangesRequested, hooks.StateRejected:
			continue
		}
		v := l.Version
		if _, err := rules.Verify(v.Script, v.Statement, v.Signatures); err != nil {
			passed = append(passed, "version "+refOf(v).Name()+" does not count any more: "+err.Error())
			continue
		}
		return &v, passed
	}
	return nil, passed
}

// lastWord is what the account said last about an earlier version.
func lastWord(before []review.Life, user string) *mine {
	var last *mine
	for _, l := range before {
		for _, r := range l.Reviews {
			if r.User == user && (last == nil || r.At.After(last.At)) {
				last = &mine{refOf(l.Version), r.Verdict, r.At}
			}
		}
	}
	return last
}
