package mongo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// index is one index besides that on _id, and what it is for.
type index struct {
	collection string
	keys       m
	unique     bool
	use        string
}

// indexes are all of them. Every query finds one whose first keys it compares
// for equality and whose next one gives the order or the range; a test holds
// each against this list, and docs/mongodb.md shows it. MongoDB 8.0 and
// FerretDB 1.24 both know no more than unique compound ones of what is used
// here: no partial and no sparse index, so a unique key is always set.
func indexes() []index {
	return []index{
		{"tokens", m{{Key: "hash", Value: 1}}, true, "a secret is looked up by its hash"},
		{"tokens", m{{Key: "expires_at", Value: 1}, {Key: "_id", Value: 1}}, false, "tokens that have ended"},
		{"tokens", m{{Key: "user", Value: 1}, {Key: "_id", Value: -1}}, false, "tokens of a user"},
		{"sessions", m{{Key: "expires_at", Value: 1}, {Key: "_id", Value: 1}}, false, "sessions that have ended"},
		{"peers", m{{Key: "spki", Value: 1}}, true, "one peer for a key"},
		{"peers", m{{Key: "name", Value: 1}, {Key: "_id", Value: 1}}, false, "peers by name"},
		{"peers", m{{Key: "seen", Value: 1}, {Key: "_id", Value: 1}}, false, "peers by when they were seen"},
		{"peers", m{{Key: "online", Value: 1}, {Key: "_id", Value: 1}}, false, "connected peers, and how many they are"},
		{"peers", m{{Key: "online", Value: 1}, {Key: "name", Value: 1}, {Key: "_id", Value: 1}}, false, "connected peers by name"},
		{"peers", m{{Key: "online", Value: 1}, {Key: "seen", Value: 1}, {Key: "_id", Value: 1}}, false, "connected peers by when they were seen"},
		{"audit", m{{Key: "actor", Value: 1}, {Key: "_id", Value: -1}}, false, "what somebody did"},
		{"audit", m{{Key: "action", Value: 1}, {Key: "_id", Value: -1}}, false, "actions of one kind"},
		{"audit", m{{Key: "target", Value: 1}, {Key: "_id", Value: -1}}, false, "what was done to something"},
		{"audit", m{{Key: "todo", Value: 1}, {Key: "at", Value: 1}}, false, "actions that were begun and not ended"},
		{"hook_versions", m{{Key: "hook", Value: 1}, {Key: "number", Value: -1}}, true, "a number is taken once; versions of a hook, newest first"},
		{"hook_versions", m{{Key: "todo", Value: 1}, {Key: "submitted_at", Value: 1}}, false, "versions that no hook row names yet"},
		{"hook_versions", m{{Key: "state", Value: 1}, {Key: "submitted_at", Value: 1}, {Key: "_id", Value: 1}}, false, "versions that wait for review, the oldest first"},
		{"comments", m{{Key: "version", Value: 1}, {Key: "_id", Value: 1}}, false, "a version's comments, the oldest first"},
		{"comments", m{{Key: "version", Value: 1}, {Key: "number", Value: 1}}, true, "a comment has one of so many numbers of its version"},
		{"activations", m{{Key: "active", Value: 1}}, true, "one active version of a hook"},
		{"activations", m{{Key: "state", Value: 1}, {Key: "deadline", Value: 1}, {Key: "_id", Value: 1}}, false, "active ones past their deadline"},
		{"activations", m{{Key: "keys", Value: 1}, {Key: "state", Value: 1}, {Key: "_id", Value: 1}}, false, "active ones with a match key"},
		{"activations", m{{Key: "ledger.leased", Value: 1}}, false, "those with leases out"},
		{"activations", m{{Key: "hook", Value: 1}, {Key: "changed_at", Value: 1}}, false, "what became of a hook since a time"},
		{"jobs", m{{Key: "slot", Value: 1}}, true, "one open job of a version for an original"},
		{"jobs", m{{Key: "place", Value: 1}}, true, "a peer's pending jobs have one of a few places each"},
		{"jobs", m{{Key: "peer_id", Value: 1}, {Key: "_id", Value: -1}}, false, "jobs of a peer"},
		{"jobs", m{{Key: "peer_id", Value: 1}, {Key: "keys", Value: 1}, {Key: "_id", Value: -1}}, false, "originals of a peer with a match key"},
		{"jobs", m{{Key: "peer_id", Value: 1}, {Key: "workload", Value: 1}, {Key: "status", Value: 1}, {Key: "_id", Value: 1}}, false, "a peer's pending jobs"},
		{"jobs", m{{Key: "problem_id", Value: 1}, {Key: "_id", Value: -1}}, false, "jobs of a problem"},
		{"jobs", m{{Key: "original_id", Value: 1}, {Key: "_id", Value: -1}}, false, "hook jobs of an original"},
		{"jobs", m{{Key: "version", Value: 1}, {Key: "_id", Value: -1}}, false, "jobs of a version"},
		{"jobs", m{{Key: "workload", Value: 1}, {Key: "_id", Value: -1}}, false, "jobs of one workload"},
		{"jobs", m{{Key: "workload", Value: 1}, {Key: "status", Value: 1}, {Key: "_id", Value: -1}}, false, "jobs of one workload and status"},
		{"jobs", m{{Key: "status", Value: 1}, {Key: "_id", Value: -1}}, false, "jobs of one status; pending ones past their deadline"},
		{"jobs", m{{Key: "todo", Value: 1}, {Key: "created_at", Value: 1}}, false, "reports that are not counted, results that are not moved"},
		{"problems", m{{Key: "last_seen", Value: -1}, {Key: "_id", Value: -1}}, false, "problems, the last seen first"},
		{"problems", m{{Key: "first_seen", Value: -1}, {Key: "_id", Value: -1}}, false, "problems, the newest first"},
		{"problems", m{{Key: "reports", Value: -1}, {Key: "_id", Value: -1}}, false, "problems, those with most reports first"},
		{"problems", m{{Key: "package", Value: 1}, {Key: "last_seen", Value: -1}, {Key: "_id", Value: -1}}, false, "problems of a package, the last seen first"},
		{"problems", m{{Key: "package", Value: 1}, {Key: "first_seen", Value: -1}, {Key: "_id", Value: -1}}, false, "problems of a package, the newest first"},
		{"problems", m{{Key: "package", Value: 1}, {Key: "reports", Value: -1}, {Key: "_id", Value: -1}}, false, "problems of a package, those with most reports first"},
		{"hook_results", m{{Key: "job_id", Value: 1}, {Key: "_id", Value: -1}}, false, "results for an original"},
		{"hook_results", m{{Key: "hook", Value: 1}, {Key: "_id", Value: -1}}, false, "results of a hook"},
		{"hook_results", m{{Key: "version", Value: 1}, {Key: "_id", Value: -1}}, false, "results of a version"},
		{"hook_results", m{{Key: "problem_id", Value: 1}, {Key: "_id", Value: -1}}, false, "results of a problem"},
		{"hook_results", m{{Key: "peer_id", Value: 1}, {Key: "_id", Value: -1}}, false, "results of a peer"},
		{"hook_results", m{{Key: "level", Value: 1}, {Key: "_id", Value: -1}}, false, "results of hooks of a level"},
		{"hook_results", m{{Key: "package", Value: 1}, {Key: "_id", Value: -1}}, false, "results about a package"},
	}
}

