package mongo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"hookline/internal/errs"
)

func command(code int32) error {
	return mongo.CommandError{Code: code, Name: "Name", Message: "the server's own words"}
}

func write(code int) error {
	return mongo.WriteException{WriteErrors: mongo.WriteErrors{{Code: code, Message: "the server's own words"}}}
}

func bulk(code int) error {
	return mongo.BulkWriteException{WriteErrors: []mongo.BulkWriteError{{WriteError: mongo.WriteError{Code: code, Message: "the server's own words"}}}}
}

func concern(code int) error {
	return mongo.WriteException{WriteConcernError: &mongo.WriteConcernError{Code: code, Message: "the server's own words"}}
}

func TestFailures(t *testing.T) {
	refused := errs.New(errs.CodeNotFound, "there is none").WithHint("look")
	for _, c := range []struct {
		name string
		err  error
		code errs.Code
		text string
	}{
		{"a refusal of the domain", fmt.Errorf("while: %w", refused), errs.CodeNotFound, "there is none"},
		{"not the primary", command(10107), errs.CodeUnavailable, "no primary"},
		{"stepped down", command(189), errs.CodeUnavailable, "no primary"},
		{"recovering", command(11602), errs.CodeUnavailable, "no primary"},
		{"shutting down", command(91), errs.CodeUnavailable, "no primary"},
		{"shut down", command(11600), errs.CodeUnavailable, "no primary"},
		{"no secondary either", command(13435), errs.CodeUnavailable, "no primary"},
		{"stepped down before the majority", concern(11602), errs.CodeUnavailable, "no primary"},
		{"no right", command(13), errs.CodeUnavailable, "does not let the server in"},
		{"no right to write", write(13), errs.CodeUnavailable, "does not let the server in"},
		{"wrong password", command(18), errs.CodeUnavailable, "does not let the server in"},
		{"no majority in time", concern(64), errs.CodeUnavailable, "a majority"},
		{"no majority at all", concern(100), errs.CodeUnavailable, "a majority"},
		{"no majority for many", mongo.BulkWriteException{WriteConcernError: &mongo.WriteConcernError{Code: 64}}, errs.CodeUnavailable, "a majority"},
		{"too slow by its own clock", command(50), errs.CodeUnavailable, "did not answer within 10s"},
		{"too slow by ours", fmt.Errorf("x: %w", context.DeadlineExceeded), errs.CodeUnavailable, "did not answer within 10s"},
		{"its own peers are away", command(6), errs.CodeUnavailable, "did not answer"},
		{"no server", topology.ServerSelectionError{Wrapped: context.DeadlineExceeded}, errs.CodeUnavailable, "none of its servers can be reached"},
		{"no connection", topology.WaitQueueTimeoutError{Wrapped: context.DeadlineExceeded}, errs.CodeUnavailable, "connections to it are in use"},
		{"a connection that broke", mongo.CommandError{Labels: []string{"NetworkError"}, Wrapped: io.EOF}, errs.CodeUnavailable, "the connection was lost"},
		{"a connection that ended", topology.ConnectionError{Wrapped: io.ErrUnexpectedEOF}, errs.CodeUnavailable, "the connection was lost"},
		{"a connection that is closed", &net.OpError{Op: "write", Err: net.ErrClosed}, errs.CodeUnavailable, "the connection was lost"},
		{"too large", command(10334), errs.CodeTooLarge, "too large"},
		{"too large after an update", write(17419), errs.CodeTooLarge, "too large"},
		{"too large to be inserted", bulk(17420), errs.CodeTooLarge, "too large"},
		{"too large to be sent", fmt.Errorf("x: %w", driver.ErrDocumentTooLarge), errs.CodeTooLarge, "too large"},
		{"full", write(14031), errs.CodeStorageFull, "disk is full"},
		{"over its quota", mongo.CommandError{Code: 8000, Message: "you are over your space quota"}, errs.CodeStorageFull, "disk is full"},
		{"the client is gone", mongo.ErrClientDisconnected, errs.CodeUnavailable, "it is closed"},
		{"the caller gave up", fmt.Errorf("x: %w", context.Canceled), errs.CodeInternal, "context canceled"},
		{"a duplicate", write(11000), errs.CodeInternal, ""},
		{"a defect", command(2), errs.CodeInternal, ""},
		{"not ours", errors.New("x"), errs.CodeInternal, "x"},
		{"nothing there", mongo.ErrNoDocuments, errs.CodeInternal, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &DB{options: Options{Timeout: 10 * time.Second}, target: target{shown: "mongodb://db1/hookline"}}
			err := d.failed(c.err)
			if errs.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v (%s), want %q (%s)", err, errs.CodeOf(err), c.text, c.code)
			}
			e, coded := errs.As(err)
			if !coded {
				return
			}
			if e.Hint == "" || strings.Contains(e.Error()+e.Hint, "own words") || strings.Contains(e.Error()+e.Hint, "db1") {
				t.Errorf("strangers read %q, hint %q", e.Error(), e.Hint)
			}
			if failing := e.Code == errs.CodeStorageFull || e.Code == errs.CodeUnavailable; d.failing.Load() != failing && !errors.Is(c.err, mongo.ErrClientDisconnected) {
				t.Errorf("failing %v, want %v", d.failing.Load(), failing)
			}
		})
	}
	if (&DB{}).failed(nil) != nil {
		t.Error("no error has become one")
	}
}

