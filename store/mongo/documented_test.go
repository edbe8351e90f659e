package mongo

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"hookline/internal/wiretest"
	"hookline/store/archive"
	"hookline/store/storetest"
)

var update = flag.Bool("update", false, "write the tables of docs/mongodb.md anew")

// documented are the commands and operators that the manuals of MongoDB 5.0 to
// 8.0 and of FerretDB 1.24 both list as supported.
var documented = map[string]string{
	"commands": "aggregate buildInfo count createIndexes delete distinct endSessions find findAndModify getMore hello insert " +
		"killCursors listIndexes listCollections ping update",
	"queries": "$and $eq $exists $gt $gte $in $lt $lte $ne $nin $nor $not $or $size $type",
	"updates": "$addToSet $currentDate $inc $max $min $mul $pop $pull $pullAll $push $rename $set $setOnInsert $unset " +
		"$each",
	"stages":       "$count $group $limit $match $project $skip $sort $unset $unwind",
	"accumulators": "$count $sum",
}

// checkDocumented demands that no more was sent than both servers document.
func (s *seen) checkDocumented(t *testing.T) {
	for name := range s.commands {
		knows(t, "commands", name)
	}
	for where, words := range s.words {
		for word := range words {
			knows(t, where, word)
		}
	}
}

func knows(t *testing.T, where, word string) {
	t.Helper()
	for _, known := range strings.Fields(documented[where]) {
		if known == word {
			return
		}
	}
	t.Errorf("%s among %s: not every server documents it", word, where)
}

// checkIndexes demands an index for every query.
func (s *seen) checkIndexes(t *testing.T) {
	for _, q := range s.shapes {
		if q.served(indexes()) == "" {
			t.Errorf("no index serves %s", q)
		}
	}
}

// checkTables holds the tables of docs/mongodb.md against what was sent. A run
// of a part of the suite cannot tell what is missing.
func (s *seen) checkTables(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "mongodb.md")
	page, err := os.ReadFile(path)
	noError(t, err)
	text := string(page)
	for name, table := range map[string]string{"commands": s.commandTable(), "queries": s.queryTable(), "indexes": indexTable()} {
		text = replaced(t, text, name, table)
	}
	switch {
	case text == string(page):
	case *update:
		noError(t, os.WriteFile(path, []byte(text), 0o644))
	default:
		t.Errorf("docs/mongodb.md is not current: run go test ./store/mongo -run 'TestConformance' -update")
	}
}

// replaced puts a table between the marks of its name.
func replaced(t *testing.T, page, name, table string) string {
	t.Helper()
	begin, end := "<!-- "+name+": generated -->\n", "<!-- end of "+name+" -->"
	before, rest, ok := strings.Cut(page, begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("docs/mongodb.md has no marks for %s", name)
	}
	return before + begin + table + end + after
}

func indexTable() string {
	var b strings.Builder
	b.WriteString("| Collection | Index | Unique | What for |\n|---|---|---|---|\n")
	for _, i := range indexes() {
		unique := ""
		if i.unique {
			unique = "yes"
		}
		b.WriteString("| " + code(i.collection) + " | " + code(i.name()) + " | " + unique + " | " + i.use + " |\n")
	}
	return b.String()
}

// partly reports whether only a part of the suite runs.
func partly() bool { return strings.Contains(flag.Lookup("test.run").Value.String(), "/") }

// everyQuery asks all that can be asked, also of a store that is moved.
func everyQuery(t *testing.T, d *DB) {
	t.Helper()
	storetest.Ask(t, d)
	ctx := t.Context()
	for _, kind := range archive.Kinds() {
		_, err := d.ArchivePage(ctx, kind, "x", 10)
		noError(t, err)
	}
	for _, ask := range []func() error{
		func() error { _, err := d.ArchiveBegin(ctx); return err },
		func() error { _, err := d.ArchiveEmpty(ctx); return err },
		func() error { _, err := d.ArchiveMark(ctx); return err },
		func() error { return d.ArchiveDone(ctx) },
	} {
		noError(t, ask())
	}
}

// The rule sees a query that no index serves.
func TestServedBy(t *testing.T) {
	for name, c := range map[string]struct {
		q    shape
		want string
	}{
		"an id":                      {shape{collection: "jobs", equal: []string{"_id"}, other: []string{"sent_at"}}, "_id_1"},
		"no index":                   {shape{collection: "jobs", equal: []string{"failed_code"}}, ""},
		"another collection's":       {shape{collection: "peers", equal: []string{"peer_id"}}, ""},
		"everything":                 {shape{collection: "jobs", other: []string{"todo"}}, ""},
		"all of it in another order": {shape{collection: "peers", sort: []string{"version"}}, ""},
		"a range without its prefix": {shape{collection: "jobs", between: []string{"deadline"}}, ""},
		"not in order":               {shape{collection: "jobs", equal: []string{"status"}, sort: []string{"deadline"}}, ""},
		"in order":                   {shape{collection: "jobs", equal: []string{"status"}, between: []string{"_id"}, sort: []string{"_id"}}, "status_1__id_-1"},
		"in half of the order":       {shape{collection: "problems", between: []string{"last_seen"}, sort: []string{"-last_seen", "_id"}}, ""},
		"a page":                     {shape{collection: "peers", between: []string{"_id"}, sort: []string{"_id"}}, "_id_1"},
	} {
		if got := c.q.served(indexes()); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// checkExplained asks a real server for the plan of each query.
func (s *seen) checkExplained(t *testing.T, d *DB) {
	wiretest.NeedsMongoDB(t, "FerretDB's explain says nothing about indexes")
	for key, command := range s.examples {
		q := s.shapes[key]
		if len(q.equal)+len(q.between)+len(q.other) == 0 {
			continue // the first document, whichever it is
		}
		var plan bson.Raw
		err := d.db.RunCommand(t.Context(), m{{Key: "explain", Value: bare(command)}, {Key: "verbosity", Value: "queryPlanner"}}).Decode(&plan)
		if err != nil {
			t.Errorf("%s: %v", q, err)
			continue
		}
		if stages := stagesOf(plan.Lookup("queryPlanner", "winningPlan")); strings.Contains(stages, "COLLSCAN") ||
			strings.Contains(stages, " SORT ") {
			t.Errorf("%s: %s", q, stages)
		}
	}
}

// bare is a command as explain takes it.
func bare(command bson.Raw) (d m) {
	elements, _ := command.Elements()
	for _, e := range elements {
		switch key := e.Key(); key {
		case "lsid", "$db", "$clusterTime", "$readPreference", "txnNumber", "maxTimeMS", "writeConcern", "readConcern":
		case "pipeline": // what an index serves: groups have an order of their own
			stages := parts(command, key)
			group := slices.IndexFunc(stages, func(stage bson.Raw) bool { return stage.Lookup("$group").Type != 0 })
			d = append(d, condition{Key: key, Value: stages[:max(group, 0)]})
		default:
			d = append(d, condition{Key: key, Value: e.Value()})
		}
	}
	return d
}

// stagesOf lists the stages of a plan, each between spaces.
func stagesOf(plan bson.RawValue) string {
	all := " "
	switch plan.Type {
	case bson.TypeEmbeddedDocument:
		elements, _ := plan.Document().Elements()
		for _, e := range elements {
			if e.Key() == "stage" {
				all += e.Value().StringValue() + " "
			}
			all += stagesOf(e.Value())
		}
	case bson.TypeArray:
		values, _ := plan.Array().Values()
		for _, v := range values {
			all += stagesOf(v)
		}
	}
	return all
}
