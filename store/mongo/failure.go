package mongo

import (
	"errors"
	"net/url"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"hookline/internal/errs"
)

// failed is how an error of the driver reaches the callers: a coded refusal as
// it is, the context's own end as it is, whatever the server or the way to it
// did as errs.CodeUnavailable with the hint what to do.
func (d *DB) failed(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errs.As(err); ok {
		return err
	}
	return errs.Wrap(errs.CodeUnavailable, err, "cannot use the server's store").
		WithHint("wait for the time that Retry-After gives, then send it again; see the server's log")
}

// openError says why a store does not open. It is for the one who starts the
// server, and names the address without its password.
func openError(address string, err error) error {
	return errs.Wrap(errs.CodeUnavailable, err, "cannot open store %s", withoutPassword(address))
}

func withoutPassword(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "mongodb://…"
	}
	return u.Redacted()
}

// databaseOf is the database that an address names.
func databaseOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return DefaultDatabase
	}
	if name := strings.Trim(u.Path, "/"); name != "" {
		return name
	}
	return DefaultDatabase
}

// duplicate reports whether a unique index refused a write.
func duplicate(err error) bool { return mongo.IsDuplicateKeyError(err) }

// none reports whether nothing matched.
func none(err error) bool { return errors.Is(err, mongo.ErrNoDocuments) }
