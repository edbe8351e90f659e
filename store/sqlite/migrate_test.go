package sqlite

import (
	"database/sql"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"hookline/hooks"
	"hookline/internal/jobs"
)

var update = flag.Bool("update", false, "write schema.sql anew, from the migrations")

// steps are the migrations without what a new database is made of.
func steps(t *testing.T, last int) fs.FS {
	t.Helper()
	only := fstest.MapFS{}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	noError(t, err)
	for _, name := range names[:min(last, len(names))] {
		b, err := fs.ReadFile(migrations, name)
		noError(t, err)
		only[name] = &fstest.MapFile{Data: b}
	}
	return only
}

// schemaOf is what makes a database of the same schema, in its order.
func schemaOf(t *testing.T, conn *sql.Conn) string {
	t.Helper()
	rows, err := conn.QueryContext(t.Context(), "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name <> 'schema_version' ORDER BY rowid")
	noError(t, err)
	defer func() { _ = rows.Close() }()
	var b strings.Builder
	b.WriteString("-- Made from the migrations by go test ./store/sqlite -run Schema -update: what they make of a new database.\n\n")
	for rows.Next() {
		var statement string
		noError(t, rows.Scan(&statement))
		b.WriteString(statement + ";\n\n")
	}
	noError(t, rows.Err())
	return b.String()
}

// A new database has the schema that all steps make, to the letter.
func TestSchemaIsThatOfTheMigrations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hookline.db")
	noError(t, prepareFiles(path))
	conn := rawConn(t, path)
	noError(t, migrate(t.Context(), conn, steps(t, 1_000)))
	want := schemaOf(t, conn)
	if *update {
		noError(t, os.WriteFile("schema.sql", []byte(want), 0o644)) //nolint:gosec // source
		return
	}
	d := open(t, Options{})
	if diff := cmp.Diff(want, schemaOf(t, rawConn(t, d.path))); diff != "" {
		t.Errorf("a new database is another one than the migrations make (-migrations +new); run this test with -update:\n%s", diff)
	}
	version := func(path string) (v int) {
		t.Helper()
		v, err := schemaVersion(t.Context(), rawConn(t, path))
		noError(t, err)
		return v
	}
	if have, want := version(d.path), version(path); have != want || want < 6 {
		t.Errorf("a new database has version %d, the last migration %d", have, want)
	}
}

// A database of the schema before pages keeps its reports, whose table is made
// anew, and what refers to them.
func TestReportsOfTheFifthSchemaAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hookline.db")
	noError(t, prepareFiles(path))
	conn := rawConn(t, path)
	noError(t, migrate(t.Context(), conn, steps(t, 5)))
	for _, statement := range []string{
		`INSERT INTO jobs VALUES ('j', 'p', 'report', 'succeeded', 'peer', 1, 0, 0, 0, 2, '', 'code', 'text', 'fp', 'problem', '', '', '', '', '',
			7, x'01', CAST('{"A":"b"}' AS BLOB), '{"x":1}', 3)`,
		`INSERT INTO job_keys VALUES ('p', 'fp:a', 'j')`,
	} {
		_, err := conn.ExecContext(t.Context(), statement)
		noError(t, err)
	}
	noError(t, conn.Close())
	d := openAt(t, path, Options{})
	found, err := d.Originals(t.Context(), "p", []string{"fp:a"}, 10)
	noError(t, err)
	want := []jobs.Job{{
		ID: "j", PeerID: "p", Workload: jobs.WorkReport, Status: jobs.Succeeded, TriggeredBy: "peer", CreatedAt: fromMS(1), CompletedAt: fromMS(2),
		FailedCode: "code", FailedText: "text", Fingerprint: "fp", ProblemID: "problem", Bytes: 7, Denied: 3, Report: hooks.Report{"A": "b"},
	}}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("after the migration (-want +got):\n%s", diff)
	}
	broken := 0
	noError(t, rawConn(t, path).QueryRowContext(t.Context(), "SELECT count(*) FROM pragma_foreign_key_check").Scan(&broken))
	if broken != 0 {
		t.Errorf("%d rows refer to nothing", broken)
	}
}

// A database of the first schema keeps its tokens; its sign-in links, which
// say nothing of the session, make one that has ended.
func TestTokensOfTheFirstSchemaAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hookline.db")
	noError(t, prepareFiles(path))
	conn := rawConn(t, path)
	noError(t, migrate(t.Context(), conn, steps(t, 1)))
	hash := [32]byte{7}
	_, err := conn.ExecContext(t.Context(), `INSERT INTO tokens (id, kind, hash, user, name, created_at, expires_at)
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
