package mongo

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"hookline/internal/errs"
	"hookline/internal/wiretest"
)

// databaseOf is the database that an address names.
func databaseOf(address string) string {
	_, p, _ := readAddress(address)
	return p.database
}

// opened opens a store of the test's own.
func opened(t *testing.T, address string, o Options) *DB {
	t.Helper()
	d, err := Open(t.Context(), address, o)
	noError(t, err)
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// refusal is the text of the refusal to open, with its hint.
func refusal(t *testing.T, address string, o Options) (errs.Code, string) {
	t.Helper()
	d, err := Open(t.Context(), address, o)
	if err == nil {
		_ = d.Close()
		t.Fatalf("%s opens", address)
	}
	e, ok := errs.As(err)
	if !ok {
		t.Fatalf("not a coded error: %v", err)
	}
	if e.Hint == "" {
		t.Errorf("no hint: %v", err)
	}
	return e.Code, e.Error() + " | " + e.Hint
}

const secret = "s3cret"

func TestAddressesThatAreRefused(t *testing.T) {
	for _, c := range []struct{ name, address, want string }{
		{"no scheme", "db1/hookline", "begins neither with mongodb://"},
		{"another scheme", "postgres://hl:" + secret + "@db1/hookline", "begins neither with mongodb://"},
		{"no host", "mongodb://", "has no host"},
		{"port", "mongodb://db1:port/hookline", "has no host, or one that is not"},
		{"password without a host", "mongodb://hl:" + secret + "/hookline", "has no host, or one that is not"},
		{"password with an @", "mongodb://hl:x@" + secret + "@db1/hookline", "not percent-encoded"},
		{"password with a slash", "mongodb://hl:x/" + secret + "@db1/hookline", "not percent-encoded"},
		{"password with a percent sign", "mongodb://hl:%" + secret + "@db1/hookline", "not percent-encoded"},
		{"password with a question mark and slash", "mongodb://hl:?/" + secret + "@db1/hookline", "not percent-encoded"},
		{"unknown option", "mongodb://hl:" + secret + "@db1/hookline?replicSet=rs0", `unknown option "replicset"`},
		{"option of a wrong kind", "mongodb://hl:" + secret + "@db1/hookline?tls=" + secret, "one of its options cannot be read"},
		{"options that exclude each other", "mongodb://hl:" + secret + "@db1,db2/hookline?directConnection=true", "a direct connection cannot be made"},
		{"a certificate that is missing", "mongodb://hl:" + secret + "@db1/hookline?tls=true&tlsCAFile=/none", "/none"},
		{"database with a slash", "mongodb://db1/a%2Fb", "the name of its database does not fit"},
		{"database with a dollar", "mongodb://db1/$", "the name of its database does not fit"},
		{"database with a dot", "mongodb://db1/a.b", "the name of its database does not fit"},
		{"database of 64 bytes", "mongodb://db1/" + strings.Repeat("x", 64), "the name of its database does not fit"},
		{"the server's own database", "mongodb://db1/Admin", "the server's own"},
		{"unacknowledged writes", "mongodb://db1/hookline?w=0", "other acknowledgement"},
		{"writes of one server", "mongodb://db1/hookline?w=1", "other acknowledgement"},
		{"writes without a journal", "mongodb://db1/hookline?journal=false", "before they are on disk"},
		{"reads from others", "mongodb://db1/hookline?readPreference=secondaryPreferred", "reads from others"},
		{"local reads", "mongodb://db1/hookline?readConcernLevel=local", "other reads"},
		{"connections without bound", "mongodb://db1/hookline?maxPoolSize=0", "no bound"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, text := refusal(t, c.address, Options{Timeout: 100 * time.Millisecond})
			if code != errs.CodeBadInput || !strings.Contains(text, c.want) {
				t.Errorf("%s: %s, want bad-input with %q", code, text, c.want)
			}
			if strings.Contains(text, secret) {
				t.Errorf("the password is in it: %s", text)
			}
		})
	}
}

