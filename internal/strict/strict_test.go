package strict_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hookline/internal/errs"
	"hookline/internal/strict"
)

type level string

type person struct {
	Name  string   `yaml:"name"`
	Roles []level  `yaml:"roles"`
	Keys  []string `yaml:"keys"`
}

type document struct {
	Name    string         `yaml:"name"`
	On      bool           `yaml:"on"`
	Count   int64          `yaml:"count"`
	Small   int8           `yaml:"small"`
	Wait    time.Duration  `yaml:"wait"`
	Needs   map[string]int `yaml:"as.needs"`
	Persons []person       `yaml:"persons"`
	Maybe   *person        `yaml:"maybe"`
	Secret  string         `yaml:"-"`
	Bare    string
}

const full = `
name: "1.10"
on: yes
count: -7
small: 127
wait: 7d
as.needs: {as.root: 3, fs.read: 1}
persons:
  - name: alice
    roles: [author, reviewer]
    keys:
      - |
        line 1
        line 2
  - {}
maybe: {name: no}
`

func TestDecode(t *testing.T) {
	var got document
	at, err := strict.DecodeAt("f.yaml", []byte(full), 1000, &got)
	if err != nil {
		t.Fatal(err)
	}
	want := document{
		Name: "1.10", On: true, Count: -7, Small: 127, Wait: 7 * 24 * time.Hour,
		Needs:   map[string]int{"as.root": 3, "fs.read": 1},
		Persons: []person{{Name: "alice", Roles: []level{"author", "reviewer"}, Keys: []string{"line 1\nline 2\n"}}, {}},
		Maybe:   &person{Name: "no"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for path, place := range map[string]string{
		"": "f.yaml:2:1", "count": "f.yaml:4:8", "persons[0].roles[1]": "f.yaml:10:21", "persons[0].missing": "f.yaml:9:5",
		"persons[7].name": "f.yaml:9:3", "nothing.at.all": "f.yaml:2:1", "as.needs.as.root": "f.yaml:7:21",
	} {
		if got := at.At(path); got != place {
			t.Errorf("%q is at %s, want %s", path, got, place)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, tc := range []struct{ name, in, at, says string }{
		{"empty", "", "f.yaml:1:1", "empty"},
		{"only comments", "# nothing\n", "f.yaml:1:1", "empty"},
		{"scalar", "hello", "f.yaml:1:1", `the file must be a mapping of keys to values, not "hello"`},
		{"list", "- a", "f.yaml:1:1", "not a list"},
		{"null", "~", "f.yaml:1:1", "not empty"},
		{"syntax", "name: a\n  b: c: d", "f.yaml:2:1", "cannot parse YAML"},
		{"tab", "name:\n\t- a", "f.yaml:2:1", "cannot parse YAML"},
		{"not utf-8", "name: a\non: \xff", "f.yaml:2:1", "not UTF-8"},
		{"two documents", "name: a\n---\nname: b", "f.yaml:2:1", "second YAML document"},
		{"broken second document", "name: a\n---\n[", "f.yaml:3:1", "cannot parse YAML"},
		{"unknown key", "name: a\nnam2: b", "f.yaml:2:1", `unknown key "nam2"`},
		{"unknown nested key", "persons: [{nam2: b}]", "f.yaml:1:12", `unknown key "nam2" in persons[0]`},
		{"key of an untagged member", "Bare: b", "f.yaml:1:1", "unknown key"},
		{"dash key", "-: b", "f.yaml:1:1", "unknown key"},
		{"key twice", "name: a\non: no\nname: b", "f.yaml:3:1", `key "name" comes twice`},
		{"map key twice", "as.needs: {a: 1, a: 2}", "f.yaml:1:18", `key "a" comes twice in as.needs`},
		{"number as key", "1: a", "f.yaml:1:1", "a key must be text"},
		{"list as key", "[a]: a", "f.yaml:1:1", "a key must be text"},
		{"alias", "name: &a b\nmaybe: *a", "f.yaml:1:7", "anchors"},
		{"merge", "maybe: {<<: {name: a}}", "f.yaml:1:9", "a key must be text"},
		{"tag", "name: !!str 1", "f.yaml:1:7", "tags"},
		{"binary", "name: !!binary aGk=", "f.yaml:1:7", "tags"},
		{"number for text", "name: 1.10", "f.yaml:1:7", "name must be text, not the number 1.10"},
		{"date for text", "name: 2026-01-02", "f.yaml:1:7", "not the date"},
		{"null for text", "name:", "f.yaml:1:6", "not empty"},
		{"list for text", "name: [a]", "f.yaml:1:7", "not a list"},
		{"text for bool", "on: maybe", "f.yaml:1:5", "on must be true or false"},
		{"quoted bool", `on: "true"`, "f.yaml:1:5", "on must be true or false"},
		{"float for int", "count: 1.0", "f.yaml:1:8", "a whole number"},
		{"hexadecimal", "count: 0x10", "f.yaml:1:8", "plain decimal"},
		{"underscores", "count: 1_000", "f.yaml:1:8", "plain decimal"},
		{"plus", "count: +1", "f.yaml:1:8", "plain decimal"},
		{"octal", "count: 010", "f.yaml:1:8", "plain decimal"},
		{"too large for int8", "small: 128", "f.yaml:1:8", "8 bits"},
		{"too large for int64", "count: 9223372036854775808", "f.yaml:1:8", "64 bits"},
		{"number for duration", "wait: 7", "f.yaml:1:7", "not a duration"},
		{"negative duration", "wait: -1h", "f.yaml:1:7", "not a duration"},
		{"mapping for list", "persons: {}", "f.yaml:1:10", "persons must be a list"},
		{"list for mapping", "as.needs: []", "f.yaml:1:11", "must be a mapping"},
		{"too deep", "name: " + strings.Repeat("[", 20) + strings.Repeat("]", 20), "f.yaml:1:22", "nesting is deeper"},
		{"too many", "name: [" + strings.Repeat("a,", strict.MaxValues) + "]", "f.yaml:1:20002", "more than 10000 values"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var d document
			err := strict.Decode("f.yaml", []byte(tc.in), 1<<20, &d)
			e, ok := errs.As(err)
			if !ok || e.Code != errs.CodeBadInput || e.Field != tc.at || !strings.Contains(e.Message, tc.says) {
				t.Errorf("got %v, want %s: …%s…", err, tc.at, tc.says)
			}
		})
	}
	var d document
	if err := strict.Decode("f.yaml", []byte(full), 10, &d); errs.CodeOf(err) != errs.CodeTooLarge {
		t.Errorf("too large: %v", err)
	}
	for name, into := range map[string]any{"nil": nil, "value": d, "pointer to text": new(string), "nil pointer": (*document)(nil)} {
		if err := strict.Decode("f.yaml", []byte(full), 1000, into); errs.CodeOf(err) != errs.CodeInternal {
			t.Errorf("into %s: %v", name, err)
		}
	}
	var odd struct {
		F float64 `yaml:"f"`
	}
	if err := strict.Decode("f.yaml", []byte("f: 1"), 1000, &odd); errs.CodeOf(err) != errs.CodeInternal {
		t.Errorf("into a float: %v", err)
	}
}

// Deep and wide documents must be refused by the caps, not by the clock.
func TestDecodeIsQuick(t *testing.T) {
	start := time.Now()
	for _, in := range []string{
		strings.Repeat("[", 1<<19), strings.Repeat("{a: ", 1<<16), strings.Repeat("- ", 1<<18), strings.Repeat("a: 1\n", 1<<16),
		strings.Repeat("? ", 1<<17), "name: \"" + strings.Repeat(`\x41`, 1<<17),
	} {
		var d document
		if err := strict.Decode("f.yaml", []byte(in), 1<<20, &d); err == nil {
			t.Errorf("%.10q… is accepted", in)
		}
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestDurations(t *testing.T) {
	for _, d := range []time.Duration{0, time.Nanosecond, 1500 * time.Millisecond, 2 * time.Second, 90 * time.Minute, 48 * time.Hour, 14 * 24 * time.Hour, 1<<63 - 1} {
		s := strict.FormatDuration(d)
		if got, err := strict.ParseDuration(s); err != nil || got != d {
			t.Errorf("%v is written %q, read %v, %v", int64(d), s, got, err)
		}
	}
	for s, want := range map[string]time.Duration{"7d": 168 * time.Hour, "0d": 0, "1h30m": 90 * time.Minute, "500ms": 500 * time.Millisecond} {
		if got, err := strict.ParseDuration(s); err != nil || got != want {
			t.Errorf("%q is %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "d", "-1d", "+1h", "1.5d", "1d12h", "7 d", "99999d", "1w", "1", "300000000h"} {
		if got, err := strict.ParseDuration(s); err == nil {
			t.Errorf("%q is taken for %v", s, got)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{full, "a: &x {b: *x}", "<<: [a]", "!!set {a}", "? [a]\n: b", "%YAML 1.2\n---\nname: x", "name: |2-\n   x\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var d document
		err := strict.Decode("f.yaml", b, 1<<16, &d)
		if err == nil {
			return
		}
		e, ok := errs.As(err)
		if !ok || e.Code != errs.CodeBadInput && e.Code != errs.CodeTooLarge || !strings.HasPrefix(e.Field, "f.yaml") || e.Message == "" {
			t.Errorf("odd refusal: %#v", err)
		}
	})
}
