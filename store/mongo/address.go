package mongo

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/connstring"

	"hookline/internal/errs"
)

// target is what an address names, without what is secret in it.
type target struct {
	shown    string // for people and logs: "mongodb://db1,db2/hookline"
	database string
	user     string // "" is nobody
	source   string // the database that user belongs to
	single   bool   // one connection, as maxPoolSize=1 says
}

// databaseName is what MongoDB, on every system, and FerretDB take.
var databaseName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,63}$`)

const addressHint = "the form is mongodb://user:password@host1,host2,host3/database?replicaSet=name, with everything but letters and digits percent-encoded in user and password"

// readAddress reads an address into the driver's options and what it names.
func readAddress(address string) (*options.ClientOptions, target, error) {
	scheme, rest, _ := strings.Cut(address, "://")
	if scheme != connstring.SchemeMongoDB && scheme != connstring.SchemeMongoDBSRV {
		return nil, target{}, badAddress("it begins neither with mongodb:// nor with mongodb+srv://").WithHint(addressHint)
	}
	c, err := connstring.Parse(connstring.SchemeMongoDB + "://" + rest) // what stands in it; a name is looked up below
	if err != nil {
		return nil, target{}, unreadable(rest)
	}
	p, err := targetOf(scheme, c)
	if err != nil {
		return nil, target{}, err
	}
	o := options.Client().ApplyURI(address)
	if err := o.Validate(); err != nil {
		return nil, target{}, errs.New(errs.CodeBadInput, "cannot use store %s: %v", p.shown, err).WithHint("correct the address; " + addressHint)
	}
	if o.Auth != nil {
		p.user, p.source = o.Auth.Username, o.Auth.AuthSource
	}
	p.single = o.MaxPoolSize != nil && *o.MaxPoolSize == 1
	return o, p, weaker(o, p)
}

func badAddress(format string, args ...any) *errs.Error {
	return errs.New(errs.CodeBadInput, "cannot read the store's address: "+format, args...)
}

// unreadable says why an address cannot be read. The driver's words quote what
// they are about, so they are asked for an address without user and password;
// where that one is fine, it is them that are not.
func unreadable(rest string) error {
	if i := strings.LastIndex(rest, "@"); i >= 0 {
		rest = rest[i+1:]
		if _, err := connstring.Parse(connstring.SchemeMongoDB + "://" + rest); err == nil {
			return badAddress("user or password have characters that are not percent-encoded").
				WithHint("write : / ? # [ ] @ %% in them as %%3A %%2F %%3F %%23 %%5B %%5D %%40 %%25")
		}
	}
	hosts, _, _ := strings.Cut(rest, "/")
	if _, err := connstring.Parse(connstring.SchemeMongoDB + "://" + hosts); err != nil {
		// Without the driver's words: a password without its "@host" would stand in them.
		return badAddress("it has no host, or one that is not a name or an address with a port from 1 to 65535").WithHint(addressHint)
	}
	return badAddress("its database or one of its options cannot be read").WithHint(addressHint)
}

func targetOf(scheme string, c *connstring.ConnString) (target, error) {
	p := target{database: c.Database}
	if p.database == "" {
		p.database = DefaultDatabase
	}
	switch {
	case len(c.UnknownOptions) > 0:
		return p, badAddress("unknown option %q", slices.Sorted(maps.Keys(c.UnknownOptions))[0]).
			WithHint("correct its name or leave it out; MongoDB's manual lists them under Connection Strings")
	case !databaseName.MatchString(p.database):
		return p, badAddress("the name of its database does not fit").WithHint("use 1 to 63 of A-Z a-z 0-9 _ -, as in …/" + DefaultDatabase)
	case slices.Contains([]string{"admin", "local", "config"}, strings.ToLower(p.database)):
		return p, badAddress("the database %s is the server's own", p.database).WithHint("name another, as in …/" + DefaultDatabase)
	}
	p.shown = scheme + "://" + strings.Join(c.RawHosts, ",") + "/" + p.database
	return p, nil
}

// weaker refuses options that would weaken what the store promises: that what
// was acknowledged is on a majority, and that reads see it.
func weaker(o *options.ClientOptions, p target) error {
	refuse := func(option, why string) error {
		return errs.New(errs.CodeBadInput, "cannot use store %s: %s", p.shown, why).WithHint("leave %s out of the address", option)
	}
	switch {
	case o.WriteConcern != nil && o.WriteConcern.W != nil && o.WriteConcern.W != "majority":
		return refuse("w", "its option w asks for other acknowledgement than the majority's")
	case o.WriteConcern != nil && o.WriteConcern.Journal != nil && !*o.WriteConcern.Journal:
		return refuse("journal", "its option journal lets writes be acknowledged before they are on disk")
	case o.ReadPreference != nil && o.ReadPreference.Mode() != readpref.PrimaryMode:
		return refuse("readPreference", "its option readPreference asks for reads from others than the primary, which may be old")
	case o.ReadConcern != nil && o.ReadConcern.Level != "majority":
		return refuse("readConcernLevel", "its option readConcernLevel asks for other reads than the majority's")
	case o.MaxPoolSize != nil && *o.MaxPoolSize == 0:
		return refuse("maxPoolSize=0", "its option maxPoolSize=0 sets no bound on connections")
	}
	return nil
}
