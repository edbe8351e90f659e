package hookpages_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/web/kit/kittest"
	"hookline/review"
)

// form is one with these names and values.
func form(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

// life is the version as it is now.
func (w *world) life(l review.Life) review.Life {
	w.T.Helper()
	l, err := w.DB.Life(w.T.Context(), l.Version.Digest)
	w.ok(err)
	return l
}

func (w *world) wantDone(a kittest.Answer, l review.Life) {
	w.T.Helper()
	if a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/versions/"+l.Version.Digest {
		w.T.Fatalf("%d %v\n%s", a.Status, a.Header, a.Body)
	}
}

func TestOperate(t *testing.T) {
	w := newWorld(t)
	l := w.approved("extra")
	path := "/versions/" + l.Version.Digest
	page := w.Want(path, auth.RoleOperator)
	// What is signed stands there at first.
	w.has(page, `action="`+path+`/activate"`, `name="quantity" type="number" value="100" min="1" max="100"`,
		`name="deadline" type="datetime-local" value="2026-05-11T12:00:00" max="2026-05-11T12:00:00" step="1"`, "Until (UTC)",
		`name="percent" type="number" value="50"`, `name="per_minute" type="number" value="600"`)

	w.wantDone(w.Post(path+"/activate", form("quantity", "10", "deadline", "2026-05-05T12:30", "percent", "20", "per_minute", "5"), auth.RoleOperator), l)
	a := w.life(l).Activation
	if a.State != hooks.StateActive || a.Quantity != 10 || !a.Deadline.Equal(time.Date(2026, 5, 5, 12, 30, 0, 0, time.UTC)) || a.Rollout != (hooks.Rollout{Percent: 20, PerMinute: 5}) {
		t.Fatalf("%+v", a)
	}
	page = w.Want(path, auth.RoleOperator)
	w.has(page, "extra@1 is active.", `value="10"`, `value="2026-05-05T12:30:00"`, `value="20"`)
	w.lacks(page, `id="activate"`)

	w.wantDone(w.Post(path+"/bounds", form("quantity", " 12 ", "deadline", "2026-05-06T00:00:01", "percent", "50", "per_minute", "5"), auth.RoleOperator), l)
	if a = w.life(l).Activation; a.Quantity != 12 || !a.Deadline.Equal(time.Date(2026, 5, 6, 0, 0, 1, 0, time.UTC)) {
		t.Fatalf("%+v", a)
	}
	w.wantDone(w.Post(path+"/pause", form("reason", "one\r\ntwo"), auth.RoleOperator), l)
	if a = w.life(l).Activation; a.State != hooks.StatePaused || a.Reason != "one\ntwo" {
		t.Fatalf("%+v", a)
	}
	page = w.Want(path, auth.RoleOperator)
	w.has(page, `aria-current="step">Paused`, `id="activate"`, `id="disable"`)
	w.lacks(page, `id="bounds"`, `id="pause"`)
	w.wantDone(w.Post(path+"/disable", form("reason", "enough"), auth.RoleOperator), l)
	if a = w.life(l).Activation; a.State != hooks.StateDisabled {
		t.Fatalf("%+v", a)
	}
}

