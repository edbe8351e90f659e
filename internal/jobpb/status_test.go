package jobpb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"hookline/internal/errs"
)

func TestEveryCodeSurvives(t *testing.T) {
	for _, info := range errs.Table() {
		if info.Code == errs.CodeInternal {
			continue
		}
		sent := errs.Wrap(info.Code, errors.New("cause"), "cannot do it").At("a.b").WithHint("do that")
		got, ok := errs.As(FromStatus(Status(fmt.Errorf("outer: %w", sent))))
		if !ok || got.Code != info.Code || got.Field != "a.b" || got.Hint != "do that" || got.Message != "cannot do it: cause" {
			t.Errorf("%s came back as %+v", info.Code, got)
		}
	}
}

func TestUncodedErrorsStayInside(t *testing.T) {
	for _, err := range []error{errors.New("secret path"), errs.New(errs.CodeInternal, "secret path")} {
		got := Status(err)
		if strings.Contains(got.Error(), "secret") || status.Code(got) != codes.Internal {
			t.Errorf("%v leaked as %v", err, got)
		}
		if Final(got) {
			t.Error("an internal error must be tried again")
		}
	}
	if Status(nil) != nil || FromStatus(nil) != nil {
		t.Error("nil is not an error")
	}
}

func TestFinal(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{Status(errs.New(errs.CodeBadReport, "x")), true},
		{Status(errs.New(errs.CodeJobDecided, "x")), true},
		{Status(errs.New(errs.CodeResultTooBig, "x")), true},
		{Status(errs.New(errs.CodeNotFound, "x")), true},
		{Status(errs.New(errs.CodeNotEnrolled, "x")), false},
		{Status(errs.New(errs.CodeStorageFull, "x")), false},
		{Status(errs.New(errs.CodeRateLimited, "x")), false},
		{Status(errs.New(errs.CodeUnauthenticated, "x")), false},
		{status.Error(codes.Unimplemented, "x"), false},
		{status.Error(codes.Unavailable, "x"), false},
		{context.DeadlineExceeded, false},
		{context.Canceled, false},
		{errors.New("anything"), false},
	} {
		if got := Final(c.err); got != c.want {
			t.Errorf("Final(%v) = %v", c.err, got)
		}
	}
}

func TestHostileStatus(t *testing.T) {
	st, err := status.New(codes.InvalidArgument, strings.Repeat("é\x1b[31m", 400)).WithDetails(
		&errdetails.ErrorInfo{Reason: "NOT A CODE", Domain: "hookline"},
		&errdetails.ErrorInfo{Reason: "bad-report", Domain: "elsewhere"},
		&errdetails.ErrorInfo{Reason: "x-new-code", Domain: "hookline", Metadata: map[string]string{"hint": "\x07" + strings.Repeat("h", 9999)}},
	)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := errs.As(FromStatus(st.Err()))
	if got.Code != "x-new-code" || len(got.Message) > maxMessageBytes || len(got.Hint) > maxHintBytes {
		t.Errorf("got %s, %d, %d", got.Code, len(got.Message), len(got.Hint))
	}
	if strings.ContainsRune(got.Message+got.Hint, '\x1b') || strings.ContainsRune(got.Hint, '\x07') {
		t.Error("control characters came through")
	}
}

func FuzzFromStatus(f *testing.F) {
	seed, err := proto.Marshal(status.Convert(Status(errs.New(errs.CodeConflict, "x").At("f").WithHint("h"))).Proto())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		var p spb.Status
		if proto.Unmarshal(in, &p) != nil {
			return
		}
		got, ok := errs.As(FromStatus(status.ErrorProto(&p)))
		if !ok {
			if codes.Code(p.GetCode()) != codes.OK { //nolint:gosec // a test's own number
				t.Fatal("an error without a code")
			}
			return
		}
		for _, s := range []string{got.Message, got.Field, got.Hint, string(got.Code)} {
			if len(s) > 1000 || !utf8.ValidString(s) || strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) && r != utf8.RuneError }) >= 0 {
				t.Fatalf("not clean: %q", s)
			}
		}
		if !IsCode(string(got.Code)) {
			t.Fatalf("not a code: %q", got.Code)
		}
	})
}
