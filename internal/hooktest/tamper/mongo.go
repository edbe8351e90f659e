package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/connstring"
)

// runMongo is run on a MongoDB database. No error of it shows the address.
func runMongo(ctx context.Context, file, what, id string, value []byte) error {
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
	switch what {
	case "script", "statement":
		return editVersion(ctx, db, id, what, value)
	case "signatures":
		var files [][]byte
		if err := json.Unmarshal(value, &files); err != nil {
			return err
		}
		return editVersion(ctx, db, id, what, files)
	case "opt-in":
		r, err := db.Collection("peers").UpdateMany(ctx, bson.D{}, set("allow_hooks", string(value)))
		return met(r, err)
	case "activation":
		return reviveMongo(ctx, db, id)
	case "empty":
		return empty(ctx, db)
	case "drop":
		return drop(ctx, db)
	default:
		return fmt.Errorf("do not know how to edit %q", what)
	}
}

func set(name string, value any) bson.D {
	return bson.D{{Key: "$set", Value: bson.D{{Key: name, Value: value}}}}
}

func editVersion(ctx context.Context, db *mongo.Database, id, name string, value any) error {
	r, err := db.Collection("hook_versions").UpdateOne(ctx, bson.D{{Key: "_id", Value: id}}, set(name, value))
	return met(r, err)
}

// reviveMongo makes an activation active again.
func reviveMongo(ctx context.Context, db *mongo.Database, id string) error {
	all := db.Collection("activations")
	var a struct {
		Hook string `bson:"hook"`
	}
	if err := all.FindOne(ctx, bson.D{{Key: "_id", Value: id}}).Decode(&a); err != nil {
		return err
	}
	active := bson.D{{Key: "state", Value: "active"}, {Key: "reason", Value: ""}, {Key: "active", Value: "hook/" + a.Hook}}
	return met(all.UpdateOne(ctx, bson.D{{Key: "_id", Value: id}}, bson.D{{Key: "$set", Value: active}}))
}

// met refuses an edit that met no document.
func met(r *mongo.UpdateResult, err error) error {
	if err == nil && r.MatchedCount == 0 {
		err = errors.New("there is no such document")
	}
	return err
}

func empty(ctx context.Context, db *mongo.Database) error {
	names, err := db.ListCollectionNames(ctx, bson.D{})
	if err == nil && len(names) > 0 {
		err = fmt.Errorf("the database %s has %d collections: name an empty one", db.Name(), len(names))
	}
	return err
}

func drop(ctx context.Context, db *mongo.Database) error {
	names, err := db.ListCollectionNames(ctx, bson.D{})
	for _, name := range names {
		err = errors.Join(err, db.Collection(name).Drop(ctx))
	}
	return err
}
