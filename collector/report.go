package collector

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobs"
)

// What all stores do in the same way with reports and problems.

// EncodeReport is the form in which a report is stored: canonical JSON, which
// gives back every key and value exactly. What it could not give back is
// refused with errs.CodeBadReport, and what is over hooks.MaxReportBytes with
// errs.CodeTooLarge.
func EncodeReport(r hooks.Report) ([]byte, error) {
	for name, value := range r {
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return nil, errs.New(errs.CodeBadReport, "cannot store report: not UTF-8").At(strings.ToValidUTF8(name, "?"))
		}
	}
	report := r.Canonical()
	if len(report) > hooks.MaxReportBytes {
		return nil, errs.New(errs.CodeTooLarge, "cannot store report: it has %d bytes, at most %d", len(report), hooks.MaxReportBytes).
			WithHint("leave out or shorten the largest fields")
	}
	return report, nil
}

// maxShort is the most bytes of a field that lists carry.
const maxShort = 128

// inShort is the start of a field, as lists carry it.
func inShort(s string) string {
	if len(s) <= maxShort {
		return s
	}
	return strings.ToValidUTF8(s[:maxShort], "")
}

// ErrReportTaken refuses a report under an id that belongs to anything else.
func ErrReportTaken(id string) error {
	return errs.New(errs.CodeConflict, "cannot store report: the id %s is taken", id).WithHint("file it under a new id")
}

// ProblemOf is the problem of a report job as if it were the first report.
func ProblemOf(j jobs.Job) Problem {
	return Problem{
		ID: j.ProblemID, Fingerprint: j.Fingerprint, Package: j.Report[hooks.FieldPackage],
		Executable: j.Report[hooks.FieldExecutablePath], Reports: 1, FirstSeen: j.CreatedAt, LastSeen: j.CreatedAt,
	}
}

// Cursor is where the list goes on behind p.
func (f ProblemFilter) Cursor(p Problem) string {
	switch f.Sort {
	case ByReports:
		return strconv.FormatInt(p.Reports, 10) + "/" + p.ID
	case ByFirstSeen:
		return strconv.FormatInt(p.FirstSeen.UnixMilli(), 10) + "/" + p.ID
	}
	return strconv.FormatInt(p.LastSeen.UnixMilli(), 10) + "/" + p.ID
}

// ProblemCursor takes a cursor apart: the value that the list is sorted by (a
// number, or milliseconds since 1970) and the id. It is not for "", the first
// page. errs.CodeBadInput.
func ProblemCursor(after string) (value int64, id string, err error) {
	number, id, ok := strings.Cut(after, "/")
	value, err = strconv.ParseInt(number, 10, 64)
	if !ok || err != nil {
		return 0, "", errs.New(errs.CodeBadInput, "cannot list problems from %q", after).At("after").
			WithHint("use the cursor of the page before, <number>/<id>")
	}
	return value, id, nil
}
