package mongo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/description"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"hookline/internal/errs"
)

// The server's error codes that mean something here. MongoDB's list of them is
// src/mongo/base/error_codes.yml.
var (
	// The primary has gone, is going, or is no longer it; another will be found.
	codesPrimary = []int{
		91,    // ShutdownInProgress
		189,   // PrimarySteppedDown
		10058, // LegacyNotPrimary
		10107, // NotWritablePrimary
		11600, // InterruptedAtShutdown
		11602, // InterruptedDueToReplStateChange
		13435, // NotPrimaryNoSecondaryOk
		13436, // NotPrimaryOrSecondary
		133,   // FailedToSatisfyReadPreference
		134,   // ReadConcernMajorityNotAvailableYet
	}
	// The server, or one that it asked, did not come to an end.
	codesBusy = []int{
		6,     // HostUnreachable
		7,     // HostNotFound
		24,    // LockTimeout
		43,    // CursorNotFound
		46,    // LockBusy
		50,    // MaxTimeMSExpired
		89,    // NetworkTimeout
		112,   // WriteConflict
		202,   // NetworkInterfaceExceededTimeLimit
		262,   // ExceededTimeLimit
		365,   // TemporarilyUnavailable
		462,   // IngressRequestRateLimitExceeded
		9001,  // SocketException
		11601, // Interrupted
		13388, // StaleConfig
	}
	codesRights   = []int{11, 13, 18, 8000} // UserNotFound, Unauthorized, AuthenticationFailed, Atlas' own
	codesTooLarge = []int{10334, 17419, 17420}
	codesFull     = []int{14031}
)

// failed is how an error of the driver reaches the callers: a coded refusal and
// the end of their own context as they are, what the server or the way to it
// did with a code and what to do. Anything else is a defect and stays as it is.
func (d *DB) failed(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errs.As(err); ok {
		return err
	}
	if d.closed.Load() || errors.Is(err, mongo.ErrClientDisconnected) {
		return errClosed()
	}
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	f := d.failure(err)
	if f == nil {
		return err
	}
	if f.Code != errs.CodeTooLarge {
		d.failing.Store(true)
	}
	return f.WithDetail("store %s: %v", d.target.shown, err)
}

// failure is how trouble of the server and the way to it reaches people, or
// nil where err is none: a duplicate, a defect. Peers read it, and strangers
// at /readyz: the server's words are for the log.
func (d *DB) failure(err error) *errs.Error {
	var concern *mongo.WriteConcernError
	switch {
	case tooLarge(err):
		return errs.New(errs.CodeTooLarge, "cannot store: a document is too large").
			WithHint("store less: a document of MongoDB has at most 16 MB")
	case full(err):
		return errs.New(errs.CodeStorageFull, "cannot store: the database server's disk is full").
			WithHint("nothing of this request was stored; free space on the database server and send it again")
	case is(err, codesRights):
		return unavailable("it does not let the server in, or not do what it must").
			WithHint("see the server's log; the right that its database user needs is readWrite on the database")
	case is(err, codesPrimary):
		return unavailable("it has no primary at the moment").
			WithHint("send it again after a short wait: another server becomes the primary")
	case unconfirmed(err, &concern):
		return unavailable("a majority of its servers has not confirmed in time").
			WithHint("whether this request was stored is not known; send it again after a short wait, the same request is stored once")
	case exhausted(err):
		return unavailable("all connections to it are in use").
			WithHint("send it again after a short wait; where this stays, it is too slow, or its address allows too few with maxPoolSize")
	case unreached(err):
		return unavailable("none of its servers can be reached").
			WithHint("send it again after a short wait; see the server's log, the network, and whether MongoDB runs")
	case mongo.IsTimeout(err) || is(err, codesBusy):
		return unavailable("it did not answer within " + d.options.Timeout.String()).
			WithHint("whether this request was stored is not known; send it again after a short wait")
	case disconnected(err):
		return unavailable("the connection was lost").
			WithHint("whether this request was stored is not known; send it again after a short wait")
	}
	return nil
}

func unavailable(why string) *errs.Error {
	return errs.New(errs.CodeUnavailable, "cannot use the server's store: %s", why)
}

// is reports whether the server answered with one of the codes.
func is(err error, codes []int) bool {
	var e mongo.ServerError
	return errors.As(err, &e) && slices.ContainsFunc(codes, e.HasErrorCode)
}

func tooLarge(err error) bool {
	return errors.Is(err, driver.ErrDocumentTooLarge) || is(err, codesTooLarge)
}

func full(err error) bool {
	var e mongo.ServerError
	return is(err, codesFull) || errors.As(err, &e) && e.HasErrorCodeWithMessage(8000, "space quota")
}

// unconfirmed reports whether a write was done and its majority is missing.
func unconfirmed(err error, concern **mongo.WriteConcernError) bool {
	var one mongo.WriteException
	var bulk mongo.BulkWriteException
	switch {
	case errors.As(err, &one):
		*concern = one.WriteConcernError
	case errors.As(err, &bulk):
		*concern = bulk.WriteConcernError
	}
	return *concern != nil || is(err, []int{64, 100}) // WriteConcernTimeout, UnsatisfiableWriteConcern
}

