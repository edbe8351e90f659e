package sqlite

import (
	"context"
	"database/sql"
	"testing"
)

// rawConn is a connection past the store, to look at and to damage files.
func rawConn(t testing.TB, path string) *sql.Conn {
	t.Helper()
	db, err := sql.Open(driverName, dsn(path, sharedPragmas()))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(); _ = db.Close() })
	return conn
}

// alterAt runs one statement on the file and closes it again.
func alterAt(t testing.TB, path, statement string) {
	t.Helper()
	db, err := sql.Open(driverName, dsn(path, sharedPragmas()))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}
