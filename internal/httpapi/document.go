package httpapi

import (
	"encoding/json"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"hookline/internal/api"
	"hookline/internal/errs"
)

// finishDocument corrects what huma writes by default: arrays are never null
// here, and errors are our problems. huma has package variables for both,
// which would be state shared by everything in the process.
func finishDocument(doc *huma.OpenAPI) {
	schemas := doc.Components.Schemas
	own := schemas.Schema(reflect.TypeFor[api.Problem](), true, "Problem")
	for _, path := range doc.Paths {
		for _, op := range []*huma.Operation{path.Get, path.Post, path.Put, path.Delete} {
			if op == nil {
				continue
			}
			op.Responses["default"] = &huma.Response{
				Description: "Refused or failed; the code stands in docs/refusals.md.",
				Content:     map[string]*huma.MediaType{problemType: {Schema: own}},
			}
		}
	}
	delete(schemas.Map(), "ErrorModel")
	delete(schemas.Map(), "ErrorDetail")
	for _, s := range schemas.Map() {
		arraysNotNull(s)
	}
}

func arraysNotNull(s *huma.Schema) {
	if s == nil {
		return
	}
	if s.Type == huma.TypeArray {
		s.Nullable = false
	}
	arraysNotNull(s.Items)
	if inner, ok := s.AdditionalProperties.(*huma.Schema); ok {
		arraysNotNull(inner)
	}
	for _, p := range s.Properties {
		arraysNotNull(p)
	}
}

// serveDocument answers with the OpenAPI document. It names nothing that is
// secret, so it needs no token.
func serveDocument(doc *huma.OpenAPI) http.HandlerFunc {
	body, err := json.MarshalIndent(doc, "", "  ")
	body = append(body, '\n')
	return func(w http.ResponseWriter, _ *http.Request) {
		if err != nil {
			newProblem(http.StatusInternalServerError, errs.CodeInternal, "internal error").write(w)
			return
		}
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(body) // a client that has gone is no failure of ours
	}
}