func TestAddress(t *testing.T) {
	for address, want := range map[string]target{
		"mongodb://db1":                {shown: "mongodb://db1/hookline", database: "hookline"},
		"mongodb://db1:1,db2/x":        {shown: "mongodb://db1:1,db2/x", database: "x"},
		"mongodb://db1/?w=majority":    {shown: "mongodb://db1/hookline", database: "hookline"},
		"mongodb://db1/x?journal=true": {shown: "mongodb://db1/x", database: "x"},
		"mongodb://hl:" + secret + "%40@[::1]:9/x_1-y?authSource=admin&maxPoolSize=1": {
			shown: "mongodb://[::1]:9/x_1-y", database: "x_1-y", user: "hl", source: "admin", single: true,
		},
	} {
		if _, got, err := readAddress(address); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", address, got, err, want)
		}
	}
}

// FuzzAddress holds that no password comes out, whatever stands in an address.
func FuzzAddress(f *testing.F) {
	for _, rest := range []string{"@h/db", "@h:1,h2/a/b", "@h/$", "/db?x=y", "x@y@z", "%zz@h", "@h/?tls=1&w=0", "@[::1", "@h/?readConcernLevel=local", ":1@h"} {
		f.Add("hl", rest)
	}
	f.Fuzz(func(t *testing.T, user, rest string) {
		if strings.Contains(user+rest, secret) || strings.Contains(user, "@") {
			return
		}
		_, p, err := readAddress("mongodb://" + user + ":" + secret + rest)
		text := p.shown
		if err != nil {
			e, ok := errs.As(err)
			if !ok || e.Hint == "" {
				t.Errorf("%v has no code or hint", err)
			} else {
				text += e.Error() + e.Hint + e.Detail
			}
		} else if !databaseName.MatchString(p.database) {
			t.Errorf("database %q", p.database)
		}
		if strings.Contains(text, secret) {
			t.Errorf("the password is in %q", text)
		}
	})
}

func TestServersThatAreRefused(t *testing.T) {
	replica := append(wire(21), m{{Key: "setName", Value: "rs0"}}...)
	denied := failure(13, "Unauthorized", "not authorized on hookline to execute command")
	for _, c := range []struct {
		name, options, want string
		hello               m
		answers             map[string]m
	}{
		{"too old", "", "MongoDB 9.9.9, which is too old", wire(12), nil},
		{"too old for the driver", "", "use MongoDB 5.0 or newer", wire(6), nil},
		{"another replica set", "?replicaSet=other", "correct its option replicaSet", replica, nil},
		{"no primary", "?replicaSet=rs0", "it has no primary", append(replica, m{
			{Key: "ismaster", Value: false}, {Key: "isWritablePrimary", Value: false}, {Key: "secondary", Value: true},
		}...), nil},
		{"no user", "", "the server wants a user", replica, map[string]m{"find": denied}},
		{"no right", "", "readWrite on database hookline", replica, map[string]m{"find": denied, "saslStart": {
			{Key: "ok", Value: 1}, {Key: "conversationId", Value: 1}, {Key: "done", Value: true}, {Key: "payload", Value: []byte{}},
		}}},
		{"wrong password", "", `does not accept user "hl"`, replica, map[string]m{"saslStart": failure(18, "AuthenticationFailed", "Authentication failed.")}},
		{"a newer schema", "", "version 3, and this server knows version 2 | a newer server", replica, map[string]m{"find": found(schemaDoc{ID: metaSchema, Version: 3})}},
		{"an older schema", "", "version 1, and this server knows version 2 | an older server", replica, map[string]m{"find": found(schemaDoc{ID: metaSchema, Version: 1})}},
		{"another program's database", "", `a collection "users" that Hookline did not make`, replica, map[string]m{
			"find": found(), "listCollections": found(m{{Key: "name", Value: "users"}, {Key: "type", Value: "collection"}}),
		}},
		{"a full disk", "", "disk is full", replica, map[string]m{"createIndexes": failure(14031, "OutOfDiskSpace", "no space")}},
		{"indexes that clash", "", "index x", replica, map[string]m{"createIndexes": failure(86, "IndexKeySpecsConflict", "index x has other options")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, nil, c.answers)
			f.hello = withHosts(c.hello, f.address)
			user := ""
			if c.name == "no right" || c.name == "wrong password" {
				user = "hl:" + secret + "@"
				if c.options == "" && c.name == "no right" {
					c.options = "?authMechanism=PLAIN&authSource=$external"
				}
			}
			code, text := refusal(t, "mongodb://"+user+f.address+"/"+c.options, Options{Timeout: 5 * time.Second})
			if code != errs.CodeUnavailable && code != errs.CodeStorageFull || !strings.Contains(text, c.want) {
				t.Errorf("%s: %s, want unavailable with %q", code, text, c.want)
			}
			if strings.Contains(text, secret) {
				t.Errorf("the password is in it: %s", text)
			}
			t.Log(text)
		})
	}
}

