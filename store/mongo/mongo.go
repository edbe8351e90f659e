// Package mongo is the store on a MongoDB server: every store interface that
// the domain packages declare, over single-document conditional updates.
//
//	db, err := mongo.Open(ctx, "mongodb://db1,db2,db3/hookline?replicaSet=rs0", mongo.Options{})
//	if err != nil {
//		return err
//	}
//	defer db.Close()
//
// No method uses a transaction. Where an intent needs several documents it
// goes through steps in a fixed order, each of them one conditional update,
// such that a stop after any of them leaves something that Recover finds: a
// lease in its activation's document (collector.Jobs gives the order), a "todo"
// in the document that is not finished (see mend.go), an audit entry that was
// begun. Writes are acknowledged by a majority, reads see what a majority has.
//
// docs/mongodb.md lists the collections, every query with its index, and every
// command and operator that is used.
package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

// DefaultDatabase is the database where the address names none.
const DefaultDatabase = "hookline"

// Options tune a DB; the zero value is ready to use.
type Options struct {
	Timeout time.Duration         // of one operation, with the search for a server; 0 means 10 s
	Monitor *event.CommandMonitor // sees every command; nil for none
	Now     func() time.Time      // nil is the clock; stamps of the store's own, such as those of an index build
}

func (o Options) withDefaults() Options {
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// DB is an open database. Its methods may be called from many goroutines.
type DB struct {
	options Options
	client  *mongo.Client
	db      *mongo.Database

	users, tokens, audit, peers, hooks, versions, activations, jobs, problems, results, meta *mongo.Collection
}

// Open connects to the server that the address names (mongodb:// or
// mongodb+srv://, with the database in its path), sees whether it will do, and
// makes the indexes that are missing.
func Open(ctx context.Context, address string, o Options) (*DB, error) {
	o = o.withDefaults()
	client, err := mongo.Connect(options.Client().ApplyURI(address).
		SetAppName("hooklined").
		SetReadPreference(readpref.Primary()).
		SetReadConcern(readconcern.Majority()).
		SetWriteConcern(writeconcern.Majority()).
		SetTimeout(o.Timeout).
		SetMonitor(o.Monitor))
	if err != nil {
		return nil, openError(address, err)
	}
	d := newDB(client, databaseOf(address), o)
	if err := d.start(ctx); err != nil {
		_ = d.Close()
		return nil, openError(address, err)
	}
	return d, nil
}

func newDB(client *mongo.Client, name string, o Options) *DB {
	db := client.Database(name)
	return &DB{
		options: o, client: client, db: db,
		users: db.Collection("users"), tokens: db.Collection("tokens"), audit: db.Collection("audit"),
		peers: db.Collection("peers"), hooks: db.Collection("hooks"), versions: db.Collection("hook_versions"),
		activations: db.Collection("activations"), jobs: db.Collection("jobs"), problems: db.Collection("problems"),
		results: db.Collection("hook_results"), meta: db.Collection("meta"),
	}
}

// Close ends the connections. Every later call is refused with
// errs.CodeUnavailable.
func (d *DB) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), d.options.Timeout)
	defer cancel()
	return d.client.Disconnect(ctx)
}

// Short forms of what every query is made of.
type (
	m = bson.D
	a = bson.A

	condition = bson.E
)
