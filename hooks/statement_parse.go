package hooks

import (
	"bytes"
	"encoding/json"
	"strings"

	"hookline/internal/errs"
)

// ParseStatement reads the one form of a statement that is ever signed. Size,
// character set, nesting and number of values are checked before anything is
// decoded; the decoded statement is validated and encoded again, and must give
// the very same bytes. So two statements with one meaning have one digest.
//
// It returns errs.CodeStatementUnknown for a predicate of another version,
// errs.CodeStatementLimit for a limit that is missing or out of bounds, and
// errs.CodeStatementMalformed for anything else.
func ParseStatement(b []byte) (Statement, error) {
	if err := survey(b); err != nil {
		return Statement{}, err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var s Statement
	if err := dec.Decode(&s); err != nil {
		return Statement{}, unreadable(b, err)
	}
	again, err := s.Canonical()
	if err != nil {
		return Statement{}, err
	}
	if !bytes.Equal(again, b) {
		return Statement{}, errs.New(errs.CodeStatementMalformed, "the statement is not in its canonical form").
			WithHint("every key is present, in the documented order, without white space")
	}
	return s, nil
}

// survey is everything that can be said before strict decoding.
func survey(b []byte) error {
	if len(b) > MaxStatementBytes {
		return errs.New(errs.CodeStatementMalformed, "the statement is larger than %d bytes", MaxStatementBytes)
	}
	if !printable(string(b), true) {
		return errs.New(errs.CodeStatementMalformed, "the statement holds something else than printable ASCII")
	}
	if err := scanJSON(b, MaxStatementDepth, MaxStatementValues); err != nil {
		return errs.Wrap(errs.CodeStatementMalformed, err, "cannot read the statement")
	}
	return nil
}

// unreadable says why strict decoding failed. A later version may have any
// keys in its predicate, so its type is what must be told.
func unreadable(b []byte, cause error) error {
	var head struct {
		Type          string `json:"_type"`
		PredicateType string `json:"predicateType"`
	}
	if err := json.Unmarshal(b, &head); err == nil {
		if err := checkTypes(head.Type, head.PredicateType); err != nil {
			return err
		}
	}
	return errs.Wrap(errs.CodeStatementMalformed, cause, "cannot read the statement")
}

func checkTypes(statement, predicate string) error {
	if statement != StatementType {
		return malformed("_type", "must be %s", StatementType)
	}
	if predicate == PredicateType {
		return nil
	}
	err := errs.New(errs.CodeStatementUnknown, "the predicate type %q is not known here", clip(predicate)).At("predicateType")
	if strings.HasPrefix(predicate, strings.TrimSuffix(PredicateType, "v1")) {
		return err.WithHint("it comes from a later Hookline; upgrade this one")
	}
	return err.WithHint("only %s is known", PredicateType)
}

// Validate holds the whole statement against the grammar, with the errors of
// ParseStatement.
func (s Statement) Validate() error {
	if err := checkTypes(s.Type, s.PredicateType); err != nil {
		return err
	}
	if len(s.Subject) != 1 {
		return malformed("subject", "must hold exactly one subject, not %d", len(s.Subject))
	}
	if s.Subject[0].Name != ScriptName {
		return malformed("subject[0].name", "must be %s", ScriptName)
	}
	if !lowerHex(s.Subject[0].Digest.SHA256, 64) {
		return malformed("subject[0].digest.sha256", "must be 64 hexadecimal digits")
	}
	return s.Predicate.Validate()
}

// Canonical validates the statement and returns the bytes that people sign.
func (s Statement) Canonical() ([]byte, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	b, err := canonicalJSON(s)
	if err != nil {
		return nil, errs.Wrap(errs.CodeStatementMalformed, err, "cannot encode the statement")
	}
	if len(b) > MaxStatementBytes {
		return nil, errs.New(errs.CodeStatementMalformed, "the statement is larger than %d bytes", MaxStatementBytes)
	}
	return b, nil
}

// ScriptDigest is the digest of the one script that the statement binds.
func (s Statement) ScriptDigest() string {
	if len(s.Subject) != 1 {
		return ""
	}
	return s.Subject[0].Digest.SHA256
}
