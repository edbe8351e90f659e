package client

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"hookline/internal/errs"
)

func serve(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := New(Config{Server: s.URL + "/", Token: "hkl_secret"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAddresses(t *testing.T) {
	for server, ok := range map[string]bool{
		"http://127.0.0.1:7080":         true,
		"http://[::1]:7080/":            true,
		"http://localhost":              true,
		"https://hookline.example/base": true,
		"http://hookline.example":       false,
		"http://localhost.example":      false,
		"ftp://127.0.0.1":               false,
		"127.0.0.1:7080":                false,
		"https://me:pw@hookline.org":    false,
		"https://hookline.org/?a=b":     false,
		"":                              false,
	} {
		if _, err := New(Config{Server: server}); (err == nil) != ok {
			t.Errorf("New(%q): %v, want ok %v", server, err, ok)
		} else if err != nil && !errs.Is(err, errs.CodeBadInput) {
			t.Errorf("New(%q): code %q", server, errs.CodeOf(err))
		}
	}
	if _, err := New(Config{Server: "http://hookline.example", AllowHTTP: true}); err != nil {
		t.Error(err)
	}
	if _, err := New(Config{Server: "http://127.0.0.1", Token: "a\nb"}); err == nil {
		t.Error("a token with a line break was accepted")
	}
}

func TestRequestIsAuthenticatedAndEscaped(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer hkl_secret" {
			t.Errorf("Authorization %q", got)
		}
		if r.URL.EscapedPath() != "/api/hooks/a%2Fb/versions" || r.URL.Query().Get("below") != "3" || r.URL.Query().Get("limit") != "7" {
			t.Errorf("asked for %s", r.URL)
		}
		fmt.Fprint(w, `{"items":[{"digest":"d1","hook":"a/b","number":2}],"next":"1"}`)
	})
	page, err := c.VersionsOf(context.Background(), "a/b", 3, 7)
	if err != nil || len(page.Items) != 1 || page.Items[0].Number != 2 || page.Next != "1" {
		t.Errorf("page %+v, error %v", page, err)
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		name, media, body string
		status            int
		code              errs.Code
		message, hint     string
	}{
		{
			"coded", "application/problem+json",
			`{"title":"Conflict","status":409,"code":"version-taken","detail":"number 2 exists","hint":"submit again"}`,
			409, errs.CodeVersionTaken, "number 2 exists", "submit again",
		},
		{
			"fields", "application/problem+json; charset=utf-8",
			`{"title":"x","status":422,"code":"bad-input","detail":"validation failed","errors":[{"field":"body.days","message":"expected number <= 366"}]}`,
			422, errs.CodeBadInput, "body.days: validation failed; body.days: expected number <= 366", "",
		},
		{
			"a code of a newer server", "application/problem+json", `{"title":"x","code":"moon-phase","detail":"not tonight"}`,
			403, errs.CodeForbidden, "moon-phase: not tonight", "",
		},
		{"not ours", "text/html", "<h1>nginx</h1>", 502, errs.CodeUnavailable, "502", "address"},
		{"broken", "application/problem+json", "{", 404, errs.CodeNotFound, "404", "address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", tt.media)
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.body)
			})
			_, err := c.Me(context.Background())
			e, ok := errs.As(err)
			if !ok || e.Code != tt.code || !strings.Contains(e.Error(), tt.message) || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("got %#v", err)
			}
		})
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	asked := 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	})
	if _, err := c.Me(context.Background()); err == nil || asked != 1 {
		t.Errorf("error %v after %d requests", err, asked)
	}
}

func TestAnswerTooLong(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		chunk := []byte(strings.Repeat(" ", 1<<20))
		for range MaxResponseBytes>>20 + 2 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	if _, err := c.Me(context.Background()); !errs.Is(err, errs.CodeTooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	c, err := New(Config{Server: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Me(context.Background())
	if !errs.Is(err, errs.CodeUnavailable) || strings.Count(err.Error(), "/api/me") != 0 {
		t.Errorf("got %v", err)
	}
}
