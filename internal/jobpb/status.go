package jobpb

import (
	"context"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"hookline/internal/errs"
)

// The code of a refusal travels as a google.rpc.ErrorInfo: its reason is the
// errs code, its metadata the field and the hint.
const (
	statusDomain = "hookline"
	metaField    = "field"
	metaHint     = "hint"

	maxMessageBytes = 500
	maxHintBytes    = 500
	maxFieldBytes   = 200
	maxCodeLength   = 64
)

// Status is what a server answers for an error: a coded one as it is, any
// other as "internal error" (its text belongs into the server's log only).
func Status(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errs.As(err); ok && e.Code != errs.CodeInternal {
		return coded(e)
	}
	switch {
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, "cancelled")
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "too late")
	}
	if st, ok := status.FromError(err); ok {
		return st.Err()
	}
	return status.Error(codes.Internal, "internal error")
}

func coded(e *errs.Error) error {
	text := e.Message
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	st := status.New(grpcCode(e.Kind()), Printable(text, maxMessageBytes))
	with, err := st.WithDetails(&errdetails.ErrorInfo{
		Reason: string(e.Code), Domain: statusDomain,
		Metadata: map[string]string{
			metaField: Printable(e.Field, maxFieldBytes),
			metaHint:  Printable(e.Hint, maxHintBytes),
		},
	})
	if err != nil { // cannot happen for a valid message; the status alone still says enough
		return st.Err()
	}
	return with.Err()
}

func grpcCode(k errs.Kind) codes.Code {
	switch k {
	case errs.Invalid:
		return codes.InvalidArgument
	case errs.Unauthenticated:
		return codes.Unauthenticated
	case errs.Forbidden:
		return codes.PermissionDenied
	case errs.NotFound:
		return codes.NotFound
	case errs.Conflict:
		return codes.FailedPrecondition
	case errs.TooLarge:
		return codes.OutOfRange
	case errs.TooMany:
		return codes.ResourceExhausted
	case errs.Unavailable:
		return codes.Unavailable
	}
	return codes.Internal
}

// FromStatus turns what a call returned into a coded error again. The other
// side is not trusted: text is cut and made printable, and a code that is not
// one counts as absent.
func FromStatus(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errs.As(err); ok {
		return err
	}
	st, ok := status.FromError(err)
	if !ok {
		st = status.FromContextError(err)
	}
	text := Printable(st.Message(), maxMessageBytes)
	for _, d := range st.Details() {
		info, ok := d.(*errdetails.ErrorInfo)
		if !ok || info.GetDomain() != statusDomain || !IsCode(info.GetReason()) {
			continue
		}
		return errs.New(errs.Code(info.GetReason()), "%s", text).
			At(Printable(info.GetMetadata()[metaField], maxFieldBytes)).
			WithHint("%s", Printable(info.GetMetadata()[metaHint], maxHintBytes))
	}
	return errs.New(codeOf(st.Code()), "the server answered %s: %s", st.Code(), text)
}

func codeOf(c codes.Code) errs.Code {
	switch c {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Aborted:
		return errs.CodeUnavailable
	case codes.ResourceExhausted:
		return errs.CodeRateLimited
	case codes.Unauthenticated:
		return errs.CodeUnauthenticated
	case codes.PermissionDenied:
		return errs.CodeForbidden
	case codes.NotFound:
		return errs.CodeNotFound
	case codes.InvalidArgument, codes.OutOfRange:
		return errs.CodeBadInput
	case codes.FailedPrecondition, codes.AlreadyExists:
		return errs.CodeConflict
	case codes.Unimplemented:
		return errs.CodeProtocolUnsupported
	}
	return errs.CodeInternal
}

// Final reports whether asking again can not help: the server understood the
// call and refused it. Trouble with the connection, the server's health, its
// load or this peer's enrolment is not final. It wants the error as the call
// returned it.
func Final(err error) bool {
	switch errs.CodeOf(FromStatus(err)) {
	case errs.CodeNotEnrolled, errs.CodeProtocolUnsupported:
		return false
	}
	switch status.Code(err) {
	case codes.InvalidArgument, codes.PermissionDenied, codes.NotFound,
		codes.FailedPrecondition, codes.AlreadyExists, codes.OutOfRange:
		return true
	}
	return false
}

// Unimplemented reports whether the server does not have the called method.
func Unimplemented(err error) bool { return status.Code(err) == codes.Unimplemented }

// IsCode reports whether s has the form of an errs code; it need not be a
// known one, since the other side may be newer.
func IsCode(s string) bool {
	if s == "" || len(s) > maxCodeLength || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool {
		return r != '-' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}) < 0
}

// Printable makes text of the other side safe to log and show: UTF-8, one
// line, no control or invisible characters, at most limit bytes.
func Printable(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit] // first, so that the work is bounded too
		for len(s) > 0 && !utf8.RuneStart(s[len(s)-1]) {
			s = s[:len(s)-1]
		}
		if r, n := utf8.DecodeLastRuneInString(s); r == utf8.RuneError && n == 1 {
			s = s[:len(s)-1]
		}
	}
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
