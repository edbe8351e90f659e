package server

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"hookline/internal/api"
	"hookline/internal/auth"
	"hookline/internal/errs"
)

var nobody = strings.Repeat("0", 64)

// everybody is every role; the tables below name who may.
var everybody = auth.Roles()

// routes is every route with a request that is well formed, and who may make
// it. What comes back to those who may is not looked at here.
var routes = []struct {
	method, path string
	body         any
	may          []auth.Role
}{
	{"GET", "/api/me", nil, everybody},
	{"GET", "/api/info", nil, everybody},
	{"GET", "/api/trust", nil, everybody},
	{"PUT", "/api/trust", api.NewTrust{Bundle: []byte("x")}, []auth.Role{auth.RoleAdmin, auth.RoleOperator}},
	{"POST", "/api/revocations", api.NewRevocations{Metadata: []byte("x")}, everybody},
	{"POST", "/api/tokens", api.NewToken{User: "somebody-else", Roles: []string{"viewer"}, Days: 1}, []auth.Role{auth.RoleAdmin}},
	{"GET", "/api/tokens", nil, everybody},
	{"GET", "/api/tokens?user=somebody-else", nil, []auth.Role{auth.RoleAdmin}},
	{"DELETE", "/api/tokens/" + nobody, nil, everybody}, // not found, for everybody alike
	{"GET", "/api/users", nil, []auth.Role{auth.RoleAdmin}},
	{"POST", "/api/users", api.NewUser{Name: "somebody-new", Roles: []string{"viewer"}}, []auth.Role{auth.RoleAdmin}},
	{"PUT", "/api/users/somebody-new", api.UserChange{Roles: []string{"author"}}, []auth.Role{auth.RoleAdmin}},
	{"POST", "/api/login-links", nil, everybody},
	{"GET", "/api/hooks", nil, everybody},
	{"GET", "/api/hooks/kernel-taint/versions", nil, everybody},
	{"POST", "/api/versions", api.NewVersion{Manifest: []byte("x"), Script: []byte("x"), Statement: []byte("x"), Signature: []byte("x")}, []auth.Role{auth.RoleAdmin, auth.RoleAuthor}},
	{"GET", "/api/versions/" + nobody, nil, everybody},
	{"POST", "/api/versions/" + nobody + "/reviews", api.NewReview{Verdict: "reject", Comment: "no"}, []auth.Role{auth.RoleAdmin, auth.RoleReviewer}},
	{"POST", "/api/versions/" + nobody + "/activation", api.NewActivation{Quantity: 1}, []auth.Role{auth.RoleAdmin, auth.RoleOperator}},
	{"POST", "/api/versions/" + nobody + "/bounds", api.NewActivation{Quantity: 1}, []auth.Role{auth.RoleAdmin, auth.RoleOperator}},
	{"POST", "/api/versions/" + nobody + "/pause", api.Stop{Reason: "no"}, []auth.Role{auth.RoleAdmin, auth.RoleOperator}},
	{"POST", "/api/versions/" + nobody + "/disable", api.Stop{Reason: "no"}, []auth.Role{auth.RoleAdmin, auth.RoleOperator}},
	{"GET", "/api/jobs", nil, everybody},
	{"GET", "/api/jobs/" + nobody, nil, everybody},
	{"GET", "/api/jobs/" + nobody + "/explain?version=" + nobody, nil, everybody},
	{"GET", "/api/peers", nil, everybody},
	{"GET", "/api/peers/" + nobody, nil, everybody},
	{"GET", "/api/peers/" + nobody + "/jobs", nil, everybody},
	{"GET", "/api/results", nil, everybody},
	{"GET", "/api/results/" + nobody, nil, everybody},
	{"GET", "/api/problems", nil, everybody},
	{"GET", "/api/problems/" + nobody, nil, everybody},
	{"GET", "/api/audit", nil, []auth.Role{auth.RoleAdmin, auth.RoleOperator}},
	{"GET", "/metrics", nil, []auth.Role{auth.RoleAdmin, auth.RoleOperator, auth.RoleViewer}},
}

