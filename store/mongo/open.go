package mongo

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hookline/internal/errs"
	"hookline/store"
)

// minWire is the oldest server, by its wire version: MongoDB 5.0.
const minWire = 13

// schema is the number of the collections' layout. A database of another one is
// refused: of a newer one this version would drop what it does not know of, and
// in the documents of an older one its lists would miss fields.
const schema = 2

// Documents of the collection meta.
const (
	metaSchema = "schema"
	metaImport = "import" // while an import is not finished
	metaProbe  = "probe"  // written where Ready asks whether writes work
)

type schemaDoc struct {
	ID      string `bson:"_id"`
	Version int64  `bson:"version"`
}

// dialer lets a test open the connections, and cut them.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// DialContext is the driver's name for it.
func (f dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return f(ctx, network, address)
}

// start sees whether the server will do, and readies the database.
func (d *DB) start(ctx context.Context) error {
	if err := d.checkServer(ctx); err != nil {
		return err
	}
	if err := d.checkSchema(ctx); err != nil {
		return err
	}
	if err := d.checkImport(ctx); err != nil {
		return err
	}
	return d.makeIndexes(ctx)
}

// hello is what a server says of itself.
type hello struct {
	MaxWire int64  `bson:"maxWireVersion"`
	SetName string `bson:"setName"`
	Message string `bson:"msg"` // "isdbgrid" is a router of a sharded cluster
}

type buildInfo struct {
	Version  string `bson:"version"`
	FerretDB string `bson:"ferretdbVersion"`
}

func (d *DB) checkServer(ctx context.Context) error {
	var h hello
	if err := d.db.RunCommand(ctx, m{{Key: "hello", Value: 1}}).Decode(&h); err != nil {
		return err
	}
	var b buildInfo
	if err := d.db.RunCommand(ctx, m{{Key: "buildInfo", Value: 1}}).Decode(&b); err != nil {
		return err
	}
	switch {
	case h.MaxWire < minWire:
		return errs.New(errs.CodeUnavailable, "the server is MongoDB %s, which is too old", b.Version).WithHint("use MongoDB 5.0 or newer")
	case b.FerretDB != "" && !d.target.single:
		return errs.New(errs.CodeUnavailable, "the server is FerretDB %s, which does not apply conditional updates one after the other", b.FerretDB).
			WithHint("use MongoDB; for a trial with one hooklined, which is then FerretDB's only client, add maxPoolSize=1 to the address")
	case b.FerretDB != "":
		d.options.Log.Warn("the store is FerretDB: for trials with one server alone", "store", d.target.shown, "version", b.FerretDB)
	case h.SetName == "" && h.Message != "isdbgrid":
		d.options.Log.Warn("the store is no replica set: one machine keeps the only copy", "store", d.target.shown, "version", b.Version)
	}
	return nil
}

// Facts are what operators want to know of the store.
func (d *DB) Facts(ctx context.Context) (store.Facts, error) {
	f := store.Facts{Kind: "mongodb", Address: d.target.shown, Schema: strconv.Itoa(schema)}
	var b buildInfo
	if err := d.db.RunCommand(ctx, m{{Key: "buildInfo", Value: 1}}).Decode(&b); err != nil {
		return f, d.failed(err)
	}
	f.Server = b.Version
	if b.FerretDB != "" {
		f.Server = "FerretDB " + strings.TrimPrefix(b.FerretDB, "v")
	}
	return f, nil
}

// checkSchema claims a database that is new, and refuses one that is newer or
// somebody else's. Several servers may do so at once.
func (d *DB) checkSchema(ctx context.Context) error {
	var doc schemaDoc
	err := d.meta.FindOne(ctx, m{{Key: "_id", Value: metaSchema}}).Decode(&doc)
	if none(err) {
		if err := d.claim(ctx); err != nil {
			return err
		}
		err = d.meta.FindOne(ctx, m{{Key: "_id", Value: metaSchema}}).Decode(&doc)
	}
	if err != nil {
		return err
	}
	if doc.Version == schema {
		return nil
	}
	hint := "a newer server wrote this store; start that version, or give this one another database"
	if doc.Version < schema {
		hint = "an older server wrote this store; export it with that version, and import it into another database"
	}
	return errs.New(errs.CodeUnavailable, "its schema has version %d, and this server knows version %d", doc.Version, schema).WithHint("%s", hint)
}

// claim writes the schema's version into a database that has none of our
// collections.
func (d *DB) claim(ctx context.Context) error {
	names, err := d.db.ListCollectionNames(ctx, m{})
	if err != nil {
		return err
	}
	for _, c := range append(d.records(), d.sessions) {
		if !slices.Contains(names, c.Name()) {
			continue
		}
		// Another server may have claimed it meanwhile and be making its collections.
		if err := d.meta.FindOne(ctx, m{{Key: "_id", Value: metaSchema}}).Err(); !none(err) {
			return err
		}
		return errs.New(errs.CodeUnavailable, "its database has a collection %q that Hookline did not make", c.Name()).
			WithHint("name another database in the address, as in …/%s; it is made when it is first used", DefaultDatabase)
	}
	_, err = d.meta.InsertOne(ctx, schemaDoc{ID: metaSchema, Version: schema})
	if duplicate(err) {
		return nil
	}
	return err
}

// checkImport refuses a store that has only a part of what was imported.
func (d *DB) checkImport(ctx context.Context) error {
	if d.options.Import {
		return nil
	}
	mark, err := d.ArchiveMark(ctx)
	if err != nil {
		return err
	}
	return mark.Unfinished()
}

// Ready says whether the store answers reads and, where the last operation
// failed, whether it takes writes; the error says what is wrong.
func (d *DB) Ready(ctx context.Context) error {
	failing := d.failing.Load()
	err := d.meta.FindOne(ctx, m{{Key: "_id", Value: metaSchema}}).Err()
	if none(err) {
		return unavailable("its database was dropped or replaced").
			WithHint("stop the server; bring back what was there, or name a new database, which an import can fill")
	}
	if err != nil {
		return d.failed(err)
	}
	if !failing {
		return nil
	}
	_, err = d.meta.UpdateOne(ctx, m{{Key: "_id", Value: metaProbe}}, m{{Key: "$inc", Value: m{{Key: "probed", Value: 1}}}},
		options.UpdateOne().SetUpsert(true))
	if err != nil && !duplicate(err) { // another server's first probe
		return d.failed(err)
	}
	d.failing.Store(false)
	return nil
}

// selectionTimeout is how long an operation looks for a server: less than it
// may take in all, so that the error can say what is wrong with each, and less
// than that where the address says so.
func selectionTimeout(operation time.Duration, asked *time.Duration) time.Duration {
	if asked != nil && *asked > 0 {
		return min(*asked, operation/2)
	}
	return operation / 2
}
