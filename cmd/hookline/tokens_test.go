package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"testing"

	"hookline/internal/api"
)

// No token is made that could not be kept, and no file is left of one that
// was not made.
func TestTokenFileComesFirst(t *testing.T) {
	s := newStage(t)
	answer := func(status int, v any) {
		s.thief.got = nil
		s.thief.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/api/tokens" {
				w.Header().Set("Content-Type", "application/problem+json")
				w.WriteHeader(status)
				_ = json.NewEncoder(w).Encode(v)
			}
			return r.URL.Path == "/api/tokens"
		}
	}
	create := func(file string) []string {
		return []string{"token", "create", "--user", "bob", "--out", s.path(file)}
	}
	answer(http.StatusCreated, api.Token{ID: "t1", User: "bob", Secret: "hkl_new"})
	s.want(1, "[conflict]", create("token")...)
	s.want(3, "cannot write", create("nowhere/token")...)
	if s.thief.got != nil {
		t.Errorf("the server was asked for a token: %s", s.thief.got)
	}
	if b, err := os.ReadFile(s.path("token")); err != nil || string(b) != "hkl_x\n" {
		t.Errorf("the file that was there: %q, %v", b, err)
	}

	s.want(0, "token t1 of bob", create("new")...)
	info, err := os.Stat(s.path("new"))
	s.must(err)
	if b, err := os.ReadFile(s.path("new")); err != nil || string(b) != "hkl_new\n" || info.Mode().Perm() != 0o600 {
		t.Errorf("the new file: %v %q, %v", info.Mode(), b, err)
	}

	answer(http.StatusForbidden, api.Problem{Title: "Forbidden", Detail: "not you", Code: "forbidden"})
	s.want(4, "not you", create("refused")...)
	if _, err := os.Lstat(s.path("refused")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file of a token that was not made: %v", err)
	}
}
