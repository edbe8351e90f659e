package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"hookline/internal/errs"
)

// migrations are the steps from each schema to the next, and schema.sql what
// they all make of a new file.
//
//go:embed schema.sql migrations/*.sql
var migrations embed.FS

// applicationID marks the file as Hookline's ("HkLn") in its header.
const applicationID = 0x486b4c6e

// migrate brings the schema up to date: each numbered file of files in one
// transaction with its version number, or a new database in one, by schema.sql
// where files has it: the steps cost several times as much. It refuses a
// database of a newer schema and one that belongs to another program.
func migrate(ctx context.Context, conn *sql.Conn, files fs.FS) error {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return err
	}
	have, err := schemaVersion(ctx, conn)
	if err != nil {
		return err
	}
	if have > len(names) {
		return newerSchema(have, len(names))
	}
	// Only now is it certain that the file is ours to change.
	if _, err := conn.ExecContext(ctx, "PRAGMA journal_mode = wal"); err != nil {
		return err
	}
	if _, err := fs.Stat(files, "schema.sql"); err == nil && have == 0 {
		return applyScript(ctx, conn, files, "schema.sql", len(names))
	}
	for i, name := range names[have:] {
		if n, err := migrationNumber(name); err != nil || n != have+i+1 {
			return fmt.Errorf("migration %s is not number %d", name, have+i+1)
		}
		if err := applyScript(ctx, conn, files, name, have+i+1); err != nil {
			return fmt.Errorf("migration %s: %w", name, err)
		}
	}
	return nil
}

func newerSchema(have, known int) error {
	return errs.New(errs.CodeUnavailable, "its schema is version %d and this program knows %d", have, known).
		WithHint("start the newer program that wrote it, or restore a backup from before the upgrade")
}

// schemaVersion is 0 for a new file.
func schemaVersion(ctx context.Context, conn *sql.Conn) (int, error) {
	var id, tables, version int
	if err := conn.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return 0, err
	}
	if err := conn.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return 0, err
	}
	if id == 0 && tables == 0 {
		return 0, nil
	}
	if id != applicationID {
		return 0, errs.New(errs.CodeUnavailable, "it is the database of another program").
			WithHint("give the server another path")
	}
	err := conn.QueryRowContext(ctx, "SELECT version FROM schema_version").Scan(&version)
	return version, err
}

func migrationNumber(name string) (int, error) {
	digits, _, _ := strings.Cut(path.Base(name), "_")
	return strconv.Atoi(digits)
}

// applyScript runs a file, which makes the schema of a version.
func applyScript(ctx context.Context, conn *sql.Conn, files fs.FS, name string, number int) error {
	script, err := fs.ReadFile(files, name)
	if err != nil {
		return err
	}
	t, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, statement := range []string{
		fmt.Sprintf("PRAGMA application_id = %d", applicationID),
		"CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL, probed INTEGER NOT NULL) STRICT",
		string(script),
		"DELETE FROM schema_version",
		fmt.Sprintf("INSERT INTO schema_version (version, probed) VALUES (%d, 0)", number),
	} {
		if _, err := t.ExecContext(ctx, statement); err != nil {
			_ = t.Rollback()
			return err
		}
	}
	return t.Commit()
}
