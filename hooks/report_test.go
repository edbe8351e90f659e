package hooks_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"hookline/hooks"
	"hookline/internal/errs"
)

func TestParseReport(t *testing.T) {
	many := make([]string, hooks.MaxReportFields+1)
	for i := range many {
		many[i] = fmt.Sprintf(`"F%d":""`, i)
	}
	for _, tc := range []struct{ name, in, field string }{
		{"not json", "hello", ""},
		{"array", "[]", ""},
		{"null", "null", ""},
		{"cut", `{"A":"b"`, ""},
		{"trailing", `{"A":"b"} x`, ""},
		{"number", `{"A":"b","N":1}`, "N"},
		{"null value", `{"N":null}`, "N"},
		{"object", `{"A":{"B":"c"}}`, "A"},
		{"twice", `{"A":"b","A":"c"}`, ""},
		{"empty name", `{"":"b"}`, ""},
		{"space in name", `{"A b":"c"}`, "A b"},
		{"letter beyond ascii", `{"Ä":"c"}`, "Ä"},
		{"long name", `{"` + strings.Repeat("n", 129) + `":""}`, strings.Repeat("n", 80) + "…"},
		{"not utf-8", "{\"A\":\"\xff\"}", ""},
		{"too many", "{" + strings.Join(many, ",") + "}", ""},
		{"too large", `{"A":"` + strings.Repeat("a", hooks.MaxReportBytes) + `"}`, ""},
		{"too large once escaped", `{"A":"` + strings.Repeat("\u007f\\n", hooks.MaxReportBytes/2) + `"}`, ""},
		{"far too large", strings.Repeat(" ", 3<<20), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := hooks.ParseReport([]byte(tc.in))
			wantCode(t, err, errs.CodeBadReport)
			if e, ok := errs.As(err); !ok || e.Field != tc.field || r != nil {
				t.Errorf("got report %v, field %q (%v), want %q", r != nil, e.Field, err, tc.field)
			}
		})
	}
	got, err := hooks.ParseReport([]byte(" {\"B.$\" : \"é\\n<\",\n\"A\":\"\"} "))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(hooks.Report{"A": "", "B.$": "é\n<"}, got); diff != "" {
		t.Error(diff)
	}
	if want := `{"A":"","B.$":"é\n<"}`; string(got.Canonical()) != want {
		t.Errorf("got %s, want %s", got.Canonical(), want)
	}
	clone := got.Clone()
	clone["A"] = "changed"
	if got["A"] != "" {
		t.Error("a clone shares its fields")
	}
}

// What a person reads who hands in something that is no report.
func TestReportRefusalsAreInWords(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"not a report", "the report is not JSON at byte 2"},
		{`{"A":"b"} x`, "the report is not JSON at byte 11"},
		{`{"A":"b"`, "cannot read the report: the JSON text ends too early"},
		{"", "cannot read the report: the JSON text ends too early"},
		{`["A"]`, "the report is not a JSON object"},
		{`{"A":"b","A":"c"}`, `cannot read the report: key "A" comes twice`},
		{strings.Repeat(" ", 3<<20), "the report is larger than 2097152 bytes"},
		{`{"A":"` + strings.Repeat("a", hooks.MaxReportBytes) + `"}`, "the report is larger than 1048576 bytes"},
		{`{"A":1}`, "A: the value must be text"},
	} {
		_, err := hooks.ParseReport([]byte(tc.in))
		e, ok := errs.As(err)
		if !ok || err.Error() != tc.want || e.Hint == "" {
			t.Errorf("%.20q: got %v, hint %q, want %q", tc.in, err, e.Hint, tc.want)
		}
	}
}

type fingerprintVector struct {
	Name        string       `json:"name"`
	Report      hooks.Report `json:"report"`
	Fingerprint string       `json:"fingerprint"`
	ProblemID   string       `json:"problem_id"`
}

func fingerprintReports() []fingerprintVector {
	app := func(more hooks.Report) hooks.Report {
		r := hooks.Report{hooks.FieldExecutablePath: "/usr/bin/app", hooks.FieldSignal: "11"}
		for k, v := range more {
			r[k] = v
		}
		return r
	}
	frames := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format+"\n", i)
		}
		return b.String()
	}
	return []fingerprintVector{
		{Name: "empty", Report: hooks.Report{}},
		{Name: "the reporter's own key wins", Report: app(hooks.Report{hooks.FieldDuplicateSignature: " /usr/bin/app:11:own key \n", hooks.FieldFrames: "a\nb\nc"})},
		{Name: "an empty own key counts for nothing", Report: app(hooks.Report{hooks.FieldDuplicateSignature: " \n", hooks.FieldFrames: "a\nb\nc"})},
		{Name: "no frames", Report: app(nil)},
		{Name: "three names", Report: app(hooks.Report{hooks.FieldFrames: "main.crash\n\n  main.main \nruntime.main\n"})},
		{Name: "two names are too few", Report: app(hooks.Report{hooks.FieldFrames: "main\nstart"})},
		{Name: "two names, three offsets", Report: app(hooks.Report{hooks.FieldFrames: "main\nstart", hooks.FieldAddresses: "/lib/x+1a\n/lib/x+2b\n+3c"})},
		{Name: "fifteen of twenty names", Report: app(hooks.Report{hooks.FieldFrames: frames(20, "f%d")})},
		{Name: "one in six unresolved", Report: app(hooks.Report{hooks.FieldFrames: "a\nb\n??\nd\ne\nf"})},
		{Name: "one in five unresolved", Report: app(hooks.Report{hooks.FieldFrames: "a\nb\n??\nd\ne", hooks.FieldAddresses: "1\n2\n3"})},
		{Name: "exit code", Report: hooks.Report{hooks.FieldExecutablePath: "/usr/bin/app", hooks.FieldExitCode: "2", hooks.FieldSignal: "0"}},
		{Name: "signal name only", Report: hooks.Report{hooks.FieldExecutablePath: "/usr/bin/app", hooks.FieldSignalName: "SIGABRT"}},
		{Name: "no executable", Report: hooks.Report{hooks.FieldSignal: "6", hooks.FieldFrames: "a\nb\nc"}},
		{Name: "what must be encoded", Report: app(hooks.Report{hooks.FieldExecutablePath: "/opt/my app/ä:b%", hooks.FieldFrames: "std::f<int, 2>\nop\tx\n\u007f\x00~"})},
		{Name: "too long", Report: app(hooks.Report{hooks.FieldFrames: frames(15, strings.Repeat("long ", 60)+"%d")})},
		{Name: "too long, another end", Report: app(hooks.Report{hooks.FieldFrames: frames(15, strings.Repeat("long ", 60)+"%d.")})},
		{Name: "too long own key", Report: hooks.Report{hooks.FieldDuplicateSignature: strings.Repeat("é", 3000)}},
	}
}

