package sqlite

import (
	"bytes"
	"database/sql/driver"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"hookline/internal/errs"
)

// What goes wrong with the database is told to peers, and by /readyz to
// anybody: where it is stands in the log alone.
func TestTroubleNamesThePathOnlyInTheLog(t *testing.T) {
	d := openAt(t, filepath.Join(t.TempDir(), "hookline.db"), Options{MaxPages: 100})
	fillUp(t, d, "pages")
	full := d.write(t.Context(), blob(t, "big", 1<<20))
	for _, c := range []struct {
		err  error
		code errs.Code
		text string
	}{
		{full, errs.CodeStorageFull, "the server's disk is full"},
		{failure(d.path, driver.ErrBadConn), errs.CodeUnavailable, "the server's store"},
	} {
		e, ok := errs.As(c.err)
		if !ok || e.Code != c.code || !strings.Contains(e.Message, c.text) || e.Hint == "" {
			t.Errorf("got %v, want %s", c.err, c.code)
			continue
		}
		if told := e.Error() + e.Hint; strings.Contains(told, filepath.Dir(d.path)) || strings.Contains(told, "hookline.db") {
			t.Errorf("it says where the database is: %s", told)
		}
		var log bytes.Buffer
		outer := errs.Wrap(e.Code, e, "cannot write the audit log")
		slog.New(slog.NewJSONHandler(&log, nil)).Error("x", "error", outer)
		if got := log.String(); !strings.Contains(got, d.path) || !strings.Contains(got, c.text) || !strings.Contains(got, "audit log") {
			t.Errorf("the log says %s", got)
		}
	}
}
