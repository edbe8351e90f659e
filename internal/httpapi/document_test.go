package httpapi

import (
	"bytes"
	"encoding/json"
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write testdata anew")

const golden = "testdata/openapi.json"

func document(t *testing.T) []byte {
	t.Helper()
	h := New(Parts{Version: "0.0.0", Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/openapi.json", nil))
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/openapi+json" {
		t.Fatalf("status %d %v", w.Code, w.Header())
	}
	return w.Body.Bytes()
}

func TestDocumentHasNotDrifted(t *testing.T) {
	got := document(t)
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the API is not what %s says; look at the difference, then: go test ./internal/httpapi -update", golden)
	}
}

func TestDocumentIsOurs(t *testing.T) {
	got := document(t)
	for _, foreign := range []string{"ErrorModel", "ErrorDetail", `"null"`, "$schema"} {
		if bytes.Contains(got, []byte(foreign)) {
			t.Errorf("the document has %s", foreign)
		}
	}
	type parameter struct{ Name, In string }
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			Parameters []parameter
			Responses  map[string]struct {
				Content map[string]any
			}
		}
	}
	if err := json.Unmarshal(got, &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || len(doc.Paths) != 29 {
		t.Errorf("OpenAPI %s with %d paths", doc.OpenAPI, len(doc.Paths))
	}
	for path, ops := range doc.Paths {
		for method, op := range ops {
			if op.Responses["default"].Content[problemType] == nil {
				t.Errorf("%s %s has no problem", method, path)
			}
			for _, part := range strings.Split(path, "/") {
				name, ok := strings.CutPrefix(strings.TrimSuffix(part, "}"), "{")
				if ok && !slices.Contains(op.Parameters, parameter{name, "path"}) {
					t.Errorf("%s %s does not describe %s", method, path, name)
				}
			}
		}
	}
}
