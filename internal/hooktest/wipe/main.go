// Command wipe clears the MongoDB database that a demo has filled, or, with
// -check, only fails where there is anything in it. It is not part of any
// installation.
//
//	wipe -store-file FILE [-check]     the file holds the database's address
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/connstring"
)

func main() {
	file := flag.String("store-file", "", "file with the address of the database")
	check := flag.Bool("check", false, "drop nothing: fail where the database is not empty")
	flag.Parse()
	if err := run(context.Background(), *file, *check); err != nil {
		fmt.Fprintln(os.Stderr, "cannot wipe:", err)
		os.Exit(1)
	}
}

// run is the command; no error of it shows the address.
func run(ctx context.Context, file string, check bool) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	address := strings.TrimSpace(string(b))
	named, err := connstring.Parse(address)
	if err != nil || named.Database == "" {
		return errors.New("the address names no database")
	}
	client, err := mongo.Connect(options.Client().ApplyURI(address))
	if err != nil {
		return errors.New("the address cannot be used")
	}
	defer client.Disconnect(ctx) //nolint:errcheck // all is written
	db := client.Database(named.Database)
	names, err := db.ListCollectionNames(ctx, map[string]any{})
	if check && err == nil && len(names) > 0 {
		return fmt.Errorf("the database %s has %d collections: name an empty one", db.Name(), len(names))
	}
	for _, name := range names {
		err = errors.Join(err, db.Collection(name).Drop(ctx))
	}
	return err
}
