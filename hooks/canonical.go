package hooks

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

// scanJSON reads the tokens of b once and refuses, before anything is built
// from them: text that is not UTF-8, nesting deeper than depth, more than
// values values, a key twice in one object, and anything after the first value.
func scanJSON(b []byte, depth, values int) error {
	if !utf8.Valid(b) {
		return errors.New("not UTF-8")
	}
	s := &scanner{dec: json.NewDecoder(bytes.NewReader(b)), depth: depth, values: values}
	s.dec.UseNumber()
	if err := s.value(1); err != nil {
		return err
	}
	if _, err := s.dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the end of the JSON value")
	}
	return nil
}

type scanner struct {
	dec    *json.Decoder
	depth  int
	values int // left
}

func (s *scanner) value(level int) error {
	tok, err := s.dec.Token()
	if err != nil {
		return jsonError(err)
	}
	if s.values--; s.values < 0 {
		return errors.New("too many values")
	}
	open, ok := tok.(json.Delim)
	if !ok {
		return nil
	}
	if level > s.depth {
		return fmt.Errorf("nesting is deeper than %d", s.depth)
	}
	if open == '{' {
		err = s.object(level)
	} else {
		err = s.array(level)
	}
	if err != nil {
		return err
	}
	_, err = s.dec.Token() // the closing bracket
	return jsonError(err)
}

func (s *scanner) object(level int) error {
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
		if err := s.value(level + 1); err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) array(level int) error {
	for s.dec.More() {
		if err := s.value(level + 1); err != nil {
			return err
		}
	}
	return nil
}

// jsonError shortens what encoding/json says at the end of a cut-off text.
func jsonError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the JSON text ends too early")
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
