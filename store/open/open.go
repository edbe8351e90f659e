// Package open opens the store that an address names.
//
//	db, err := open.Store(ctx, "mongodb://db1,db2,db3/hookline", open.Options{Log: log})
//	if err != nil {
//		return err
//	}
//	defer db.Close()
package open

import (
	"context"
	"log/slog"
	"regexp"
	"strings"

	"hookline/internal/errs"
	"hookline/store"
	"hookline/store/mongo"
	"hookline/store/sqlite"
)

// Options tune a store; the zero value is ready to use.
type Options struct {
	Log *slog.Logger // is told what is unwise about the store; nil for nobody
}

// scheme is what stands before "://" in an address, see RFC 3986.
var scheme = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*)://`)

// Store opens a store on a MongoDB server ("mongodb://…", "mongodb+srv://…"),
// or the embedded one in the file that a path names, which is made where it is
// missing. An address of another kind is errs.CodeBadInput, a store that does
// not open errs.CodeUnavailable; the error says what to do, and never holds
// the password of an address.
func Store(ctx context.Context, address string, o Options) (store.Store, error) {
	m := scheme.FindStringSubmatch(address)
	switch {
	case m == nil && address == "":
		return nil, errs.New(errs.CodeBadInput, "the store's address is empty").WithHint(forms)
	case m == nil:
		return opened(sqlite.Open(ctx, address, sqlite.Options{}))
	case OnServer(address):
		return opened(mongo.Open(ctx, address, mongo.Options{Log: o.Log}))
	default:
		return nil, errs.New(errs.CodeBadInput, "cannot use a store of kind %q", m[1]).WithHint(forms)
	}
}

const forms = "give the path of a file, or mongodb://user:password@host/database"

// opened keeps a nil pointer from becoming a store.
func opened[T store.Store](db T, err error) (store.Store, error) {
	if err != nil {
		return nil, err
	}
	return db, nil
}

// OnServer reports whether an address is that of a database server, and no
// path.
func OnServer(address string) bool {
	m := scheme.FindStringSubmatch(address)
	return m != nil && (m[1] == "mongodb" || m[1] == "mongodb+srv")
}

// HasPassword reports whether an address holds a password, or a token in its
// place.
func HasPassword(address string) bool {
	if !OnServer(address) {
		return false
	}
	_, rest, _ := strings.Cut(address, "://")
	rest, query, _ := strings.Cut(rest, "?")
	user := rest[:max(0, strings.LastIndex(rest, "@"))]
	_, password, _ := strings.Cut(user, ":")
	return password != "" || strings.Contains(query, "AWS_SESSION_TOKEN:")
}
