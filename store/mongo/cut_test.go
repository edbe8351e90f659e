package mongo

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hookline/internal/wiretest"
)

// cutter is the way to a server, which a test can cut before a command, or
// after it and before its answer, as a server does that is killed there. From
// then on no connection is good and none can be made.
type cutter struct {
	ask func(message []byte) // if set, it is asked before each command, and may take its time

	mu    sync.Mutex
	armed bool
	left  int // commands that still get through
	lost  bool
	cut   bool
	open  map[*cutConn]bool
}

var errCut = errors.New("the way is cut")

// Cut is that of storetest.Cutter.
func (c *cutter) Cut(n int, lost bool) (reached func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed, c.left, c.lost = true, n, lost
	return c.isCut
}

func (c *cutter) isCut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cut
}

// DialContext is that of the driver's options.
func (c *cutter) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return c.dial(ctx, network, address)
}

// dial fits Options.Dial.
func (c *cutter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if c.isCut() {
		return nil, errCut
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		_ = conn.Close()
		return nil, errCut
	}
	if c.open == nil {
		c.open = map[*cutConn]bool{}
	}
	one := &cutConn{Conn: conn, way: c}
	c.open[one] = true
	return one, nil
}

// What becomes of a message.
const (
	passes = iota
	isStopped
	isUnanswered
)

// next decides about one message, and closes all that its end closes.
func (c *cutter) next(conn *cutConn, message []byte) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return isStopped
	}
	what := kindOf(message)
	if !c.armed || what != writes {
		return passes
	}
	if c.left > 0 {
		c.left--
		return passes
	}
	c.cut = true
	for other := range c.open {
		if other != conn {
			_ = other.Conn.Close()
		}
	}
	if c.lost {
		return isUnanswered
	}
	_ = conn.Conn.Close()
	return isStopped
}

func (c *cutter) closed(conn *cutConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, conn)
}

// cutConn is one connection of a cutter.
type cutConn struct {
	net.Conn
	way *cutter

	mu         sync.Mutex
	message    []byte // what has come of the next one
	unanswered bool
}

// Write sends whole messages, those that may pass.
func (c *cutConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.message = append(c.message, p...)
	for len(c.message) >= 4 {
		n := int(binary.LittleEndian.Uint32(c.message))
		if len(c.message) < n {
			break
		}
		if c.way.ask != nil && kindOf(c.message[:n]) != looksAfter {
			c.way.ask(c.message[:n])
		}
		switch c.way.next(c, c.message[:n]) {
		case isStopped:
			return 0, errCut
		case isUnanswered:
			c.unanswered = true
		}
		if _, err := c.Conn.Write(c.message[:n]); err != nil {
			return 0, err
		}
		c.message = slices.Delete(c.message, 0, n)
	}
	return len(p), nil
}

// Read waits for an answer that is lost, so that the command has been obeyed.
func (c *cutConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.unanswered {
		return n, err
	}
	_ = c.Conn.Close()
	return 0, io.ErrUnexpectedEOF
}

func (c *cutConn) Close() error {
	c.way.closed(c)
	return c.Conn.Close()
}

// Parts of a message of the wire protocol.
const (
	headerBytes = 16
	opMessage   = 2013
)

// What a message is.
const (
	looksAfter = iota // the driver looks after its connections
	reads             // to lose it leaves nothing else behind than to lose the write before or after it
	writes
)

func kindOf(message []byte) int {
	if len(message) < headerBytes+5 || binary.LittleEndian.Uint32(message[12:]) != opMessage || message[headerBytes+4] != 0 {
		return looksAfter
	}
	first, err := bson.Raw(message[headerBytes+5:]).IndexErr(0)
	if err != nil {
		return looksAfter
	}
	switch first.Key() {
	case "hello", "isMaster", "ismaster", "ping", "endSessions", "saslStart", "saslContinue", "authenticate", "buildInfo":
		return looksAfter
	case "find", "getMore", "aggregate", "count", "distinct":
		return reads
	}
	return writes
}

// A command that is stopped was not obeyed, one whose answer is lost was, and
// nothing passes after it.
func TestCutter(t *testing.T) {
	address := wiretest.Address(t)
	for name, c := range map[string]struct {
		lost bool
		want int64
	}{
		"the third insert does not arrive": {false, 2},
		"its answer is lost":               {true, 3},
	} {
		t.Run(name, func(t *testing.T) {
			way := &cutter{}
			collection := dialed(t, address, way).Database(databaseOf(address)).Collection("cut")
			insert := func() error { _, err := collection.InsertOne(t.Context(), m{{Key: "x", Value: 1}}); return err }
			_, err := collection.DeleteMany(t.Context(), m{})
			noError(t, err)
			reached := way.Cut(2, c.lost)
			noError(t, insert())
			noError(t, insert())
			if reached() {
				t.Error("cut too early")
			}
			if insert() == nil || !reached() || insert() == nil {
				t.Error("a command got through")
			}
			whole := dialed(t, address, &cutter{}).Database(databaseOf(address)).Collection("cut")
			n, err := whole.CountDocuments(t.Context(), m{})
			noError(t, err)
			if n != c.want {
				t.Errorf("%d inserts were obeyed, want %d", n, c.want)
			}
		})
	}
}

func dialed(t *testing.T, address string, way *cutter) *mongo.Client {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(address).SetServerSelectionTimeout(time.Second).SetDialer(way))
	noError(t, err)
	t.Cleanup(func() { go func() { _ = client.Disconnect(context.Background()) }() })
	return client
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
