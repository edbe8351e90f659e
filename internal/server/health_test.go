package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hookline/internal/errs"
	"hookline/store"
)

// stalled is a store whose driver gives up when its caller's time is over, and
// tells of the longer time that it would have had.
type stalled struct{ store.Store }

func (stalled) Ready(ctx context.Context) error {
	until, _ := ctx.Deadline()
	<-time.After(time.Until(until))
	return errs.New(errs.CodeUnavailable, "it did not answer within 10s")
}

// Strangers at /readyz read how long the server has really waited.
func TestReadyzTellsItsOwnPatience(t *testing.T) {
	r := newRig(t)
	s := &Server{db: stalled{r.db}, log: r.Server.log}
	w := httptest.NewRecorder()
	s.ready(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "did not answer within 2s") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}
