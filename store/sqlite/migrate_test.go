package sqlite

import (
	"io/fs"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"
)

// A database of the first schema keeps its tokens; its sign-in links, which
// say nothing of the session, make one that has ended.
func TestTokensOfTheFirstSchemaAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hookline.db")
	first, err := fs.ReadFile(migrations, "migrations/0001_initial.sql")
	noError(t, err)
	noError(t, prepareFiles(path))
	conn := rawConn(t, path)
	noError(t, migrate(t.Context(), conn, fstest.MapFS{"migrations/0001_initial.sql": {Data: first}}))
	hash := [32]byte{7}
	_, err = conn.ExecContext(t.Context(), `INSERT INTO tokens (id, kind, hash, user, name, created_at, expires_at)
		VALUES ('t', 'api', ?, 'alice', 'old', 1000, 2000)`, hash[:])
	noError(t, err)
	noError(t, conn.Close())
	d := openAt(t, path, Options{})
	k, err := d.TokenByHash(t.Context(), hash)
	noError(t, err)
	if k.ID != "t" || !k.ExpiresAt.Equal(time.Unix(2, 0)) || !k.SessionUntil.IsZero() {
		t.Errorf("the token is %+v", k)
	}
}