func TestEachRouteForEachRole(t *testing.T) {
	r := newRig(t)
	for _, route := range routes {
		r.clock.set(r.clock.now().Add(time.Second)) // an address has one failure a second
		a := r.send("", route.method, route.path, route.body)
		if p := a.problem(t); a.Status != http.StatusUnauthorized || p.Code != string(errs.CodeUnauthenticated) || p.Hint == "" {
			t.Errorf("%s %s without a token: %d %+v", route.method, route.path, a.Status, p)
		}
		for _, role := range everybody {
			a := r.send(role, route.method, route.path, route.body)
			switch {
			case a.Status == http.StatusUnauthorized || a.Status >= 500:
				t.Errorf("%s %s as %s: %d %s", route.method, route.path, role, a.Status, a.Body)
			case slices.Contains(route.may, role) && a.Status == http.StatusForbidden:
				t.Errorf("%s %s as %s is forbidden: %s", route.method, route.path, role, a.Body)
			case !slices.Contains(route.may, role):
				if p := a.problem(t); a.Status != http.StatusForbidden || p.Code != string(errs.CodeForbidden) || p.Hint == "" {
					t.Errorf("%s %s as %s: %d %+v, want forbidden", route.method, route.path, role, a.Status, p)
				}
			}
		}
	}
	var log api.Page[auth.Entry]
	r.must(auth.RoleAdmin, "GET", "/api/audit?limit=200", nil, 200, &log)
	refused := func(e auth.Entry) bool { return e.Actor == "viewer-1" && e.Outcome == string(errs.CodeForbidden) }
	if !slices.ContainsFunc(log.Items, refused) {
		t.Errorf("no refused attempt of viewer-1 in the audit log: %+v", log.Items)
	}
}

func TestOtherSecretsOpenNothing(t *testing.T) {
	r := newRig(t)
	session := r.signIn(auth.RoleViewer)
	var link api.LoginLink
	r.must(auth.RoleViewer, "POST", "/api/login-links", nil, 201, &link)
	for name, header := range map[string]string{
		"a session":        "Bearer " + session.Value,
		"a login code":     "Bearer " + strings.TrimPrefix(link.Path, "/login/"),
		"another scheme":   "Basic " + r.tokens[auth.RoleAdmin],
		"a wrong token":    "Bearer hkl_" + strings.Repeat("A", 43),
		"an empty one":     "Bearer ",
		"no token at all":  "Bearer hello",
		"one with garbage": "Bearer " + r.tokens[auth.RoleAdmin] + "x",
	} {
		a := r.send("", "GET", "/api/me", nil, "Authorization", header)
		if p := a.problem(t); a.Status != http.StatusUnauthorized || p.Code != string(errs.CodeUnauthenticated) {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
		if a.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no WWW-Authenticate", name)
		}
	}
}