func unreached(err error) bool {
	var none topology.ServerSelectionError
	return errors.As(err, &none)
}

// exhausted reports whether no connection became free in time.
func exhausted(err error) bool {
	var queue topology.WaitQueueTimeoutError
	return errors.As(err, &queue)
}

// disconnected reports whether the way to the server broke.
func disconnected(err error) bool {
	var connection topology.ConnectionError
	var pool topology.PoolError
	var cleared driver.RetryablePoolError // another operation's connection broke
	var network net.Error
	return mongo.IsNetworkError(err) || errors.As(err, &connection) || errors.As(err, &pool) || errors.As(err, &cleared) || errors.As(err, &network) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// openError says why a store does not open, with the hint of its cause. It is
// for the one who starts the server, and names the place without its password.
func openError(p target, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	failed := func(cause any) *errs.Error {
		return errs.New(errs.CodeUnavailable, "cannot open store %s: %v", p.shown, cause)
	}
	var none topology.ServerSelectionError
	if e, ok := errs.As(err); ok {
		return errs.New(e.Code, "cannot open store %s: %s", p.shown, e.Error()).WithHint("%s", e.Hint)
	}
	switch {
	case is(err, []int{11, 18}):
		return failed(fmt.Sprintf("the server does not accept user %q of database %q with this password", p.user, p.source)).
			WithHint("correct them in the address; where the user was made in another database, add authSource=admin or its name")
	case is(err, []int{13, 8000}):
		return failed(err).WithHint("%s", rightsHint(p))
	case errors.As(err, &none):
		cause, hint := selection(none)
		return failed(cause).WithHint("%s", hint)
	case is(err, []int{85, 86}): // IndexOptionsConflict, IndexKeySpecsConflict
		return failed(err).WithHint("drop the index that it names: Hookline makes its own")
	case full(err):
		return failed("the database server's disk is full").WithHint("free space on it")
	case strings.Contains(err.Error(), "wire version"): // the driver's own refusal has no type
		return failed(err).WithHint("use MongoDB 5.0 or newer")
	}
	return failed(err).WithHint("see that MongoDB runs there, and correct the address; its option tls=true is for servers that want TLS")
}

func rightsHint(p target) string {
	if p.user == "" {
		return fmt.Sprintf("the server wants a user: mongodb://hookline:password@…/%s; make one in its shell with %s",
			p.database, createUser("hookline", p.database))
	}
	return fmt.Sprintf("user %q needs readWrite on database %s: %s", p.user, p.database,
		fmt.Sprintf(`db.getSiblingDB(%q).grantRolesToUser(%q, [{role: "readWrite", db: %q}])`, p.source, p.user, p.database))
}

func createUser(name, database string) string {
	return fmt.Sprintf(`db.getSiblingDB(%q).createUser({user: %q, pwd: passwordPrompt(), roles: [{role: "readWrite", db: %q}]})`, database, name, database)
}

// maxNamed bounds how many servers an error names.
const maxNamed = 7

// selection says what is wrong with each server.
func selection(e topology.ServerSelectionError) (cause, hint string) {
	var down []string
	answered := false
	for _, s := range e.Desc.Servers[:min(len(e.Desc.Servers), maxNamed)] {
		switch {
		case s.LastError != nil:
			down = append(down, s.Addr.String()+": "+rootCause(s.LastError))
		case s.Kind == description.Unknown:
			down = append(down, s.Addr.String()+": no answer")
		default:
			answered = true
			down = append(down, s.Addr.String()+": "+memberKind(s.Kind))
		}
	}
	if answered {
		return "it has no primary: " + strings.Join(down, "; "), "see rs.status() in MongoDB's shell: a majority of the replica set must run"
	}
	if len(down) == 0 {
		return "no server there belongs to the replica set that the address names", "correct its option replicaSet; rs.conf() in MongoDB's shell shows the name"
	}
	return "no server answers: " + strings.Join(down, "; "),
		"see that MongoDB runs there and that the address, its replicaSet and its tls options are right"
}

// memberKind says what a server is that is no primary.
func memberKind(k description.ServerKind) string {
	switch k {
	case description.ServerKindRSSecondary:
		return "a secondary"
	case description.ServerKindRSArbiter:
		return "an arbiter"
	case description.ServerKindRSGhost:
		return "in no replica set yet"
	}
	return "neither primary nor secondary"
}

// rootCause leaves out what the driver tells around a network's error.
func rootCause(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Error()
	}
	return err.Error()
}

// errClosed answers what comes after Close.
func errClosed() error {
	return errs.New(errs.CodeUnavailable, "cannot use the store: it is closed").
		WithHint("the server is stopping; send it again when it is back")
}

// duplicate reports whether a unique index refused a write.
func duplicate(err error) bool { return mongo.IsDuplicateKeyError(err) }

// ignoreNone is for a change to something that need not be there.
func ignoreNone(err error) error {
	if none(err) {
		return nil
	}
	return err
}

// none reports whether nothing matched.
func none(err error) bool { return errors.Is(err, mongo.ErrNoDocuments) }