// withHosts names the one member, where there is a replica set.
func withHosts(hello m, address string) m {
	for _, e := range hello {
		if e.Key == "setName" {
			return append(hello[:len(hello):len(hello)], m{{Key: "hosts", Value: a{address}}, {Key: "me", Value: address}}...)
		}
	}
	return hello
}

func TestNoServerThere(t *testing.T) {
	listen := func(serve func(net.Conn)) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		noError(t, err)
		t.Cleanup(func() { l.Close() })
		go func() {
			for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
				go serve(conn)
			}
		}()
		return l.Addr().String()
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	noError(t, err)
	closed.Close()
	for name, c := range map[string]struct{ host, want string }{
		"nobody listens":    {closed.Addr().String(), "connection refused"},
		"a name of nobody":  {"hookline.invalid", "hookline.invalid"},
		"it says nothing":   {listen(func(net.Conn) {}), "no server answers"},
		"it speaks another": {listen(func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")); c.Close() }), "no server answers"},
		"it hangs up":       {listen(func(c net.Conn) { c.Close() }), "no server answers"},
	} {
		t.Run(name, func(t *testing.T) {
			code, text := refusal(t, "mongodb://hl:"+secret+"@"+c.host+"/hookline", Options{Timeout: time.Second})
			if code != errs.CodeUnavailable || !strings.Contains(text, c.want) || !strings.Contains(text, "see that MongoDB runs there") {
				t.Errorf("%s: %s, want unavailable with %q", code, text, c.want)
			}
			if strings.Contains(text, secret) {
				t.Errorf("the password is in it: %s", text)
			}
			t.Log(text)
		})
	}
}

func TestFerretDBWantsOneConnection(t *testing.T) {
	if wiretest.Real() {
		t.Skip("FerretDB is not what the tests use")
	}
	address, _, _ := strings.Cut(wiretest.Address(t), "?")
	if code, text := refusal(t, address, Options{}); code != errs.CodeUnavailable || !strings.Contains(text, "add maxPoolSize=1") {
		t.Errorf("%s: %s", code, text)
	}
}

func TestUnwiseServersAreReported(t *testing.T) {
	for want, hello := range map[string]m{
		"one machine keeps the only copy": wire(21),
		"":                                append(wire(21), m{{Key: "msg", Value: "isdbgrid"}}...),
	} {
		var log bytes.Buffer
		f := newFake(t, hello, nil)
		opened(t, "mongodb://"+f.address, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		if got := log.String(); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("logged %q, want %q", got, want)
		}
	}
}

func TestSchema(t *testing.T) {
	address := wiretest.Address(t)
	first := opened(t, address, Options{})
	noError(t, first.Ready(t.Context()))
	noError(t, first.Close())
	second := opened(t, address, Options{})
	_, err := second.meta.InsertOne(t.Context(), m{{Key: "_id", Value: metaImport}, {Key: "archive", Value: "ab"}, {Key: "records", Value: 7}})
	noError(t, err)
	noError(t, second.Close())
	if code, text := refusal(t, address, Options{}); code != errs.CodeUnavailable || !strings.Contains(text, "import into it is not finished") {
		t.Errorf("%s: %s", code, text)
	}
	third := opened(t, address, Options{Import: true})
	_, err = third.meta.UpdateOne(t.Context(), m{{Key: "_id", Value: metaSchema}}, m{{Key: "$set", Value: m{{Key: "version", Value: schema + 1}}}})
	noError(t, err)
	noError(t, third.Close())
	if code, text := refusal(t, address, Options{Import: true}); code != errs.CodeUnavailable || !strings.Contains(text, "a newer server wrote this store") {
		t.Errorf("%s: %s", code, text)
	}
}

func TestOthersDatabaseIsLeftAlone(t *testing.T) {
	address := wiretest.Address(t)
	d := opened(t, address, Options{})
	_, err := d.jobs.InsertOne(t.Context(), m{{Key: "_id", Value: 1}})
	noError(t, err)
	_, err = d.meta.DeleteMany(t.Context(), m{})
	noError(t, err)
	noError(t, d.Close())
	if _, text := refusal(t, address, Options{}); !strings.Contains(text, "that Hookline did not make") {
		t.Error(text)
	}
}

// FerretDB breaks off where two make the same indexes: there they claim the
// database together, and make its indexes one after the other.
func TestServersStartTogether(t *testing.T) {
	address := wiretest.Address(t)
	together := func(start func() error) {
		t.Helper()
		var all sync.WaitGroup
		failed := make([]error, 4)
		for i := range failed {
			all.Go(func() { failed[i] = start() })
		}
		all.Wait()
		noError(t, errors.Join(failed...))
	}
	open := func() error {
		d, err := Open(t.Context(), address, Options{})
		if err == nil {
			err = d.Close()
		}
		return err
	}
	if !wiretest.Real() {
		together(func() error {
			way := dialed(t, address, &cutter{})
			return newDB(way, target{database: databaseOf(address)}, Options{}.withDefaults()).checkSchema(t.Context())
		})
		noError(t, open())
		return
	}
	together(open)
}

// A server whose database somebody drops must not look well: what it writes from
// then on stands without indexes.
func TestReadyAfterADrop(t *testing.T) {
	d := opened(t, wiretest.Address(t), Options{})
	noError(t, d.Ready(t.Context()))
	noError(t, d.db.Drop(t.Context()))
	if err := d.Ready(t.Context()); !errs.Is(err, errs.CodeUnavailable) || !strings.Contains(err.Error(), "dropped") {
		t.Errorf("got %v, want that it was dropped", err)
	}
}

func TestReady(t *testing.T) {
	f := newFake(t, wire(21), nil)
	d := opened(t, "mongodb://"+f.address+"/?retryReads=false&retryWrites=false", Options{})
	noError(t, d.Ready(t.Context()))
	f.on("update", failure(10107, "NotWritablePrimary", "not primary"))
	noError(t, d.Ready(t.Context())) // nothing has failed, so it does not write
	if _, err := d.change(t.Context(), d.users, m{}, m{{Key: "$set", Value: m{{Key: "x", Value: 1}}}}); !errs.Is(err, errs.CodeUnavailable) {
		t.Errorf("got %v, want unavailable", err)
	}
	if err := d.Ready(t.Context()); !errs.Is(err, errs.CodeUnavailable) {
		t.Errorf("got %v, want unavailable: writes fail", err)
	}
	f.on("update", m{{Key: "n", Value: 1}, {Key: "ok", Value: 1}})
	recovered := time.Now().Add(30 * time.Second)
	for err := d.Ready(t.Context()); err != nil; err = d.Ready(t.Context()) { // which waits for the server to be found again
		if time.Now().After(recovered) {
			t.Fatal(err)
		}
	}
	f.on("find", nil) // it hangs
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if err := d.Ready(ctx); !errs.Is(err, errs.CodeUnavailable) || time.Since(begun) > 900*time.Millisecond {
		t.Errorf("got %v after %s, want unavailable at once", err, time.Since(begun))
	}
	noError(t, d.Close())
	if err := d.Ready(t.Context()); !errs.Is(err, errs.CodeUnavailable) || !strings.Contains(err.Error(), "closed") {
		t.Errorf("got %v, want that it is closed", err)
	}
	noError(t, d.Close())
}
