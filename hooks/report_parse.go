package hooks

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"hookline/internal/errs"
)

// ParseReport reads a report from a JSON object of strings, in any order and
// spacing. A key twice, a value that is not a string, and whatever Validate
// refuses is an errs.CodeBadReport that names the field.
func ParseReport(b []byte) (Report, error) {
	if len(b) > 2*MaxReportBytes { // room for spacing and \u escapes
		return nil, tooLong(2 * MaxReportBytes)
	}
	// Deep enough to name the field whose value is not text.
	err := scanJSON(b, 4, MaxReportFields+1)
	if err == nil {
		err = uniqueKeys(b)
	}
	if err != nil {
		return nil, noReport(err)
	}
	var raw map[string]any
	if err := json.Unmarshal(b, &raw); err != nil || raw == nil {
		return nil, errs.New(errs.CodeBadReport, "the report is not a JSON object").WithHint(reportHint, MaxReportFields)
	}
	r := make(Report, len(raw))
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		text, ok := raw[name].(string)
		if !ok {
			return nil, errs.New(errs.CodeBadReport, "the value must be text").At(clip(name)).
				WithHint("put it in quotes: a report is a JSON object of strings")
		}
		r[name] = text
	}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	return r, nil
}

const reportHint = "a report is a JSON object of strings, of at most %d fields"

// noReport is the refusal of what is no report at all.
func noReport(err error) error {
	e := errs.Wrap(errs.CodeBadReport, err, "cannot read the report")
	if errors.As(err, new(notJSON)) {
		e = errs.New(errs.CodeBadReport, "the report is %s", err)
	}
	return e.WithHint(reportHint, MaxReportFields)
}

func tooLong(limit int) error {
	return errs.New(errs.CodeBadReport, "the report is larger than %d bytes", limit).
		WithHint("shorten its longest fields: a log's last lines, a trace's first frames")
}

// Validate holds the report against the caps: names, UTF-8, number of fields
// and size of the canonical form. It returns errs.CodeBadReport.
func (r Report) Validate() error {
	if len(r) > MaxReportFields {
		return errs.New(errs.CodeBadReport, "the report has more than %d fields", MaxReportFields).
			WithHint("put small facts together into one field")
	}
	size := 0
	for _, name := range slices.Sorted(maps.Keys(r)) {
		if err := checkFieldName(name); err != "" {
			return errs.New(errs.CodeBadReport, "the field name %s", err).At(clip(name))
		}
		if !utf8.ValidString(r[name]) {
			return errs.New(errs.CodeBadReport, "the value is not UTF-8").At(name)
		}
		if size += len(name) + len(r[name]); size > MaxReportBytes {
			break
		}
	}
	if size > MaxReportBytes || len(r.Canonical()) > MaxReportBytes {
		return tooLong(MaxReportBytes)
	}
	return nil
}

// ValidFieldName reports whether a field of a report or result can have the name.
func ValidFieldName(name string) bool { return checkFieldName(name) == "" }

// checkFieldName says what is wrong with the name of a report or result
// field, "" for nothing.
func checkFieldName(name string) string {
	switch {
	case name == "":
		return "is empty"
	case len(name) > MaxFieldNameLength:
		return "is longer than 128 bytes"
	case !printable(name, false):
		return "must be printable ASCII without spaces"
	}
	return ""
}

// Canonical is the report as JSON with sorted keys and no white space. Bytes
// that are not UTF-8, which Validate refuses, become U+FFFD.
func (r Report) Canonical() []byte {
	if r == nil {
		return []byte("{}")
	}
	b, err := canonicalJSON(r)
	if err != nil {
		return []byte("{}") // a map of strings always encodes
	}
	return b
}

// Clone is a copy that shares nothing with r.
func (r Report) Clone() Report { return maps.Clone(r) }

// get is the field without white space around it.
func (r Report) get(name string) string { return strings.TrimSpace(r[name]) }
