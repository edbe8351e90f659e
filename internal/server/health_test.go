package server

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A page's panic stands in a log of the usual level; a stranger's broken
// handshake does not.
func TestPanicsAreLogged(t *testing.T) {
	var log safeBuffer
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a defect") }))
	s.Config.ErrorLog = quietLog(slog.New(slog.NewJSONHandler(&log, nil)))
	s.Start()
	res, err := s.Client().Get(s.URL)
	if err == nil {
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
	s.Config.ErrorLog.Print("http: TLS handshake error from 192.0.2.1: EOF")
	s.Close()
	if got := log.String(); !strings.Contains(got, "a defect") || !strings.Contains(got, `"level":"ERROR"`) || strings.Contains(got, "handshake") {
		t.Errorf("log: %s", got)
	}
}
