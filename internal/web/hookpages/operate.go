package hookpages

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/errs"
	"hookline/internal/web/kit"
	"hookline/review"
)

// The forms, by their paths below a version and by the ids of their elements.
const (
	formActivate = "activate"
	formBounds   = "bounds"
	formPause    = "pause"
	formDisable  = "disable"
)

// momentLayout is how a field of type datetime-local writes a moment.
const momentLayout = "2006-01-02T15:04:05"

// operate is what the person who looks may do with a version.
type operate struct {
	Digest   string
	Activate *boundsForm
	Bounds   *boundsForm
	Pause    *stopForm
	Disable  *stopForm
	Over     bool // its signed window is over: nothing starts it again
	Any      bool
}

// boundsForm is a form with quantity, deadline and rollout.
type boundsForm struct {
	ID, Digest, Title, Button string
	Says                      []string // what follows from it
	Fields                    []input
	Refused                   *refused
}

// stopForm is a form with a reason.
type stopForm struct {
	ID, Digest, Title, Button string
	Danger                    bool
	Says                      []string
	Reason                    string
	MaxBytes                  int
	Refused                   *refused
}

// input is one field of a form.
type input struct {
	Form, Name, Label, Hint, Type, Value string
	Min, Max                             string
	Bad                                  bool // what was typed there was refused
}

// ID is the id of its element.
func (i input) ID() string { return i.Form + "-" + i.Name }

// refused is why a form was not taken.
type refused struct {
	Field, Detail, Hint string
	Code                errs.Code
}

func refusedOf(err error) *refused {
	e, ok := errs.As(err)
	if !ok {
		return nil
	}
	return &refused{Field: e.Field, Detail: e.Error(), Hint: e.Hint, Code: e.Code}
}

// operate offers what the state of the version and the roles of the person
// allow. form is the one that was refused, with err.
func (p *pages) operate(r *kit.Request, l review.Life, signed hooks.Predicate, form string, err error) (operate, error) {
	o := operate{Digest: l.Version.Digest}
	why := func(id string) *refused {
		if id != form {
			return nil
		}
		return refusedOf(err)
	}
	over := !r.Now().Before(time.Unix(signed.NotAfter, 0))
	may := func(e hooks.Event, perm auth.Permission) bool {
		_, err := hooks.Next(l.State(), e)
		return err == nil && r.May(perm)
	}
	if may(hooks.EventActivate, auth.HooksActivate) {
		if o.Over = over; !over {
			rival, err := p.rival(r.Context(), l)
			if err != nil {
				return o, err
			}
			o.Activate = activateForm(r, l, rival, signed, why(formActivate))
		}
	}
	if l.State() == hooks.StateActive && r.May(auth.HooksActivate) && !over {
		o.Bounds = changeForm(r, *l.Activation, signed, why(formBounds))
	}
	if may(hooks.EventPause, auth.HooksDisable) {
		o.Pause = reasonForm(r, l, formPause, why(formPause))
	}
	if may(hooks.EventDisable, auth.HooksDisable) {
		o.Disable = reasonForm(r, l, formDisable, why(formDisable))
	}
	o.Any = o.Activate != nil || o.Bounds != nil || o.Pause != nil || o.Disable != nil || o.Over
	return o, nil
}

// rival is another version of the hook that is active; nil is none.
func (p *pages) rival(ctx context.Context, l review.Life) (*hooks.Activation, error) {
	list, err := p.Store.ActivePast(ctx, p.Review.Now().Add(farAhead), maxActive)
	if i := slices.IndexFunc(list, func(a hooks.Activation) bool { return a.Hook == l.Version.Hook && a.Digest != l.Version.Digest }); i >= 0 {
		return &list[i], err
	}
	return nil, err
}

func activateForm(r *kit.Request, l review.Life, rival *hooks.Activation, signed hooks.Predicate, why *refused) *boundsForm {
	f := &boundsForm{ID: formActivate, Digest: l.Version.Digest, Title: "Activate", Button: "Activate", Refused: why, Says: []string{
		"Machines whose owners allow hooks, and that showed what it is for, run it from now on.",
	}}
	if rival != nil {
		f.Says = append(f.Says, "Another version of "+l.Version.Hook+" is active, and is superseded: "+kit.Short(rival.Digest)+".")
	}
	if a := l.Activation; a != nil {
		f.Title, f.Button = "Activate again", "Activate again"
		f.Says = append(f.Says, fmt.Sprintf("Its ledger goes on: results that are in count. There are %s.", kit.Grouped(a.Ledger.Received)))
	}
	f.Fields = boundInputs(r, f.ID, why, signed, signed.MaxReports, time.Unix(signed.NotAfter, 0),
		hooks.Rollout{Percent: signed.MaxPercent, PerMinute: review.DefaultPerMinute})
	return f
}

func changeForm(r *kit.Request, a hooks.Activation, signed hooks.Predicate, why *refused) *boundsForm {
	f := &boundsForm{ID: formBounds, Digest: a.Digest, Title: "Quantity and deadline", Button: "Change", Refused: why, Says: []string{
		"It stays active. A wider bound asks more machines at once; a narrower one takes back nothing that is out.",
		fmt.Sprintf("Results in: %s, on their way: %s. The quantity must be more than both.", kit.Grouped(a.Ledger.Received), kit.Grouped(a.Ledger.Leased)),
	}}
	f.Fields = boundInputs(r, f.ID, why, signed, a.Quantity, a.Deadline, a.Rollout)
	return f
}

