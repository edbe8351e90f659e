package mongo

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// fake is a server that answers as it is told: what neither FerretDB nor a
// healthy replica set shows. A nil answer is none: it hangs.
type fake struct {
	address string

	mu      sync.Mutex
	hello   m
	answers map[string]m // by command
}

const (
	opReply = 1
	opQuery = 2004
	opMsg   = 2013
)

// newFake starts one; hello is added to what a server says of itself.
func newFake(t *testing.T, hello m, answers map[string]m) *fake {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	noError(t, err)
	f := &fake{address: listener.Addr().String(), hello: hello, answers: answers}
	if f.answers == nil {
		f.answers = map[string]m{}
	}
	var conns sync.WaitGroup
	held := make(chan net.Conn, 1000)
	conns.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			held <- conn
			conns.Go(func() { f.serve(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		for len(held) > 0 {
			(<-held).Close()
		}
		conns.Wait()
	})
	return f
}

// on sets the answer to a command.
func (f *fake) on(command string, answer m) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[command] = answer
}

func (f *fake) serve(conn net.Conn) {
	defer conn.Close()
	for {
		head := make([]byte, 16)
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		body := make([]byte, binary.LittleEndian.Uint32(head)-16)
		if _, err := io.ReadFull(conn, body); err != nil {
			return
		}
		op := binary.LittleEndian.Uint32(head[12:])
		var command bson.Raw
		if op == opQuery {
			command = body[4+len("admin.$cmd")+1+8:]
		} else {
			command = body[5:]
		}
		answer := f.answer(command)
		if answer == nil {
			_, _ = io.Copy(io.Discard, conn)
			return
		}
		if _, err := conn.Write(reply(op, head[4:8], answer)); err != nil {
			return
		}
	}
}

func (f *fake) answer(command bson.Raw) m {
	elements, err := command.Elements()
	if err != nil || len(elements) == 0 {
		return failure(2, "BadValue", "no command")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	name := elements[0].Key()
	if answer, set := f.answers[name]; set {
		return answer
	}
	switch name {
	case "hello", "isMaster", "ismaster", "isdbgrid":
		return append(m{
			{Key: "ismaster", Value: true},
			{Key: "isWritablePrimary", Value: true},
			{Key: "helloOk", Value: true},
			{Key: "maxBsonObjectSize", Value: 16 << 20},
			{Key: "maxMessageSizeBytes", Value: 48_000_000},
			{Key: "maxWriteBatchSize", Value: 100_000},
			{Key: "minWireVersion", Value: 0},
			{Key: "ok", Value: 1},
		}, f.hello...)
	case "buildInfo":
		return m{{Key: "version", Value: "9.9.9"}, {Key: "ok", Value: 1}}
	case "find":
		if id, _ := command.Lookup("filter", "_id").StringValueOK(); id != metaSchema {
			return found()
		}
		return found(schemaDoc{ID: metaSchema, Version: schema})
	case "listIndexes":
		return found()
	}
	return m{{Key: "n", Value: 1}, {Key: "ok", Value: 1}}
}

// wire is the hello of a server of that version.
func wire(version int) m { return m{{Key: "maxWireVersion", Value: version}} }

func found(docs ...any) m {
	return m{{Key: "cursor", Value: m{{Key: "id", Value: int64(0)}, {Key: "ns", Value: "hookline.meta"}, {Key: "firstBatch", Value: append(a{}, docs...)}}}, {Key: "ok", Value: 1}}
}

func failure(code int, name, text string) m {
	return m{{Key: "ok", Value: 0}, {Key: "code", Value: code}, {Key: "codeName", Value: name}, {Key: "errmsg", Value: text}}
}

// reply frames an answer as its question was framed.
func reply(op uint32, to []byte, answer m) []byte {
	raw, err := bson.Marshal(answer)
	if err != nil {
		return nil
	}
	with := make([]byte, 5) // flags, and the kind of the one section
	kind := uint32(opMsg)
	if op == opQuery {
		with, kind = make([]byte, 20), opReply
		with[16] = 1 // one document
	}
	out := binary.LittleEndian.AppendUint32(nil, uint32(16+len(with)+len(raw)))
	out = append(out, 0, 0, 0, 0)
	out = append(out, to...)
	out = binary.LittleEndian.AppendUint32(out, kind)
	return append(append(out, with...), raw...)
}
