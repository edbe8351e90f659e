// Command tamper edits the database of a server behind its back, as somebody
// who stole the server could. The demo and the tests use it to show that peers
// run nothing of what it makes. It is not part of any installation.
//
//	tamper -db hookline.db -what script|statement|signatures -id VERSION -file VALUE
//	tamper -db hookline.db -what opt-in -file VALUE     every peer's allow_hooks
//	tamper -db hookline.db -what activation -id VERSION   is active again, whatever ended it
//
// With -store-file FILE instead of -db it edits the MongoDB database whose
// address stands in the file, and knows two more: "empty" fails where the
// database has anything in it, "drop" drops all of its collections.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"os"

	_ "modernc.org/sqlite" // the driver
)

func main() {
	db := flag.String("db", "", "the server's database file")
	store := flag.String("store-file", "", "file with the address of the server's MongoDB database")
	what := flag.String("what", "", "script, statement, signatures, opt-in or activation")
	id := flag.String("id", "", "version digest")
	file := flag.String("file", "", "file with the new value; signatures: a JSON list of base64 files")
	flag.Parse()
	value, err := os.ReadFile(*file)
	switch {
	case err != nil:
	case *store != "":
		err = runMongo(context.Background(), *store, *what, *id, value)
	default:
		err = run(context.Background(), *db, *what, *id, value)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot tamper:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, path, what, id string, value []byte) error {
	db, err := sql.Open("sqlite", "file:"+path+"?mode=rw&_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	defer db.Close()
	switch what {
	case "script", "statement":
		return changed(db.ExecContext(ctx, "UPDATE hook_versions SET "+what+" = ? WHERE digest = ?", value, id)) //nolint:gosec // one of two names
	case "signatures":
		return signatures(ctx, db, id, value)
	case "opt-in":
		return changed(db.ExecContext(ctx, "UPDATE peers SET allow_hooks = ?", string(value)))
	case "activation":
		return revive(ctx, db, id)
	default:
		return fmt.Errorf("do not know how to edit %q", what)
	}
}

// revive makes an activation active again, and findable.
func revive(ctx context.Context, db *sql.DB, id string) error {
	if err := changed(db.ExecContext(ctx, "UPDATE activations SET state = 'active', reason = '' WHERE digest = ?", id)); err != nil {
		return err
	}
	_, err := db.ExecContext(ctx, "INSERT OR IGNORE INTO activation_keys (key, digest) SELECT value, digest FROM activations, json_each(keys) WHERE digest = ?", id)
	return err
}

func signatures(ctx context.Context, db *sql.DB, id string, value []byte) error {
	var files [][]byte
	if err := json.Unmarshal(value, &files); err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	if err := changed(tx.ExecContext(ctx, "DELETE FROM signatures WHERE version = ?", id)); err != nil {
		return err
	}
	for position, file := range files {
		if err := changed(tx.ExecContext(ctx, "INSERT INTO signatures (version, position, file) VALUES (?, ?, ?)", id, position, file)); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// changed refuses an edit that met no row.
func changed(r sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := r.RowsAffected()
	if err == nil && n == 0 {
		err = fmt.Errorf("there is no such row")
	}
	return err
}