func TestFingerprintVectors(t *testing.T) {
	if *update {
		v := fingerprintReports()
		for i := range v {
			v[i].Fingerprint = hooks.Fingerprint(v[i].Report)
			v[i].ProblemID = hooks.ProblemID(v[i].Fingerprint)
		}
		writeJSON(t, "fingerprint.json", v)
	}
	var got []fingerprintVector
	readJSON(t, "fingerprint.json", &got)
	seen := map[string]string{}
	for _, v := range got {
		if f := hooks.Fingerprint(v.Report); f != v.Fingerprint {
			t.Errorf("%s: fingerprint %q, want %q", v.Name, f, v.Fingerprint)
		}
		if id := hooks.ProblemID(v.Fingerprint); id != v.ProblemID {
			t.Errorf("%s: problem id %q, want %q", v.Name, id, v.ProblemID)
		}
		seen[v.Name] = v.Fingerprint
	}
	// What the vectors must show, whoever wrote them.
	for name, want := range map[string]string{
		"empty":                               "unknown:unknown",
		"the reporter's own key wins":         "/usr/bin/app:11:own%20key",
		"an empty own key counts for nothing": "/usr/bin/app:11:a:b:c",
		"no frames":                           "/usr/bin/app:11",
		"three names":                         "/usr/bin/app:11:main.crash:main.main:runtime.main",
		"two names are too few":               "/usr/bin/app:11",
		"two names, three offsets":            "/usr/bin/app:11:/lib/x+1a:/lib/x+2b:+3c",
		"one in six unresolved":               "/usr/bin/app:11:a:b:??:d:e:f",
		"one in five unresolved":              "/usr/bin/app:11:1:2:3",
		"exit code":                           "/usr/bin/app:exit-2",
		"signal name only":                    "/usr/bin/app:SIGABRT",
		"no executable":                       "unknown:6:a:b:c",
		"what must be encoded":                "/opt/my%20app/%C3%A4%3Ab%25:11:std%3A%3Af<int,%202>:op%09x:%7F%00~",
	} {
		if seen[name] != want {
			t.Errorf("%s: %q, want %q", name, seen[name], want)
		}
	}
	if seen["too long"] == seen["too long, another end"] {
		t.Error("two long fingerprints fall together")
	}
	if n := strings.Count(seen["fifteen of twenty names"], ":"); n != 16 {
		t.Errorf("%d separators, want 16", n)
	}
}

func checkFingerprint(t *testing.T, f string) {
	t.Helper()
	if f == "" || len(f) > hooks.MaxFingerprintLength {
		t.Errorf("a fingerprint of %d bytes", len(f))
	}
	for i := range len(f) {
		if f[i] <= ' ' || f[i] > '~' {
			t.Fatalf("byte %#x in %q", f[i], f)
		}
	}
}

func FuzzParseReport(f *testing.F) {
	for _, v := range fingerprintReports() {
		f.Add(v.Report.Canonical())
	}
	f.Add([]byte(`{"A":"b","A":"c"}`))
	f.Add([]byte(`{"A":"\ud800"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := hooks.ParseReport(b)
		if err != nil {
			wantCode(t, err, errs.CodeBadReport)
			return
		}
		again, err := hooks.ParseReport(r.Canonical())
		if err != nil {
			t.Fatalf("refuses its own canonical form: %v", err)
		}
		if !bytes.Equal(again.Canonical(), r.Canonical()) || !utf8.Valid(r.Canonical()) {
			t.Errorf("%q became %q", r.Canonical(), again.Canonical())
		}
		checkFingerprint(t, hooks.Fingerprint(r))
	})
}

// The caps are reached, not only nearly.
func TestReportAtItsCaps(t *testing.T) {
	full := hooks.Report{}
	for i := range hooks.MaxReportFields {
		full[fmt.Sprintf("F%d", i)] = "a,b"
	}
	if _, err := hooks.ParseReport(full.Canonical()); err != nil {
		t.Error(err)
	}
	large := hooks.Report{"A": ""}
	large["A"] = strings.Repeat("a", hooks.MaxReportBytes-len(large.Canonical()))
	if _, err := hooks.ParseReport(large.Canonical()); err != nil {
		t.Error(err)
	}
	large["A"] += "a"
	wantCode(t, large.Validate(), errs.CodeBadReport)
}
