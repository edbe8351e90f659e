package open

import (
	"context"
	"io"

	"hookline/store/archive"
	"hookline/store/mongo"
	"hookline/store/sqlite"
)

// Source is a store that is open to be exported.
type Source interface {
	archive.Source
	io.Closer
}

// Target is a store that is open to be filled.
type Target interface {
	archive.Target
	io.Closer
}

// Export opens a store to read the whole of it. A path names a database that
// is there, and nothing is changed in it; a server may have it open. A store on
// a MongoDB server is opened as Store does.
func Export(ctx context.Context, address string, o Options) (Source, error) {
	server, err := onServer(address)
	switch {
	case err != nil:
		return nil, err
	case server:
		return opened[Source](mongo.Open(ctx, address, mongo.Options{Log: o.Log}))
	}
	return opened[Source](sqlite.OpenArchive(ctx, address))
}

// Import opens a store to be filled, also where an import was stopped; it is
// made where it is missing.
func Import(ctx context.Context, address string, o Options) (Target, error) {
	server, err := onServer(address)
	switch {
	case err != nil:
		return nil, err
	case server:
		return opened[Target](mongo.Open(ctx, address, mongo.Options{Log: o.Log, Import: true}))
	}
	return opened[Target](sqlite.Open(ctx, address, sqlite.Options{Import: true}))
}