// makeIndexes makes those that are missing, a collection's with one command;
// the others are left alone, and not named: FerretDB 1.24 breaks off where a
// command names two that are there.
func (d *DB) makeIndexes(ctx context.Context) error {
	wanted := map[string][]index{}
	for _, i := range indexes() {
		wanted[i.collection] = append(wanted[i.collection], i)
	}
	for _, collection := range slices.Sorted(maps.Keys(wanted)) {
		c := d.db.Collection(collection)
		made, err := indexesOf(ctx, c)
		if err != nil {
			return err
		}
		var missing []mongo.IndexModel
		for _, i := range wanted[collection] {
			if unique, is := made[i.name()]; !is || unique != i.unique {
				missing = append(missing, mongo.IndexModel{Keys: i.keys, Options: options.Index().SetName(i.name()).SetUnique(i.unique)})
			}
		}
		if len(missing) == 0 {
			continue
		}
		if _, err := c.Indexes().CreateMany(ctx, missing); err != nil {
			return err
		}
	}
	return nil
}

// name is what MongoDB would call it: "spki_1", "hook_1_number_-1".
func (i index) name() string {
	parts := make([]string, 0, 2*len(i.keys))
	for _, key := range i.keys {
		parts = append(parts, key.Key, fmt.Sprint(key.Value))
	}
	return strings.Join(parts, "_")
}

// indexesOf lists the names of a collection's indexes, and which are unique.
func indexesOf(ctx context.Context, c *mongo.Collection) (map[string]bool, error) {
	all, err := c.Indexes().ListSpecifications(ctx)
	if is(err, []int{26}) { // NamespaceNotFound: the collection is made with its first index
		err = nil
	}
	names := map[string]bool{}
	for _, spec := range all {
		names[spec.Name] = spec.Unique != nil && *spec.Unique
	}
	return names, err
}
