package wording_test

import (
	"reflect"
	"testing"

	"hookline/hooks"
	"hookline/internal/wording"
)

// No member of a statement changes unseen, one that comes later neither.
func TestEveryChangeOfAStatementIsShown(t *testing.T) {
	was := hooks.Predicate{
		Match: hooks.Match{Fingerprints: []string{"a"}},
		Capabilities: hooks.Capabilities{
			FSRead: []string{"/a"}, FSList: []string{"/a"}, FSStat: []string{"/a"},
			CmdRun: []hooks.Command{{Name: "a", Args: []string{"a"}, Paths: []string{"/a"}, Reads: []string{"/a"}}},
		},
		Fields: []hooks.DeclaredField{{Name: "A", Type: hooks.TypeText}},
	}
	if rows := wording.Changes(was, was); len(rows) != 0 {
		t.Errorf("no change: %v", rows)
	}
	seen := 0
	eachLeaf(reflect.ValueOf(was), "", func(path string, change func(reflect.Value)) {
		now := reflect.New(reflect.TypeOf(was)).Elem()
		now.Set(deepCopy(reflect.ValueOf(was)))
		change(now)
		rows := wording.Changes(was, now.Interface().(hooks.Predicate))
		if shown := len(rows) > 0; shown == (path == ".Version") { // the number stands above
			t.Errorf("%s changed: %v", path, rows)
		}
		seen++
	})
	if seen < 25 {
		t.Errorf("only %d members were tried", seen)
	}
}

// eachLeaf calls for every string, number and bool below v with a function
// that changes it in a copy.
func eachLeaf(v reflect.Value, path string, leaf func(string, func(reflect.Value))) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			eachLeaf(v.Field(i), path+"."+v.Type().Field(i).Name, func(p string, change func(reflect.Value)) {
				leaf(p, func(root reflect.Value) { change(root.Field(i)) })
			})
		}
	case reflect.Slice:
		eachLeaf(v.Index(0), path+"[0]", func(p string, change func(reflect.Value)) {
			leaf(p, func(root reflect.Value) { change(root.Index(0)) })
		})
	default:
		leaf(path, func(x reflect.Value) {
			switch x.Kind() {
			case reflect.String:
				x.SetString(x.String() + "x")
			case reflect.Bool:
				x.SetBool(!x.Bool())
			default:
				x.SetInt(x.Int() + 1)
			}
		})
	}
}

func deepCopy(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			out.Field(i).Set(deepCopy(v.Field(i)))
		}
	case reflect.Slice:
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			out.Index(i).Set(deepCopy(v.Index(i)))
		}
	default:
		out.Set(v)
	}
	return out
}

// What widens is told apart from what narrows.
func TestMarks(t *testing.T) {
	was := hooks.Predicate{As: hooks.AsReporter, MaxReports: 10, NotAfter: 100, Capabilities: hooks.Capabilities{FSRead: []string{"/a b", "/x"}}}
	now := hooks.Predicate{As: hooks.AsRoot, MaxReports: 20, NotAfter: 50, Capabilities: hooks.Capabilities{FSRead: []string{"/x", "/etc/**"}}}
	want := []wording.Change{
		{Mark: wording.Wider, Member: "runs as", What: "reporter: the user who filed the report → ROOT"},
		{Mark: wording.Removed, Member: "uses", What: "as.reporter"},
		{Mark: wording.Added, Member: "uses", What: "as.root"},
		{Mark: wording.Removed, Member: "reads files", What: `"/a b"`},
		{Mark: wording.Added, Member: "reads files", What: "/etc/** (everything below, at any depth)"},
		{Mark: wording.Wider, Member: "results", What: "10 → 20"},
		{Mark: wording.Tighter, Member: "lives for", What: "1m40s → 50s"},
	}
	if got := wording.Changes(was, now); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	if got := wording.Changes(now, was)[0].Mark; got != wording.Tighter {
		t.Errorf("away from root is %s", got)
	}
	for mark, want := range map[wording.Mark][2]bool{
		wording.Added: {true, false}, wording.Wider: {true, false}, wording.Removed: {false, true}, wording.Tighter: {false, true}, wording.Changed: {},
	} {
		if got := [2]bool{mark.More(), mark.Less()}; got != want {
			t.Errorf("%s: %v", mark, got)
		}
	}
}
