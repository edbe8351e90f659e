package server

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"hookline/internal/errs"
)

// readyWithin bounds the question to the store.
const readyWithin = 2 * time.Second

// alive says that the process answers.
func alive(w http.ResponseWriter, _ *http.Request) {
	plain(w, http.StatusOK, "ok")
}

// ready says whether work can be taken, and if not what is wrong. It needs no
// token, so an error without a code is only named, and stands in the log.
// Whoever asks again and again fills no log: see quiet.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if s.stopping.Load() {
		plain(w, http.StatusServiceUnavailable, "not ready: stopping")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyWithin)
	defer cancel()
	err := s.db.Ready(ctx)
	if err == nil {
		plain(w, http.StatusOK, "ok")
		return
	}
	if until, _ := ctx.Deadline(); !time.Now().Before(until) && r.Context().Err() == nil {
		// ctx itself may end a moment after what waited for it.
		err = errs.Wrap(errs.CodeUnavailable, err, "it did not answer within %s", readyWithin)
	}
	s.log.WarnContext(ctx, "not ready", "code", errs.CodeOf(err), "error", err)
	reason := "internal error"
	if e, ok := errs.As(err); ok {
		reason = fmt.Sprintf("%s (%s)", e.Message, e.Code)
	}
	w.Header().Set("Retry-After", "1")
	plain(w, http.StatusServiceUnavailable, "not ready: store: "+reason)
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // a client that has gone is no failure of ours
}

// quietLog takes net/http's lines, mostly broken handshakes of strangers, as
// debug events; but a page that panicked is an error.
func quietLog(l *slog.Logger) *log.Logger { return log.New(lineWriter{l}, "", 0) }

type lineWriter struct{ log *slog.Logger }

func (w lineWriter) Write(b []byte) (int, error) {
	level, line := slog.LevelDebug, strings.TrimSpace(string(b))
	if strings.HasPrefix(line, "http: panic serving") || strings.HasPrefix(line, "http2: panic serving") {
		level = slog.LevelError
	}
	w.log.Log(context.Background(), level, "http", "line", line)
	return len(b), nil
}
