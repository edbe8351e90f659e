package hooktest_test

import (
	"bytes"
	"strings"
	"testing"

	"hookline/internal/demo"
)

// The demo is a test of the whole line: it fails when the result is not
// linked to its original or a theft is not refused with the right code.
func TestDemo(t *testing.T) {
	var out bytes.Buffer
	err := demo.Run(t.Context(), demo.Options{Out: &out, Bin: binaries})
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"script-digest-mismatch", "threshold-not-met", "signature-invalid", "not-opted-in", "demo: PASS"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the demo shows no %q\n%s", want, out.String())
		}
	}
}
