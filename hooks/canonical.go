package hooks

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Digest is the hex SHA-256 of b. Of a statement's bytes it is the version
// digest, of a script's bytes the one that the statement binds.
func Digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// canonicalJSON is the one encoding of the domain: encoding/json without HTML
// escaping and without the newline at its end.
func canonicalJSON(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// scanJSON refuses, before anything is built from b: text that is not UTF-8,
// nesting deeper than depth, more than values values, and whatever is not
// exactly one JSON value. It allocates nothing for a good one.
func scanJSON(b []byte, depth, values int) error {
	if !utf8.Valid(b) {
		return errors.New("not UTF-8")
	}
	if err := measure(b, depth, values); err != nil {
		return err
	}
	if json.Valid(b) {
		return nil
	}
	var raw json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		return jsonError(err)
	}
	return errors.New("not JSON")
}

// measure counts nesting and values by their punctuation, for text that may
// or may not be JSON.
func measure(b []byte, depth, values int) error {
	level, count := 0, 1
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			level++
			count++
		case '}', ']':
			level--
		case ',':
			count++
		}
		if level > depth {
			return fmt.Errorf("nesting is deeper than %d", depth)
		}
		if count > values {
			return fmt.Errorf("more than %d values", values)
		}
	}
	return nil
}

// uniqueKeys refuses a key that comes twice in one object of b, which
// scanJSON has accepted; encoding/json would take the last.
func uniqueKeys(b []byte) error {
	s := &scanner{dec: json.NewDecoder(bytes.NewReader(b))}
	s.dec.UseNumber()
	return s.value()
}

type scanner struct{ dec *json.Decoder }

func (s *scanner) value() error {
	tok, err := s.dec.Token()
	if err != nil {
		return jsonError(err)
	}
	switch tok {
	case json.Delim('{'):
		err = s.object()
	case json.Delim('['):
		for err == nil && s.dec.More() {
			err = s.value()
		}
	default:
		return nil
	}
	if err != nil {
		return err
	}
	_, err = s.dec.Token() // the closing bracket
	return jsonError(err)
}

func (s *scanner) object() error {
	seen := map[string]bool{}
	for s.dec.More() {
		tok, err := s.dec.Token()
		if err != nil {
			return jsonError(err)
		}
		key, _ := tok.(string)
		if seen[key] {
			return fmt.Errorf("key %q comes twice", clip(key))
		}
		seen[key] = true
		if err := s.value(); err != nil {
			return err
		}
	}
	return nil
}

// notJSON is the place where a text stops being JSON, counted from 1.
type notJSON struct{ at int64 }

func (e notJSON) Error() string { return fmt.Sprintf("not JSON at byte %d", e.at) }

// jsonError says in our words what encoding/json says about a text that is
// not JSON or is cut off.
func jsonError(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || strings.HasPrefix(err.Error(), "unexpected end") {
		return errors.New("the JSON text ends too early")
	}
	if e := (*json.SyntaxError)(nil); errors.As(err, &e) {
		return notJSON{e.Offset}
	}
	return err
}

// clip keeps hostile values from filling a message.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// printable reports whether s is printable ASCII; a space counts only where
// spaces is set.
func printable(s string, spaces bool) bool {
	low := byte(0x21)
	if spaces {
		low = 0x20
	}
	for i := range len(s) {
		if s[i] < low || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// lowerHex reports whether s is n lowercase hexadecimal digits.
func lowerHex(s string, n int) bool {
	if len(s) != n {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
