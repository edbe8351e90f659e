package hooks

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// normal returns v built from the five types of Fields only, every number in
// its one spelling. depth is the nesting that v stands at, from 1.
func normal(v any, depth int) (any, error) {
	switch v := v.(type) {
	case string:
		if !utf8.ValidString(v) {
			return nil, errors.New("the text is not UTF-8")
		}
		return v, nil
	case bool:
		return v, nil
	case []any:
		return normalList(v, depth)
	case map[string]any:
		return normalObject(v, depth)
	}
	return normalNumber(v)
}

func normalList(v []any, depth int) (any, error) {
	if depth > maxValueDepth {
		return nil, fmt.Errorf("nesting is deeper than %d", maxValueDepth)
	}
	out := make([]any, len(v))
	for i, e := range v {
		n, err := normal(e, depth+1)
		if err != nil {
			return nil, err
		}
		out[i] = n
	}
	return out, nil
}

func normalObject(v map[string]any, depth int) (any, error) {
	if depth > maxValueDepth {
		return nil, fmt.Errorf("nesting is deeper than %d", maxValueDepth)
	}
	out := make(map[string]any, len(v))
	for k, e := range v {
		if !utf8.ValidString(k) {
			return nil, errors.New("a key is not UTF-8")
		}
		n, err := normal(e, depth+1)
		if err != nil {
			return nil, err
		}
		out[k] = n
	}
	return out, nil
}

func normalNumber(v any) (any, error) {
	switch v := v.(type) {
	case json.Number:
		f, err := strconv.ParseFloat(string(v), 64)
		if err != nil || strings.ContainsAny(string(v), "xXpP_nN") {
			return nil, fmt.Errorf("not a number in range: %q", clip(string(v)))
		}
		return formatNumber(f)
	case float64:
		return formatNumber(v)
	case int:
		return formatInteger(int64(v))
	case int64:
		return formatInteger(v)
	case nil:
		return nil, errors.New("null is no value")
	}
	return nil, fmt.Errorf("a %T is no value", v)
}

func formatInteger(n int64) (any, error) {
	if n > MaxInteger || n < -MaxInteger {
		return nil, fmt.Errorf("the number %d is beyond 2^53-1", n)
	}
	return json.Number(strconv.FormatInt(n, 10)), nil
}

// formatNumber spells a number as encoding/json spells a float64, without a
// negative zero. Whole numbers beyond 2^53 are exact no more, but they are
// numbers; only type int refuses them.
func formatNumber(f float64) (any, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, errors.New("a number must be finite")
	}
	if f == 0 {
		return json.Number("0"), nil // also -0
	}
	b, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	return json.Number(b), nil
}

// isInteger reports whether a normal number is whole and within ±(2^53-1).
func isInteger(n json.Number) bool {
	i, err := strconv.ParseInt(string(n), 10, 64)
	return err == nil && i <= MaxInteger && i >= -MaxInteger
}