// TestBadInput sends what is malformed, too big, of a wrong shape or about
// nothing: each gets the status, the code, and the field where there is one.
func TestBadInput(t *testing.T) {
	r := newRig(t)
	activation := "/api/versions/" + nobody + "/activation"
	deep := []byte(`{"quantity":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`)
	for _, c := range []struct {
		name, method, path string
		body               any
		status             int
		code               errs.Code
		field              string
	}{
		{"not JSON", "POST", activation, []byte("quantity"), 400, errs.CodeBadInput, "body"},
		{"cut JSON", "POST", activation, []byte(`{"quantity":`), 400, errs.CodeBadInput, "body"},
		{"two values", "POST", activation, []byte(`{"quantity":1,"deadline":"2026-01-01T00:00:00Z"} {}`), 400, errs.CodeBadInput, "body"},
		{"not UTF-8", "POST", activation, []byte("{\"quantity\":1,\"deadline\":\"\xff\"}"), 400, errs.CodeBadInput, "body"},
		{"given twice", "POST", activation, []byte(`{"quantity":1,"quantity":2,"deadline":"2026-01-01T00:00:00Z"}`), 400, errs.CodeBadInput, "body"},
		{"other case", "POST", activation, []byte(`{"Quantity":1,"deadline":"2026-01-01T00:00:00Z"}`), 400, errs.CodeBadInput, "body"},
		{"too deep", "POST", activation, deep, 400, errs.CodeBadInput, "body"},
		{"no body", "POST", activation, nil, 400, errs.CodeBadInput, ""},
		{"not an object", "POST", activation, []byte(`[]`), 422, errs.CodeBadInput, "body"},
		{"null", "POST", activation, []byte(`null`), 422, errs.CodeBadInput, "body"},
		{"unknown member", "POST", activation, []byte(`{"quantity":1,"deadline":"2026-01-01T00:00:00Z","limit":2}`), 422, errs.CodeBadInput, "limit"},
		{"missing member", "POST", activation, []byte(`{"deadline":"2026-01-01T00:00:00Z"}`), 422, errs.CodeBadInput, "body"},
		{"wrong type", "POST", activation, []byte(`{"quantity":"1","deadline":"2026-01-01T00:00:00Z"}`), 422, errs.CodeBadInput, "quantity"},
		{"a fraction", "POST", activation, []byte(`{"quantity":1.5,"deadline":"2026-01-01T00:00:00Z"}`), 422, errs.CodeBadInput, "quantity"},
		{"no time", "POST", activation, []byte(`{"quantity":1,"deadline":"tomorrow"}`), 422, errs.CodeBadInput, "deadline"},
		{"no such verdict", "POST", "/api/versions/" + nobody + "/reviews", []byte(`{"verdict":"maybe"}`), 422, errs.CodeBadInput, "verdict"},
		{"no base64", "POST", "/api/versions", []byte(`{"manifest":"?","script":"","statement":"","signature":""}`), 422, errs.CodeBadInput, "manifest"},
		{"too big", "POST", activation, bytes.Repeat([]byte(" "), 1<<20+1), 413, errs.CodeTooLarge, ""},
		{"too big for a version", "POST", "/api/versions", bytes.Repeat([]byte(" "), 512<<10+1), 413, errs.CodeTooLarge, ""},
		{"unknown role", "POST", "/api/tokens", api.NewToken{User: "x", Roles: []string{"king"}, Days: 1}, 422, errs.CodeBadInput, "roles"},
		{"no days", "POST", "/api/tokens", api.NewToken{User: "x", Roles: []string{"viewer"}}, 422, errs.CodeBadInput, "days"},
		{"days that overflow", "POST", "/api/tokens", api.NewToken{User: "x", Roles: []string{"viewer"}, Days: 213_504}, 422, errs.CodeBadInput, "days"},
		{"bad user name", "POST", "/api/tokens", api.NewToken{User: "X y", Roles: []string{"viewer"}, Days: 1}, 422, errs.CodeBadInput, "user"},
		{"unknown version", "GET", "/api/versions/" + nobody, nil, 404, errs.CodeNotFound, ""},
		{"odd digest", "GET", "/api/versions/%2e%2e%2f", nil, 404, errs.CodeNotFound, ""},
		{"unknown job", "GET", "/api/jobs/" + nobody, nil, 404, errs.CodeNotFound, ""},
		{"unknown result", "GET", "/api/results/x", nil, 404, errs.CodeNotFound, ""},
		{"unknown peer", "GET", "/api/peers/x", nil, 404, errs.CodeNotFound, ""},
		{"jobs of an unknown peer", "GET", "/api/peers/x/jobs", nil, 404, errs.CodeNotFound, ""},
		{"unknown problem", "GET", "/api/problems/x", nil, 404, errs.CodeNotFound, ""},
		{"long id", "GET", "/api/jobs/" + strings.Repeat("x", 200), nil, 422, errs.CodeBadInput, "id"},
		{"no such path", "GET", "/api/nothing", nil, 404, errs.CodeNotFound, ""},
		{"wrong method", "DELETE", "/api/jobs", nil, 405, errs.CodeBadInput, ""},
		{"invented method", "FROB", "/api/jobs", nil, 405, errs.CodeBadInput, ""},
		{"limit too high", "GET", "/api/jobs?limit=201", nil, 422, errs.CodeBadInput, "limit"},
		{"limit zero", "GET", "/api/jobs?limit=0", nil, 422, errs.CodeBadInput, "limit"},
		{"limit no number", "GET", "/api/jobs?limit=ten", nil, 422, errs.CodeBadInput, "limit"},
		{"unknown status", "GET", "/api/jobs?status=maybe", nil, 422, errs.CodeBadInput, "status"},
		{"unknown parameter", "GET", "/api/jobs?peers=x", nil, 422, errs.CodeBadInput, "peers"},
		{"parameter twice", "GET", "/api/jobs?limit=1&limit=2", nil, 400, errs.CodeBadInput, ""},
		{"query not UTF-8", "GET", "/api/jobs?after=%ff", nil, 400, errs.CodeBadInput, ""},
		{"path not UTF-8", "GET", "/api/jobs/%ff", nil, 400, errs.CodeBadInput, ""},
		{"malformed query", "GET", "/api/jobs?after=%zz", nil, 400, errs.CodeBadInput, ""},
		{"key of no page", "GET", "/api/problems?after=x", nil, 422, errs.CodeBadInput, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := r.send(auth.RoleAdmin, c.method, c.path, c.body)
			p := a.problem(t)
			if a.Status != c.status || p.Code != string(c.code) || p.Status != c.status {
				t.Errorf("status %d code %s, want %d %s\n%s", a.Status, p.Code, c.status, c.code, a.Body)
			}
			if c.field != "" && (len(p.Errors) == 0 || p.Errors[0].Field != c.field || p.Errors[0].Message == "") {
				t.Errorf("no error that names %q: %s", c.field, a.Body)
			}
			if p.Detail == "" {
				t.Errorf("no detail: %s", a.Body)
			}
			if strings.Contains(string(a.Body), nobody+nobody) || len(a.Body) > 4096 {
				t.Errorf("the answer repeats the input: %d bytes", len(a.Body))
			}
		})
	}
}

