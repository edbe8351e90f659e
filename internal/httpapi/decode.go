package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"hookline/internal/errs"
)

// Caps of a request.
const (
	maxBodyBytes    = 1 << 20
	maxVersionBytes = 512 << 10
	maxTrustBytes   = 3 << 20 // a whole bundle as base64
	maxBodyDepth    = 8
	maxBodyValues   = 10_000
)

// strictJSON is the one body format. Unknown members are refused by the
// schema; what a schema cannot see is refused here: bytes that are not UTF-8,
// a member given twice, a second value, deep nesting. Member names are lower
// case throughout the API, so refusing any other closes encoding/json's
// case-blind matching.
func strictJSON() huma.Format {
	return huma.Format{
		Marshal: huma.DefaultJSONFormat.Marshal,
		Unmarshal: func(data []byte, v any) error {
			if err := checkJSON(data); err != nil {
				return err
			}
			return json.Unmarshal(data, v)
		},
	}
}

func checkJSON(data []byte) error {
	if !utf8.Valid(data) {
		return errors.New("is not UTF-8")
	}
	s := scanner{dec: json.NewDecoder(bytes.NewReader(data))}
	if err := s.value(0); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("is not valid JSON at byte %d: %w", s.dec.InputOffset(), err)
	}
	if _, err := s.dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("has more than one JSON value")
	}
	return nil
}

type scanner struct {
	dec    *json.Decoder
	values int
}

func (s *scanner) value(depth int) error {
	s.values++
	if depth > maxBodyDepth {
		return fmt.Errorf("deeper than %d levels", maxBodyDepth)
	}
	if s.values > maxBodyValues {
		return fmt.Errorf("more than %d values", maxBodyValues)
	}
	token, err := s.dec.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('{'):
		return s.object(depth)
	case json.Delim('['):
		return s.array(depth)
	}
	return nil
}

func (s *scanner) object(depth int) error {
	seen := map[string]bool{}
	for s.dec.More() {
		token, err := s.dec.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		if !memberName(name) {
			return fmt.Errorf("unknown member %q", name)
		}
		if seen[name] {
			return fmt.Errorf("member %q is given twice", name)
		}
		seen[name] = true
		if err := s.value(depth + 1); err != nil {
			return err
		}
	}
	_, err := s.dec.Token()
	return err
}

func (s *scanner) array(depth int) error {
	for s.dec.More() {
		if err := s.value(depth + 1); err != nil {
			return err
		}
	}
	_, err := s.dec.Token()
	return err
}

func memberName(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// checkURL refuses a path or query that is not UTF-8 and a query parameter
// that is given twice: handlers must never have to choose.
func checkURL(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := urlProblem(r.URL); err != nil {
			newProblem(http.StatusBadRequest, errs.CodeBadInput, err.Error()).write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func urlProblem(u *url.URL) error {
	if !utf8.ValidString(u.Path) {
		return errors.New("path: is not UTF-8")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("query: is malformed")
	}
	for name, values := range query {
		switch {
		case len(values) > 1:
			return fmt.Errorf("query: %q is given twice", name)
		case !utf8.ValidString(name), !utf8.ValidString(values[0]):
			return errors.New("query: is not UTF-8")
		}
	}
	return nil
}
