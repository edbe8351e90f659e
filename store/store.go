// Package store names what a server asks of its store. The backends are
// store/sqlite, the embedded default, and store/mongo; store/open picks one by
// its address, store/storetest is the suite that both pass, and store/archive
// moves everything from one to the other.
package store

import (
	"context"

	"hookline/collector"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/review"
)

// Store is all that the consumers ask of one backend: each of them declares
// its own small part, and uses no other.
type Store interface {
	auth.Accounts
	auth.Purger
	auth.Log
	enroll.Peers
	review.Versions
	review.Changes
	collector.Activations
	collector.Jobs
	collector.Queries
	collector.Counts
	collector.Repairs
	collector.Peers
	Results
	Process
}

// Results are the reads of results, as pages ask for them.
type Results interface {
	Result(ctx context.Context, id string) (collector.Result, error) // errs.CodeNotFound
	Results(ctx context.Context, f collector.ResultFilter) ([]collector.Result, error)
}

// Process is what a store is to the process that has it open.
type Process interface {
	// Ready says whether the store takes writes and answers reads; the error says what is wrong.
	Ready(ctx context.Context) error
	Facts(ctx context.Context) (Facts, error)
	Close() error
}

// Facts are what operators want to know of a store.
type Facts struct {
	Kind    string // "sqlite" or "mongodb"
	Address string // path or address, without user and password
	Schema  string // version of the schema
	Server  string // version of the database
}
