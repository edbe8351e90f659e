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
	"time"

	"hookline/internal/errs"
	"hookline/store"
	"hookline/store/mongo"
	"hookline/store/sqlite"
)

// Options tune a store; the zero value is ready to use.
type Options struct {
	Log     *slog.Logger  // is told what is unwise about the store; nil for nobody
	Timeout time.Duration // of one operation on a database server; 0 means 10 s
}

// scheme is what stands before "://" in an address, see RFC 3986.
var scheme = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*)://`)

// Store opens a store on a MongoDB server ("mongodb://…", "mongodb+srv://…"),
// or the embedded one in the file that a path names, which is made where it is
// missing. An address of another kind is errs.CodeBadInput, a store that does
// not open errs.CodeUnavailable; the error says what to do, and never holds
// the password of an address.
func Store(ctx context.Context, address string, o Options) (store.Store, error) {
	server, err := onServer(address)
	switch {
	case err != nil:
		return nil, err
	case server:
		return opened[store.Store](mongo.Open(ctx, address, mongo.Options{Log: o.Log, Timeout: o.Timeout}))
	}
	return opened[store.Store](sqlite.Open(ctx, address, sqlite.Options{}))
}

const forms = "give the path of a file, or mongodb://user:password@host/database"

// opened keeps a nil pointer from becoming a store.
func opened[I any, T any](db T, err error) (I, error) {
	var none I
	if err != nil {
		return none, err
	}
	return any(db).(I), nil //nolint:errcheck,forcetypeassert // the callers' types
}

// onServer is OnServer that refuses what is no address.
func onServer(address string) (bool, error) {
	m := scheme.FindStringSubmatch(address)
	switch {
	case address == "":
		return false, errs.New(errs.CodeBadInput, "the store's address is empty").WithHint(forms)
	case m != nil && !OnServer(address):
		return false, errs.New(errs.CodeBadInput, "cannot use a store of kind %q", m[1]).WithHint(forms)
	}
	return m != nil, nil
}

// OnServer reports whether an address is that of a database server, and no
// path.
func OnServer(address string) bool {
	m := scheme.FindStringSubmatch(address)
	return m != nil && (m[1] == "mongodb" || m[1] == "mongodb+srv")
}

// secretOption is an option of an address whose value is a secret.
var secretOption = regexp.MustCompile(`(?i)AWS_SESSION_TOKEN:|tlsCertificateKeyFilePassword=|sslClientCertificateKeyPassword=`)

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
	return password != "" || secretOption.MatchString(query)
}
