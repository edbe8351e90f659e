package server

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hookline/internal/api"
	"hookline/internal/auth"
)

// The first link lies in a file of the owner's, named in the log by the file
// alone; it lets a browser in as admin, once, and the file goes when the link
// is good for nothing any more.
func TestFirstSignIn(t *testing.T) {
	for name, spend := range map[string]func(r *rig, link string){
		"used": func(r *rig, link string) {
			if a := r.send("", "POST", link, nil); a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/account" {
				r.t.Fatalf("the link: %d %s", a.Status, a.Body)
			}
			if a := r.send("", "POST", link, nil); a.Status != http.StatusUnauthorized {
				r.t.Errorf("the link a second time: %d", a.Status)
			}
		},
		"over": func(r *rig, link string) {
			r.clock.set(r.clock.now().Add(auth.FirstLinkLife))
			if a := r.send("", "POST", link, nil); a.Status != http.StatusUnauthorized {
				r.t.Errorf("the link a day later: %d", a.Status)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			path := filepath.Join(r.cfg.Data, firstSignInFile)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			line, _, _ := strings.Cut(string(b), "\n")
			link, ok := strings.CutPrefix(line, r.PagesURL())
			code, isLink := strings.CutPrefix(strings.TrimSuffix(link, "?next=%2Faccount"), "/login/")
			if !ok || !isLink || !strings.HasPrefix(code, "hkll_") {
				t.Fatalf("the file begins with %q", line)
			}
			if log := r.log.String(); !strings.Contains(log, path) || strings.Contains(log, code) {
				t.Errorf("the log has not the file, or the secret: %s", log)
			}
			r.restart() // the link is good: the file stays
			if _, err := os.Stat(path); err != nil {
				t.Error(err)
			}
			spend(r, link)
			r.tidyFirstSignIn(t.Context())
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the file: %v", err)
			}
		})
	}
}

// A file in that place that is not ours is left alone, and told of.
func TestOtherFirstSignInFile(t *testing.T) {
	r := newRig(t)
	path := filepath.Join(r.cfg.Data, firstSignInFile)
	for name, put := range map[string]func() error{
		"huge":      func() error { return os.WriteFile(path, make([]byte, maxFirstSignInFile+1), 0o600) },
		"a folder":  func() error { return os.Mkdir(path, 0o700) },
		"elsewhere": func() error { return os.Symlink(filepath.Join(r.cfg.Data, adminTokenFile), path) },
	} {
		if err := errors.Join(os.Remove(path), put()); err != nil {
			t.Fatal(err)
		}
		r.tidyFirstSignIn(t.Context())
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !strings.Contains(r.log.String(), "cannot tidy up") {
		t.Error("the log says nothing")
	}
}

// Without pages there is no link.
func TestNoPagesNoFirstSignIn(t *testing.T) {
	r := newRig(t)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r.cfg.Pages, r.cfg.Data = "", filepath.Join(t.TempDir(), "data")
	r.start()
	if _, err := os.Stat(filepath.Join(r.cfg.Data, firstSignInFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file: %v", err)
	}
}

// An admin makes, changes and turns off a user over the API, and what they had
// opens nothing from then on.
func TestUsersOverTheAPI(t *testing.T) {
	r := newRig(t)
	var u api.User
	r.must(auth.RoleAdmin, "POST", "/api/users", api.NewUser{Name: "dora", Roles: []string{"viewer"}}, 201, &u)
	var token api.Token
	r.must(auth.RoleAdmin, "POST", "/api/tokens", api.NewToken{User: "dora", Name: "laptop", Days: 1}, 201, &token)
	r.must(auth.RoleAdmin, "PUT", "/api/users/dora", api.UserChange{Roles: []string{"author", "reviewer"}}, 200, &u)
	if strings.Join(u.Roles, " ") != "author reviewer" || u.Off || u.HasPassword || u.LastSignIn != nil {
		t.Errorf("dora is %+v", u)
	}
	r.tokens["dora"] = token.Secret
	var list api.Page[api.TokenInfo]
	r.must("dora", "GET", "/api/tokens", nil, 200, &list)
	if len(list.Items) != 1 || list.Items[0].ID != token.ID || list.Items[0].Name != "laptop" {
		t.Errorf("tokens %+v", list.Items)
	}
	off := true
	r.must(auth.RoleAdmin, "PUT", "/api/users/dora", api.UserChange{Off: &off}, 200, &u)
	if a := r.send("dora", "GET", "/api/me", nil); a.Status != http.StatusUnauthorized || !u.Off {
		t.Errorf("who is off gets %d", a.Status)
	}
	off = false
	r.must(auth.RoleAdmin, "PUT", "/api/users/dora", api.UserChange{Off: &off}, 200, nil)
	var gone api.TokenInfo
	r.must("dora", "DELETE", "/api/tokens/"+token.ID, nil, 200, &gone)
	if a := r.send("dora", "GET", "/api/me", nil); a.Status != http.StatusUnauthorized || gone.ID != token.ID {
		t.Errorf("a revoked token gets %d", a.Status)
	}
	for path, c := range map[string]api.UserChange{"/api/users/admin": {Roles: []string{"viewer"}}, "/api/users/nobody-such": {Roles: []string{"viewer"}}, "/api/users/dora": {}} {
		if a := r.send(auth.RoleAdmin, "PUT", path, c); a.Status != map[string]int{"/api/users/admin": 409, "/api/users/nobody-such": 404, "/api/users/dora": 422}[path] {
			t.Errorf("PUT %s: %d %s", path, a.Status, a.Body)
		}
	}
	var users api.Page[api.User]
	r.must(auth.RoleAdmin, "GET", "/api/users?limit=2", nil, 200, &users)
	if len(users.Items) != 2 || users.Items[0].Name != "admin" || users.Next != users.Items[1].Name {
		t.Errorf("users %+v, next %q", users.Items, users.Next)
	}
}