func TestBodyOfAnotherKindIsRefused(t *testing.T) {
	r := newRig(t)
	a := r.send(auth.RoleAdmin, "POST", "/api/versions/"+nobody+"/disable", []byte("reason=x"), "Content-Type", "application/x-www-form-urlencoded")
	if p := a.problem(t); a.Status != http.StatusUnsupportedMediaType || p.Code != string(errs.CodeBadInput) {
		t.Errorf("status %d: %s", a.Status, a.Body)
	}
}

func TestFailedSignInsAreLimited(t *testing.T) {
	r := newRig(t)
	limited := false
	for range 40 {
		a := r.send("", "GET", "/api/me", nil, "Authorization", "Bearer guess")
		if limited = a.Status == http.StatusTooManyRequests; limited {
			if p := a.problem(t); p.Code != string(errs.CodeRateLimited) || a.Header.Get("Retry-After") == "" {
				t.Errorf("answer %v %s", a.Header, a.Body)
			}
			break
		}
	}
	if !limited {
		t.Error("40 failed sign-ins in one instant, and none was too many")
	}
	r.must(auth.RoleViewer, "GET", "/api/me", nil, 200, nil) // a good token still passes
	for range 300 {
		if a := r.send(auth.RoleViewer, "GET", "/api/info", nil); a.Status == http.StatusTooManyRequests {
			return
		}
	}
	t.Error("301 requests of one token in one instant, and none was too many")
}

func TestAnInternalErrorSaysNothingOutside(t *testing.T) {
	r := newRig(t)
	path := r.Server.cfg.Store
	if err := r.db.Close(); err != nil {
		t.Fatal(err)
	}
	a := r.send(auth.RoleViewer, "GET", "/api/jobs", nil)
	p := a.problem(t)
	if a.Status < 500 || strings.Contains(string(a.Body), path) || strings.Contains(strings.ToLower(string(a.Body)), "sql") {
		t.Errorf("status %d %s", a.Status, a.Body)
	}
	if p.Code == string(errs.CodeInternal) && !strings.Contains(r.log.String(), a.Header.Get("X-Request-Id")) {
		t.Errorf("request id %q is not in the log", a.Header.Get("X-Request-Id"))
	}
	ready := r.send("", "GET", "/readyz", nil)
	if ready.Status != http.StatusServiceUnavailable || !strings.Contains(string(ready.Body), "store") {
		t.Errorf("readyz: %d %s", ready.Status, ready.Body)
	}
	if live := r.send("", "GET", "/livez", nil); live.Status != 200 {
		t.Errorf("livez: %d", live.Status)
	}
}
