package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"hookline/internal/api"
)

// Each command sends one request, and shows what comes back so that it cannot
// steer a terminal.
func TestUserAndTokenCommands(t *testing.T) {
	s := newStage(t)
	long := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	alice := api.User{Name: "alice", Roles: []string{"author", "operator"}, CreatedAt: long, HasPassword: true, LastSignIn: &long}
	token := api.TokenInfo{ID: "t1", Kind: "api", User: "alice", Name: "lap\x1b[2Jtop", CreatedAt: long, ExpiresAt: long.Add(time.Hour)}
	var asked string
	s.thief.answer = func(w http.ResponseWriter, r *http.Request) bool {
		body, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodPost {
			body = s.thief.got
		}
		asked = strings.TrimSpace(r.Method + " " + r.URL.RequestURI() + " " + string(body))
		var out any
		switch {
		case r.URL.Path == "/api/users" && r.Method == http.MethodGet:
			locked := long
			out = api.Page[api.User]{Items: []api.User{alice, {Name: "bob", Off: true}, {Name: "eve", LockedUntil: &locked}}, Next: "eve"}
		case strings.HasPrefix(r.URL.Path, "/api/users"):
			out = alice
		case r.URL.Path == "/api/tokens":
			out = api.Page[api.TokenInfo]{Items: []api.TokenInfo{token}}
		default:
			out = token
		}
		_ = json.NewEncoder(w).Encode(out)
		return true
	}
	for _, c := range []struct {
		args  string
		asked string
		shows []string
	}{
		{"user list", "GET /api/users", []string{"USER", "alice  author,operator  on", "bob", "off", "locked until 2026-01-02 03:04:05Z", "more: --after eve"}},
		{"user list --limit 3 --after a -o json", "GET /api/users?after=a&limit=3", []string{`"has_password": true`}},
		{"user add alice --role author,operator", `POST /api/users {"name":"alice","roles":["author","operator"]}`, []string{"author, operator", "hookline token create --user alice"}},
		{"user set alice --role viewer", `PUT /api/users/alice {"roles":["viewer"]}`, []string{"last sign-in:  2026-01-02 03:04:05Z"}},
		{"user set alice --off", `PUT /api/users/alice {"off":true}`, []string{"user:"}},
		{"user set alice --on", `PUT /api/users/alice {"off":false}`, []string{"state:"}},
		{"user set ../x --on", `PUT /api/users/..%2Fx {"off":false}`, nil},
		{"token list", "GET /api/tokens", []string{"TOKEN", "t1", "2026-01-02 04:04:05Z (over)", `lap\x1b[2Jtop`}},
		{"token list --user alice", "GET /api/tokens?user=alice", []string{"t1"}},
		{"token revoke t1", "DELETE /api/tokens/t1", []string{"token t1 of alice opens nothing any more"}},
	} {
		code, out := s.hookline(strings.Fields(c.args)...)
		if code != 0 || asked != c.asked {
			t.Errorf("%s: exit code %d, asked %q, want %q\n%s", c.args, code, asked, c.asked, out)
		}
		for _, text := range c.shows {
			if !strings.Contains(out, text) {
				t.Errorf("%s lacks %q:\n%s", c.args, text, out)
			}
		}
		if strings.Contains(out, "\x1b") {
			t.Errorf("%s lets a control through", c.args)
		}
	}
	asked = ""
	s.want(2, "it needs --role, --off or --on", "user", "set", "alice")
	s.want(2, "give --off or --on, not both", "user", "set", "alice", "--on", "--off")
	s.want(2, `it needs --role`, "user", "add", "alice")
	s.want(2, "it takes 1 argument", "token", "revoke")
	if asked != "" {
		t.Errorf("the server was asked: %s", asked)
	}
}

// Pages are named by their address; what is none is not put into a link.
func TestPagesToOpen(t *testing.T) {
	for page, ok := range map[string]bool{
		"/": true, "/reviews": true, "/results?hook=answer": true, "/versions/0a1b/review?view=split": true, "/users/bob": true, "/jobs?": false,
		"problems": false, "//example.org": false, "https://example.org": false, "/login/x": false, "/logout": false, "/jobs/a b": false, "/jobs/\x1b": false, "/problems\n": false,
	} {
		if pages.MatchString(page) != ok {
			t.Errorf("%q is a page: %v", page, !ok)
		}
	}
}
