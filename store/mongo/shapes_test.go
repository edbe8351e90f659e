package mongo

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
)

// seen is what a run has sent: each command and operator, and each query in
// the shape that decides about its index.
type seen struct {
	mu       sync.Mutex
	commands map[string]map[string]bool // and their arguments
	words    map[string]map[string]bool // operators, by where they stand
	shapes   map[string]shape
	examples map[string]bson.Raw // by shape
}

func newSeen() *seen {
	return &seen{
		commands: map[string]map[string]bool{}, words: map[string]map[string]bool{}, shapes: map[string]shape{}, examples: map[string]bson.Raw{},
	}
}

func (s *seen) monitor() *event.CommandMonitor {
	return &event.CommandMonitor{Started: func(_ context.Context, e *event.CommandStartedEvent) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.add(e.CommandName, e.Command)
	}}
}

// generic are arguments that the driver gives to any command.
var generic = []string{"lsid", "$db", "$clusterTime", "$readPreference", "txnNumber", "maxTimeMS"}

func (s *seen) add(name string, command bson.Raw) {
	elements, _ := command.Elements()
	for _, e := range elements {
		if key := e.Key(); key == name {
			note(s.commands, name, "")
		} else if !slices.Contains(generic, key) {
			note(s.commands, name, key)
		}
	}
	collection, _ := command.Lookup(name).StringValueOK()
	switch name {
	case "find":
		s.query(collection, command, part(command, "filter"), part(command, "sort"))
	case "aggregate":
		s.pipeline(collection, command)
	case "findAndModify":
		s.query(collection, command, part(command, "query"), part(command, "sort"))
		s.change(part(command, "update"))
	case "update":
		for _, u := range parts(command, "updates") {
			s.query(collection, command, part(u, "q"), nil)
			s.change(part(u, "u"))
		}
	case "delete":
		for _, u := range parts(command, "deletes") {
			s.query(collection, command, part(u, "q"), nil)
		}
	}
}

func note(in map[string]map[string]bool, key, member string) {
	if in[key] == nil {
		in[key] = map[string]bool{}
	}
	if member != "" {
		in[key][member] = true
	}
}

func part(of bson.Raw, key string) bson.Raw {
	doc, _ := of.Lookup(key).DocumentOK()
	return doc
}

func parts(of bson.Raw, key string) (docs []bson.Raw) {
	list, ok := of.Lookup(key).ArrayOK()
	if !ok {
		return nil
	}
	values, _ := list.Values()
	for _, v := range values {
		if doc, ok := v.DocumentOK(); ok {
			docs = append(docs, doc)
		}
	}
	return docs
}

// pipeline notes the stages, and as a query the first match with the order that
// is asked for right after it.
func (s *seen) pipeline(collection string, command bson.Raw) {
	var filter, sort bson.Raw
	for i, stage := range parts(command, "pipeline") {
		elements, _ := stage.Elements()
		for _, e := range elements {
			note(s.words, "stages", e.Key())
			doc, _ := e.Value().DocumentOK()
			if e.Key() == "$match" && i == 0 {
				filter = doc
				continue
			}
			if e.Key() == "$sort" && i == 1 {
				sort = doc
			}
			s.operators("accumulators", doc)
		}
	}
	s.query(collection, command, filter, sort)
}

// change notes the operators of an update, and those inside, such as $each.
func (s *seen) change(update bson.Raw) {
	elements, _ := update.Elements()
	for _, e := range elements {
		note(s.words, "updates", e.Key())
		doc, _ := e.Value().DocumentOK()
		if e.Key() == "$push" || e.Key() == "$addToSet" || e.Key() == "$pull" {
			s.operators("updates", doc)
		}
	}
}

// operators notes the keys with a dollar at any depth.
func (s *seen) operators(where string, doc bson.Raw) {
	elements, _ := doc.Elements()
	for _, e := range elements {
		if strings.HasPrefix(e.Key(), "$") {
			note(s.words, where, e.Key())
		}
		switch v := e.Value(); v.Type {
		case bson.TypeEmbeddedDocument:
			s.operators(where, v.Document())
		case bson.TypeArray:
			s.operators(where, bson.Raw(v.Array()))
		}
	}
}

