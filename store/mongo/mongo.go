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
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
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
	Log     *slog.Logger          // is told at the start what is unwise about the server; nil for nobody
	Import  bool                  // opens a store whose import is not finished, too: to go on with it

	// Dial opens the connections to servers; nil is the network. TLS goes over them.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

func (o Options) withDefaults() Options {
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	return o
}

// DB is an open database. Its methods may be called from many goroutines.
type DB struct {
	options Options
	target  target
	closed  atomic.Bool
	failing atomic.Bool // an operation has failed since Ready last saw a write work
	client  *mongo.Client
	db      *mongo.Database

	users, tokens, sessions, audit, peers, hooks, versions, comments, activations, jobs, problems, results, foreign, meta *mongo.Collection
}

// Open connects to the server that the address names (mongodb:// or
// mongodb+srv://, with the database in its path), sees whether it will do, and
// makes the indexes that are missing. It refuses an address that asks for less
// than majority writes and reads of the primary (errs.CodeBadInput), a server
// that is too old or FerretDB without maxPoolSize=1, a newer schema, and a
// store whose import is not finished (errs.CodeUnavailable). No error holds
// the address's password.
func Open(ctx context.Context, address string, o Options) (*DB, error) {
	o = o.withDefaults()
	from, p, err := readAddress(address)
	if err != nil {
		return nil, err
	}
	client, err := mongo.Connect(from.
		SetAppName("hooklined").
		SetReadPreference(readpref.Primary()).
		SetReadConcern(readconcern.Majority()).
		SetWriteConcern(writeconcern.Majority()).
		SetTimeout(o.Timeout).
		SetServerSelectionTimeout(selectionTimeout(o.Timeout, from.ServerSelectionTimeout)).
		SetConnectTimeout(selectionTimeout(o.Timeout, from.ConnectTimeout)).
		SetDialer(dialer(o.Dial)).
		SetRegistry(encoding).
		SetMonitor(new(queries).monitor(o.Monitor)))
	if err != nil {
		return nil, openError(p, err)
	}
	d := newDB(client, p, o)
	if err := d.start(ctx); err != nil {
		_ = d.Close()
		return nil, openError(p, err)
	}
	return d, nil
}

func newDB(client *mongo.Client, p target, o Options) *DB {
	db := client.Database(p.database)
	return &DB{
		options: o, target: p, client: client, db: db,
		users: db.Collection("users"), tokens: db.Collection("tokens"), sessions: db.Collection("sessions"), audit: db.Collection("audit"),
		peers: db.Collection("peers"), hooks: db.Collection("hooks"), versions: db.Collection("hook_versions"), comments: db.Collection("comments"),
		activations: db.Collection("activations"), jobs: db.Collection("jobs"), problems: db.Collection("problems"),
		results: db.Collection("hook_results"), foreign: db.Collection("foreign_records"), meta: db.Collection("meta"),
	}
}

// Close ends the connections. Every later call is refused with
// errs.CodeUnavailable.
func (d *DB) Close() error {
	if d.closed.Swap(true) {
		return nil
	}
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