func TestDuplicates(t *testing.T) {
	for _, err := range []error{write(11000), bulk(11000), command(11000)} {
		if !duplicate(err) {
			t.Errorf("%v is a duplicate", err)
		}
	}
	if duplicate(write(2)) || duplicate(nil) {
		t.Error("no duplicate")
	}
}

// What reaches the callers of a server that fails is what the table above says
// of the driver's errors.
func TestFailuresOnTheWire(t *testing.T) {
	f := newFake(t, wire(21), nil)
	d := opened(t, "mongodb://"+f.address+"/?retryReads=false&retryWrites=false", Options{Timeout: 2 * time.Second})
	set := m{{Key: "$set", Value: m{{Key: "x", Value: 1}}}}
	for _, c := range []struct {
		name   string
		answer m
		code   errs.Code
		text   string
	}{
		{"no right", failure(13, "Unauthorized", "not authorized"), errs.CodeUnavailable, "does not let the server in"},
		{"full", failure(14031, "OutOfDiskSpace", "no space"), errs.CodeStorageFull, "disk is full"},
		{"no majority", m{{Key: "n", Value: 1}, {Key: "ok", Value: 1}, {Key: "writeConcernError", Value: m{
			{Key: "code", Value: 64}, {Key: "codeName", Value: "WriteConcernTimeout"}, {Key: "errmsg", Value: "waiting for replication timed out"},
		}}}, errs.CodeUnavailable, "a majority"},
		{"too large", m{{Key: "n", Value: 0}, {Key: "ok", Value: 1}, {Key: "writeErrors", Value: bson.A{m{
			{Key: "index", Value: 0}, {Key: "code", Value: 17419}, {Key: "errmsg", Value: "Resulting document after update is larger than 16777216"},
		}}}}, errs.CodeTooLarge, "too large"},
		{"no primary", failure(10107, "NotWritablePrimary", "not primary"), errs.CodeUnavailable, "no primary"},
		{"it hangs", nil, errs.CodeUnavailable, "did not answer within 2s"},
	} {
		for _, command := range []string{"update", "findAndModify"} {
			if c.name == "too large" && command == "findAndModify" {
				continue // it answers with a failed command
			}
			f.on(command, c.answer)
			var err error
			if command == "update" {
				_, err = d.change(t.Context(), d.users, m{{Key: "_id", Value: "x"}}, set)
			} else {
				_, err = changed[userDoc](t.Context(), d, d.users, m{{Key: "_id", Value: "x"}}, set)
			}
			if !errs.Is(err, c.code) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%s, %s: %v (%s), want %q (%s)", c.name, command, err, errs.CodeOf(err), c.text, c.code)
			}
		}
	}
}
