package hooktest_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"hookline/internal/demo"
	"hookline/internal/onebox"
	"hookline/internal/wiretest"
)

// The demo is a test of the whole line: it fails when the result is not
// linked to its original or a theft is not refused with the right code. What
// it shows is the same whichever store the server has.
func TestDemo(t *testing.T) {
	shown := map[string]string{}
	for name, store := range map[string]string{"embedded": "", "MongoDB": wiretest.Address(t)} {
		var out bytes.Buffer
		err := demo.Run(t.Context(), demo.Options{Out: &out, Bin: binaries, Store: store})
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out.String())
		}
		shown[name] = out.String()
	}
	for _, want := range []string{"script-digest-mismatch", "threshold-not-met", "signature-invalid", "revoked", "not-opted-in", "demo: PASS"} {
		if !strings.Contains(shown["embedded"], want) {
			t.Errorf("the demo shows no %q\n%s", want, shown["embedded"])
		}
	}
	if a, b := timeless(shown["embedded"]), timeless(shown["MongoDB"]); a != b {
		t.Errorf("on the embedded store:\n%s\non MongoDB:\n%s", a, b)
	}
}

// timeless replaces what is another in every run: ids, digests, times, ports,
// and what the machine says of itself.
func timeless(out string) string {
	for _, r := range []struct{ pattern, with string }{
		{`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`, "ID"},
		{`\b([0-9a-f]{64}|[0-9a-f]{32}|[0-9a-f]{16})\b`, "DIGEST"},
		{`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\dZ`, "TIME"},
		{`127\.0\.0\.1:\d+`, "ADDRESS"},
		{`\[ *[\d.]+ s\]|in [\d.]+ s\b|[\d.]+(ms|s) of`, "DURATION"},
		{`((KiB|/proc/meminfo +ok|UptimeSeconds:|MemAvailableKiB:|memory:|MemTotal:) +)[\d/]+`, "${1}N"},
		{`= \d+ +\(int, technical, \d+ of 32 bytes\)`, "NUMBER"},
		{`[\d.]+ (ms|µs)`, "DURATION"},
		{`(?m)^(\W*(instructions|memory of the \w+|traffic of calls|time|read of the machine|result)) +(\d|DURATION|unknown).*$`, "$1 N"},
		{` +`, " "}, // columns are as wide as what stands in them
	} {
		out = regexp.MustCompile(r.pattern).ReplaceAllString(out, r.with)
	}
	return out
}

// A database that is somebody's is not touched.
func TestDemoWantsAnEmptyDatabase(t *testing.T) {
	store := wiretest.Address(t)
	d := foundOn(t, store, onebox.Solo("alice"))
	must(t, d.Stop())
	err := demo.Run(t.Context(), demo.Options{Out: &bytes.Buffer{}, Bin: binaries, Store: store})
	if err == nil || !strings.Contains(err.Error(), "name an empty one") {
		t.Errorf("the demo on a full database: %v", err)
	}
	must(t, d.StartServer(t.Context()))
	if _, err := d.Hookline(t.Context(), "alice", "job", "list"); err != nil {
		t.Errorf("the deployment's database was touched: %v", err)
	}
}