// What was typed stays, and what was wrong stands beside it.
func TestFormsKeepWhatWasTyped(t *testing.T) {
	w := newWorld(t)
	idle, l := w.approved("idle"), w.active("extra", 3)
	const ok = "2026-05-04T18:00"
	for name, c := range map[string]struct {
		of     review.Life
		action string
		typed  url.Values
		field  string
		kept   string
		says   string
	}{
		"more than signed": {idle, "activate", form("quantity", "101", "deadline", ok, "percent", "5", "per_minute", "7"), "quantity", `value="101"`, "signed max_reports 100"},
		"no number":        {idle, "activate", form("quantity", nasty, "deadline", ok, "percent", "5", "per_minute", "7"), "quantity", `value="&lt;script&gt;alert(1)`, "not a number"},
		"none":             {idle, "activate", form("quantity", "0", "deadline", ok, "percent", "5", "per_minute", "7"), "quantity", `value="0"`, "not a number"},
		"no day":           {idle, "activate", form("quantity", "1", "deadline", "tomorrow", "percent", "5", "per_minute", "7"), "deadline", `value="tomorrow"`, "in UTC"},
		"nothing at all":   {idle, "activate", form(), "quantity", `value="100"`, "not a number"},
		"too late":         {l, "bounds", form("quantity", "3", "deadline", "2026-06-01T00:00:00", "percent", "5", "per_minute", "7"), "deadline", `value="2026-06-01T00:00:00"`, "signed not_after"},
		"too wide":         {l, "bounds", form("quantity", "3", "deadline", ok, "percent", "51", "per_minute", "7"), "percent", `value="51"`, "signed max_percent 50"},
		"too fast":         {l, "bounds", form("quantity", "3", "deadline", ok, "percent", "5", "per_minute", "6001"), "per_minute", `value="6001"`, "between 1 and 6000"},
		"no reason":        {l, "pause", form("reason", " \r\n"), "", `id="pause"`, "must say why"},
		"long reason":      {l, "disable", form("reason", strings.Repeat("word ", 200)), "", "word word </textarea>", "longer than 500 bytes"},
		"hidden in it":     {l, "disable", form("reason", "</textarea><b>\x1b"), "", "&lt;/textarea&gt;&lt;b&gt;", "control character"},
		"not in this way":  {idle, "pause", form("reason", "why not"), "", "", "Cannot pause"},
		"not active":       {idle, "bounds", form("quantity", "3", "deadline", ok, "percent", "5", "per_minute", "7"), "", "", "Cannot change the bounds"},
	} {
		t.Run(name, func(t *testing.T) {
			before := w.life(c.of)
			a := w.Post("/versions/"+c.of.Version.Digest+"/"+c.action, c.typed, auth.RoleOperator)
			if a.Status < 400 || a.Status >= 500 {
				t.Fatalf("%d", a.Status)
			}
			w.has(a.Body, c.says, c.kept, `id="refusal"`)
			if c.field != "" {
				w.has(a.Body, `aria-describedby="`+c.action+"-"+c.field+`-hint" aria-invalid="true"`)
			}
			if c.kept != "" && strings.Count(a.Body, c.says) != 2 { // on top, and beside the form
				t.Errorf("%q is there %d times", c.says, strings.Count(a.Body, c.says))
			}
			w.lacks(a.Body, "<b>", "<script>alert", "sse-connect")
			if !cmp.Equal(w.life(c.of), before) {
				t.Error("it did something")
			}
		})
	}
}

// Whoever may not is refused by the domain and in the audit log, whatever was typed.
func TestFormsAskTheGate(t *testing.T) {
	w := newWorld(t)
	l := w.active("extra", 3)
	for _, action := range []string{"activate", "bounds", "pause", "disable"} {
		for _, role := range []auth.Role{auth.RoleViewer, auth.RoleAuthor, auth.RoleReviewer} {
			a := w.Post("/versions/"+l.Version.Digest+"/"+action, form("reason", "x", "quantity", "nonsense"), role)
			if a.Status != http.StatusForbidden || !strings.Contains(a.Body, "operator") {
				t.Errorf("%s as %s: %d\n%s", action, role, a.Status, a.Body)
			}
			e, err := w.DB.Entries(t.Context(), auth.EntryFilter{Limit: 1})
			w.ok(err)
			if e[0].Outcome != "forbidden" || e[0].Actor != string(role) || e[0].Target != "version/"+l.Version.Digest {
				t.Errorf("%s as %s: audited %+v", action, role, e[0])
			}
		}
		if a := w.Post("/versions/"+l.Version.Digest+"/"+action, form("reason", "x")); a.Status != http.StatusUnauthorized {
			t.Errorf("%s as nobody: %d", action, a.Status)
		}
		if a := w.Post("/versions/"+strings.Repeat("0", 64)+"/"+action, form("reason", "x", "quantity", "1", "deadline", "2026-05-05T00:00", "percent", "1", "per_minute", "1"), auth.RoleOperator); a.Status != http.StatusNotFound {
			t.Errorf("%s of no version: %d", action, a.Status)
		}
	}
	if s := w.life(l).State(); s != hooks.StateActive {
		t.Errorf("it is %s", s)
	}
}