// shape is a query without its values.
type shape struct {
	collection string
	equal      []string // also those that are one of a list
	between    []string // compared by order
	other      []string // looked at in what the index has found
	sort       []string // with "-" before it: descending
}

func (s shape) String() string {
	return fmt.Sprintf("%s: equal %v, between %v, other %v, sorted %v", s.collection, s.equal, s.between, s.other, s.sort)
}

func (s *seen) query(collection string, command, filter, sort bson.Raw) {
	s.operators("queries", filter)
	q := shapeOf(collection, filter, sort)
	key := q.String()
	if _, ok := s.shapes[key]; !ok {
		s.shapes[key], s.examples[key] = q, slices.Clone(command)
	}
}

// made is a part of a field's name that comes from data: a job's id.
var made = regexp.MustCompile(`^leases\.[^.]+`)

func shapeOf(collection string, filter, sort bson.Raw) shape {
	q := shape{collection: collection}
	elements, _ := filter.Elements()
	for _, e := range elements {
		name := made.ReplaceAllString(e.Key(), "leases.‹job›")
		switch comparison(e) {
		case "equal":
			q.equal = append(q.equal, name)
		case "between":
			q.between = append(q.between, name)
		default:
			q.other = append(q.other, name)
		}
	}
	for _, list := range [][]string{q.equal, q.between, q.other} {
		slices.Sort(list)
	}
	keys, _ := sort.Elements()
	for _, e := range keys {
		if direction, _ := e.Value().AsInt64OK(); direction < 0 {
			q.sort = append(q.sort, "-"+e.Key())
		} else {
			q.sort = append(q.sort, e.Key())
		}
	}
	return q
}

func comparison(e bson.RawElement) string {
	v := e.Value()
	if strings.HasPrefix(e.Key(), "$") { // conditions of which one will do
		return "other"
	}
	doc, ok := v.DocumentOK()
	if !ok {
		return "equal"
	}
	first, err := doc.IndexErr(0)
	if err != nil || !strings.HasPrefix(first.Key(), "$") {
		return "equal"
	}
	switch first.Key() {
	case "$eq", "$in":
		return "equal"
	case "$gt", "$gte", "$lt", "$lte":
		return "between"
	}
	return "other"
}

// served names the index that finds a query's documents without looking at
// others, and in their order; "" where there is none. Its first keys are
// compared for equality; then come the keys of the order, or the one that is
// compared by order.
func (s shape) served(all []index) string {
	if slices.Contains(s.equal, "_id") {
		return "_id_1"
	}
	best, length := "", -1
	for _, i := range append([]index{{collection: s.collection, keys: m{{Key: "_id", Value: 1}}}}, all...) {
		if i.collection != s.collection {
			continue
		}
		if n := s.prefix(i); n > length {
			best, length = i.name(), n
		}
	}
	return best
}

// prefix is how many keys of an index are compared for equality, −1 where it
// does not serve.
func (s shape) prefix(i index) int {
	n := 0
	for n < len(i.keys) && slices.Contains(s.equal, i.keys[n].Key) {
		n++
	}
	rest := i.keys[n:]
	next := len(rest) > 0 && slices.Contains(s.between, rest[0].Key)
	sort := slices.DeleteFunc(slices.Clone(s.sort), func(key string) bool { return slices.Contains(s.equal, strings.TrimPrefix(key, "-")) })
	unique := n == len(i.keys) && (i.unique || i.name() == "_id_1")
	all := len(s.equal)+len(s.between)+len(s.other) == 0 && (len(sort) > 0 || i.name() == "_id_1") // a page of them
	switch {
	case n == 0 && !next && !all:
		return -1
	case unique || len(sort) == 0 || ordered(rest, sort):
		return n
	}
	return -1
}

