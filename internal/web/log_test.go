package web

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hookline/internal/auth"
)

// brokenAccounts fails as no store of ours is meant to.
type brokenAccounts struct{ auth.Accounts }

func (brokenAccounts) TokenByHash(context.Context, [32]byte) (auth.Token, error) {
	return auth.Token{}, errors.New("broken")
}

// A sign-in that fails leaves its code unspent: it must not stand in the log.
func TestSignInCodeIsNotLogged(t *testing.T) {
	var log bytes.Buffer
	pages, err := New(Parts{
		Gate: &auth.Gate{Accounts: brokenAccounts{}, Now: time.Now}, Now: time.Now,
		Log: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	code := "hkll_" + strings.Repeat("A", 43)
	w := httptest.NewRecorder()
	pages.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/login/"+code, nil))
	if w.Code != http.StatusInternalServerError || !strings.Contains(log.String(), "broken") {
		t.Fatalf("status %d, log %s", w.Code, &log)
	}
	if strings.Contains(log.String(), code) || !strings.Contains(log.String(), "/login/{code}") {
		t.Errorf("log: %s", &log)
	}
}
