package mongo

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"

	"hookline/internal/querylog"
)

// queries writes each command down where the context has a log for it. It sees
// them where all go through: at the driver's command monitor.
type queries struct {
	mu    sync.Mutex
	under map[int64]string // commands under way, by request
}

// monitor sees every command, and hands it on.
func (q *queries) monitor(also *event.CommandMonitor) *event.CommandMonitor {
	if also == nil {
		also = &event.CommandMonitor{}
	}
	return &event.CommandMonitor{
		Started: func(ctx context.Context, e *event.CommandStartedEvent) {
			if querylog.From(ctx) != nil {
				q.begin(e.RequestID, shapeOfCommand(e.Command))
			}
			if also.Started != nil {
				also.Started(ctx, e)
			}
		},
		Succeeded: func(ctx context.Context, e *event.CommandSucceededEvent) {
			if l := querylog.From(ctx); l != nil {
				l.Add(querylog.Entry{Query: q.end(e.RequestID), Rows: documentsIn(e.Reply), Took: e.Duration})
			}
			if also.Succeeded != nil {
				also.Succeeded(ctx, e)
			}
		},
		Failed: func(ctx context.Context, e *event.CommandFailedEvent) {
			if l := querylog.From(ctx); l != nil {
				l.Add(querylog.Entry{Query: q.end(e.RequestID), Took: e.Duration})
			}
			if also.Failed != nil {
				also.Failed(ctx, e)
			}
		},
	}
}

func (q *queries) begin(request int64, shape string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.under == nil {
		q.under = map[int64]string{}
	}
	q.under[request] = shape
}

func (q *queries) end(request int64) string {
	q.mu.Lock()
	defer q.mu.Unlock()
	shape := q.under[request]
	delete(q.under, request)
	return shape
}

// documentsIn counts the documents that a reply has.
func documentsIn(reply bson.Raw) int64 {
	for _, batch := range []string{"firstBatch", "nextBatch"} {
		if list, ok := reply.Lookup("cursor", batch).ArrayOK(); ok {
			values, _ := list.Values()
			return int64(len(values))
		}
	}
	if _, ok := reply.Lookup("value").DocumentOK(); ok {
		return 1
	}
	return 0
}

// told are arguments whose values come from this package alone: orders, fields
// and limits. Any other value may be somebody's.
func told(key string) bool {
	switch key {
	case "sort", "projection", "limit", "batchSize", "singleBatch", "ordered", "multi", "upsert", "new", "$sort", "$limit", "$group":
		return true
	}
	return false
}

// untold are arguments that the driver gives to any command.
func untold(key string) bool {
	switch key {
	case "lsid", "$db", "$clusterTime", "$readPreference", "txnNumber", "maxTimeMS", "readConcern", "writeConcern", "cursor":
		return true
	}
	return false
}

// shapeOfCommand is a command in JSON without the values in it.
func shapeOfCommand(command bson.Raw) string {
	var b strings.Builder
	elements, _ := command.Elements()
	b.WriteByte('{')
	for i, e := range elements {
		if untold(e.Key()) {
			continue
		}
		if i > 0 {
			b.WriteByte(',')
		}
		writeName(&b, e.Key())
		writeShape(&b, e.Value(), i == 0 || told(e.Key())) // the first names the collection
	}
	b.WriteByte('}')
	return b.String()
}

// leaseName is a field's name with a job's id in it, the only one with a value.
var leaseName = regexp.MustCompile(`^leases\.[^.]+`)

func writeName(b *strings.Builder, name string) {
	b.WriteString(strconv.Quote(leaseName.ReplaceAllString(name, "leases.?")))
	b.WriteByte(':')
}

// writeShape writes a value where it is told, and else what it is made of.
func writeShape(b *strings.Builder, v bson.RawValue, isTold bool) {
	switch v.Type {
	case bson.TypeEmbeddedDocument:
		b.WriteByte('{')
		elements, _ := v.Document().Elements()
		for i, e := range elements {
			if i > 0 {
				b.WriteByte(',')
			}
			writeName(b, e.Key())
			writeShape(b, e.Value(), isTold || told(e.Key()))
		}
		b.WriteByte('}')
	case bson.TypeArray:
		writeShapes(b, v.Array(), isTold)
	default:
		writePlain(b, v, isTold)
	}
}

// writePlain writes a text, a number or a yes and no; anything else has a value
// that nobody wants to see.
func writePlain(b *strings.Builder, v bson.RawValue, isTold bool) {
	text, isText := v.StringValueOK()
	number, isNumber := v.AsInt64OK()
	yes, isBool := v.BooleanOK()
	switch {
	case isTold && isText:
		b.WriteString(strconv.Quote(text))
	case isTold && isNumber:
		b.WriteString(strconv.FormatInt(number, 10))
	case isTold && isBool:
		b.WriteString(strconv.FormatBool(yes))
	default:
		b.WriteString(`"?"`)
	}
}

// maxShapes is how many documents of a list are written: many are alike.
const maxShapes = 8

func writeShapes(b *strings.Builder, list bson.RawArray, isTold bool) {
	values, _ := list.Values()
	b.WriteByte('[')
	for i, v := range values[:min(len(values), maxShapes)] {
		if i > 0 {
			b.WriteByte(',')
		}
		writeShape(b, v, isTold)
		if v.Type != bson.TypeEmbeddedDocument { // one stands for all
			break
		}
	}
	b.WriteByte(']')
}