// ordered reports whether the keys of an index begin with the sort keys, in
// their directions or all the other way round.
func ordered(keys m, sort []string) bool {
	if len(sort) > len(keys) {
		return false
	}
	same, reverse := true, true
	for i, want := range sort {
		if strings.TrimPrefix(want, "-") != keys[i].Key {
			return false
		}
		descending := keys[i].Value == -1
		same = same && descending == strings.HasPrefix(want, "-")
		reverse = reverse && descending != strings.HasPrefix(want, "-")
	}
	return same || reverse
}

// commandTable lists the commands with their arguments, and the operators.
func (s *seen) commandTable() string {
	var b strings.Builder
	b.WriteString("| Command | Its arguments |\n|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(s.commands)) {
		fmt.Fprintf(&b, "| %s | %s |\n", code(name), codes(s.commands[name]))
	}
	b.WriteString("\n| In | Operators |\n|---|---|\n")
	for _, where := range slices.Sorted(maps.Keys(s.words)) {
		fmt.Fprintf(&b, "| %s | %s |\n", where, codes(s.words[where]))
	}
	return b.String()
}

func code(s string) string { return "`" + s + "`" }

func codes(set map[string]bool) string {
	var list []string
	for _, word := range slices.Sorted(maps.Keys(set)) {
		list = append(list, code(word))
	}
	return strings.Join(list, " ")
}

// reversed is a query with its order the other way round.
func (s shape) reversed() shape {
	sort := make([]string, len(s.sort))
	for i, key := range s.sort {
		if ascending, descends := strings.CutPrefix(key, "-"); descends {
			sort[i] = ascending
		} else {
			sort[i] = "-" + key
		}
	}
	s.sort = sort
	return s
}

// order is a query's order for the table; "" where the row of the same query
// with the reverse one stands for both.
func (s *seen) order(q shape) string {
	if len(q.sort) == 0 {
		return " "
	}
	if _, both := s.shapes[q.reversed().String()]; !both {
		return fields(q.sort)
	}
	if strings.HasPrefix(q.sort[0], "-") {
		return ""
	}
	return fields(q.sort) + " or reversed"
}

// queryTable lists the queries with their index. One that only adds a
// condition to another of the same index and order is left out.
func (s *seen) queryTable() string {
	all := slices.SortedFunc(maps.Values(s.shapes), func(a, b shape) int {
		return cmp.Or(cmp.Compare(a.collection, b.collection), cmp.Compare(a.served(indexes()), b.served(indexes())), cmp.Compare(a.String(), b.String()))
	})
	var b strings.Builder
	b.WriteString("| Collection | Equal, or one of | Compared | Order | Index |\n|---|---|---|---|---|\n")
	last := ""
	for _, q := range all {
		order := s.order(q)
		if order == "" || slices.ContainsFunc(all, func(o shape) bool { return q.adds(o) }) {
			continue
		}
		served := q.served(indexes())
		if len(q.equal)+len(q.between)+len(q.sort) == 0 {
			q.equal = []string{"any document"}
		}
		row := fmt.Sprintf("| %s | %s | %s | %s | %s |\n", code(q.collection), fields(q.equal), fields(q.between), strings.TrimSpace(order), code(served))
		if row != last {
			b.WriteString(row)
		}
		last = row
	}
	return b.String()
}

// adds reports whether a query has all conditions of another, and more, with
// the same index and order.
func (s shape) adds(to shape) bool {
	if s.collection != to.collection || s.served(indexes()) != to.served(indexes()) || !slices.Equal(s.sort, to.sort) ||
		!slices.Equal(s.between, to.between) || len(s.equal) <= len(to.equal) {
		return false
	}
	return !slices.ContainsFunc(to.equal, func(field string) bool { return !slices.Contains(s.equal, field) })
}

func fields(list []string) string {
	set := make([]string, len(list))
	for i, name := range list {
		if set[i] = code(name); strings.Contains(name, " ") {
			set[i] = name
		}
	}
	return strings.Join(set, ", ")
}
