package server

import (
	"testing"
	"time"

	"hookline/internal/api"
	"hookline/internal/auth"
	"hookline/internal/errs"
)

// Operators change what is active, pause it and start it again, over the API.
func TestBoundsAndPause(t *testing.T) {
	r := newRig(t)
	v := r.activate("kernel-taint")
	path := "/api/versions/" + v.Digest
	until := r.clock.now().Add(2 * time.Hour)
	r.must(auth.RoleOperator, "POST", path+"/bounds", api.NewActivation{Quantity: 5, Deadline: until, Percent: 10, PerMinute: 7}, 200, &v)
	if a := v.Activation; v.State != "active" || a.Quantity != 5 || !a.Deadline.Equal(until) || a.Rollout.Percent != 10 || a.Rollout.PerMinute != 7 {
		t.Errorf("%+v", a)
	}
	refused := func(quantity int64, code errs.Code) {
		t.Helper()
		a := r.send(auth.RoleOperator, "POST", path+"/bounds", api.NewActivation{Quantity: quantity, Deadline: until})
		if p := a.problem(t); a.Status < 400 || p.Code != string(code) {
			t.Errorf("%d %+v, want %s", a.Status, p, code)
		}
	}
	refused(1<<40, errs.CodeBoundExceeded)
	r.must(auth.RoleOperator, "POST", path+"/pause", api.Stop{Reason: "a look"}, 200, &v)
	if v.State != "paused" || v.Activation.Reason != "a look" {
		t.Errorf("%s %+v", v.State, v.Activation)
	}
	refused(5, errs.CodeTransitionNotAllowed)
	var again api.Version
	r.must(auth.RoleOperator, "POST", path+"/activation", api.NewActivation{Quantity: 5, Deadline: until}, 200, &again)
	if again.State != "active" || again.Activation.Reason != "" {
		t.Errorf("%s %+v", again.State, again.Activation)
	}
}