// boundInputs are the four bounds, with what was typed where the form was
// refused.
func boundInputs(r *kit.Request, form string, why *refused, signed hooks.Predicate, quantity int64, until time.Time, rollout hooks.Rollout) []input {
	end := time.Unix(signed.NotAfter, 0).UTC().Format(momentLayout)
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	inputs := []input{
		{Name: "quantity", Label: "Results, at most", Type: "number", Value: number(quantity), Min: "1", Max: number(signed.MaxReports), Hint: "signed: " + kit.Grouped(signed.MaxReports)},
		{Name: "deadline", Label: "Until (UTC)", Type: "datetime-local", Value: until.UTC().Format(momentLayout), Max: end, Hint: "signed: " + strings.Replace(end, "T", " ", 1) + " UTC"},
		{Name: "percent", Label: "Percent of the peers", Type: "number", Value: number(rollout.Percent), Min: "1", Max: number(signed.MaxPercent), Hint: "signed: " + number(signed.MaxPercent)},
		{Name: "per_minute", Label: "Jobs a minute", Type: "number", Value: number(rollout.PerMinute), Min: "1", Max: number(review.MaxPerMinute), Hint: "at most " + kit.Grouped(review.MaxPerMinute)},
	}
	for i := range inputs {
		inputs[i].Form = form
		if why != nil {
			inputs[i].Value, inputs[i].Bad = r.TypedOr(inputs[i].Name, inputs[i].Value), why.Field == inputs[i].Name
		}
	}
	return inputs
}

func reasonForm(r *kit.Request, l review.Life, form string, why *refused) *stopForm {
	f := &stopForm{ID: form, Digest: l.Version.Digest, MaxBytes: review.MaxReasonBytes, Refused: why, Title: "Pause", Button: "Pause", Says: []string{
		"No machine is asked any more, until somebody activates it again.",
	}}
	if form == formDisable {
		f.Title, f.Button, f.Danger = "Disable", "Disable", true
		f.Says = []string{"No machine is asked any more. It can be activated again; to close it for good, a revoker signs: hookline revoke."}
	}
	if a := l.Activation; a != nil {
		f.Says = append(f.Says, fmt.Sprintf("Jobs out now: %s. Those that were not sent are called off; those that a machine has may still bring their result.", kit.Grouped(a.Ledger.Leased)))
	}
	if why != nil {
		f.Reason = r.Typed("reason")
	}
	return f
}

// activate, bounds, pause and disable do what their forms ask for.
func (p *pages) activate(r *kit.Request) (kit.Answer, error) {
	return p.start(r, formActivate, func(q int64, until time.Time, rollout hooks.Rollout) (review.Life, error) {
		return p.Review.Activate(r.Context(), r.Who, r.ID("digest"), q, until, rollout)
	}, "%s is active.")
}

func (p *pages) bounds(r *kit.Request) (kit.Answer, error) {
	return p.start(r, formBounds, func(q int64, until time.Time, rollout hooks.Rollout) (review.Life, error) {
		return p.Review.Bounds(r.Context(), r.Who, r.ID("digest"), q, until, rollout)
	}, "%s has new bounds.")
}

func (p *pages) pause(r *kit.Request) (kit.Answer, error) {
	l, err := p.Review.Pause(r.Context(), r.Who, r.ID("digest"), reasonOf(r))
	return p.done(r, formPause, l, err, "%s is paused.")
}

func (p *pages) disable(r *kit.Request) (kit.Answer, error) {
	l, err := p.Review.Disable(r.Context(), r.Who, r.ID("digest"), reasonOf(r))
	return p.done(r, formDisable, l, err, "%s is disabled.")
}

// reasonOf is the reason that was typed; browsers end lines with CR LF.
func reasonOf(r *kit.Request) string {
	return strings.TrimSpace(strings.ReplaceAll(r.Typed("reason"), "\r\n", "\n"))
}

// start reads bounds that were typed. Whoever may not is refused by the
// domain, and in the audit log, whatever was typed: bounds that cannot be read
// are 0 there.
func (p *pages) start(r *kit.Request, form string, do func(int64, time.Time, hooks.Rollout) (review.Life, error), said string) (kit.Answer, error) {
	q, until, rollout, err := typedBounds(r)
	if err != nil && r.May(auth.HooksActivate) {
		return p.done(r, form, review.Life{}, err, said)
	}
	l, err := do(q, until, rollout)
	return p.done(r, form, l, err, said)
}

// done leads back to the version, or shows its page again with what was wrong.
func (p *pages) done(r *kit.Request, form string, l review.Life, err error, said string) (kit.Answer, error) {
	if err != nil {
		return r.Again(func(r *kit.Request) (kit.Answer, error) { return p.versionWith(r, form, err) }, err)
	}
	r.Say(said, refOf(l.Version).Name())
	return kit.Redirect{To: "/versions/" + l.Version.Digest}, nil
}

// typedBounds are the bounds of a form.
func typedBounds(r *kit.Request) (quantity int64, until time.Time, rollout hooks.Rollout, err error) {
	for _, f := range []struct {
		name string
		to   *int64
	}{{"quantity", &quantity}, {"percent", &rollout.Percent}, {"per_minute", &rollout.PerMinute}} {
		n, parseErr := strconv.ParseInt(strings.TrimSpace(r.Typed(f.name)), 10, 64)
		if parseErr != nil || n < 1 {
			return 0, until, hooks.Rollout{}, errs.New(errs.CodeBadInput, "it is not a number from 1").At(f.name)
		}
		*f.to = n
	}
	text := strings.TrimSpace(r.Typed("deadline"))
	for _, layout := range []string{momentLayout, "2006-01-02T15:04"} { // browsers leave out seconds that are 0
		if until, err = time.ParseInLocation(layout, text, time.UTC); err == nil {
			return quantity, until, rollout, nil
		}
	}
	return 0, time.Time{}, hooks.Rollout{}, errs.New(errs.CodeBadInput, "it is no time like %s, in UTC", r.Now().UTC().Format(momentLayout)).At("deadline")
}
