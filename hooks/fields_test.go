package hooks_test

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hookline/hooks"
	"hookline/internal/errs"
)

func declared() []hooks.DeclaredField {
	return []hooks.DeclaredField{
		{Name: "Bool", Type: hooks.TypeBool, MaxBytes: 5},
		{Name: "Int", Type: hooks.TypeInt, MaxBytes: 17},
		{Name: "JSON", Type: hooks.TypeJSON, MaxBytes: 200},
		{Name: "Number", Type: hooks.TypeNumber, MaxBytes: 30},
		{Name: "Text", Type: hooks.TypeText, MaxBytes: 12},
	}
}

func TestParseFields(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		code     errs.Code
		field    string
	}{
		{"nothing", `{}`, "", ""},
		{"all", `{"Bool":true,"Int":-9007199254740991,"JSON":{"a":[1,"x",false]},"Number":0.5,"Text":"<é>"}`, "", ""},
		{"empty json", `{"JSON":[]}`, "", ""},
		{"depth 8", `{"JSON":[[[[[[[[1]]]]]]]]}`, "", ""},
		{"large number", `{"Number":1e+300}`, "", ""},

		{"empty", ``, errs.CodeBadInput, ""},
		{"null", `null`, errs.CodeBadInput, ""},
		{"list", `[]`, errs.CodeBadInput, ""},
		{"cut", `{"Int":1`, errs.CodeBadInput, ""},
		{"trailing", `{"Int":1}{}`, errs.CodeBadInput, ""},
		{"twice", `{"Int":1,"Int":2}`, errs.CodeBadInput, ""},
		{"space", `{"Int": 1}`, errs.CodeBadInput, ""},
		{"order", `{"Int":1,"Bool":true}`, errs.CodeBadInput, ""},
		{"escape", `{"Text":"\u0041"}`, errs.CodeBadInput, ""},
		{"half a surrogate", `{"Text":"\ud800"}`, errs.CodeBadInput, ""},
		{"not utf-8", "{\"Text\":\"\xff\"}", errs.CodeBadInput, ""},
		{"depth 9", `{"JSON":[[[[[[[[[1]]]]]]]]]}`, errs.CodeBadInput, ""},
		{"another spelling", `{"Number":1.0}`, errs.CodeBadInput, ""},
		{"minus zero", `{"Number":-0}`, errs.CodeBadInput, ""},
		{"exponent", `{"Int":1e2}`, errs.CodeBadInput, ""},

		{"undeclared", `{"Other":1}`, errs.CodeResultUndeclared, "Other"},
		{"another case", `{"int":1}`, errs.CodeResultUndeclared, "int"},
		{"null value", `{"Int":null}`, errs.CodeResultFieldType, "Int"},
		{"null inside", `{"JSON":[null]}`, errs.CodeResultFieldType, "JSON"},
		{"fraction", `{"Int":1.5}`, errs.CodeResultFieldType, "Int"},
		{"beyond 2^53", `{"Int":9007199254740992}`, errs.CodeResultFieldType, "Int"},
		{"text for int", `{"Int":"1"}`, errs.CodeResultFieldType, "Int"},
		{"int for text", `{"Text":1}`, errs.CodeResultFieldType, "Text"},
		{"int for bool", `{"Bool":0}`, errs.CodeResultFieldType, "Bool"},
		{"text for json", `{"JSON":"a"}`, errs.CodeResultFieldType, "JSON"},
		{"infinite", `{"Number":1e999}`, errs.CodeResultFieldType, "Number"},
		{"too big", `{"Text":"12345678901"}`, errs.CodeResultTooBig, "Text"},
		{"too big at all", `{"Text":"` + strings.Repeat("x", hooks.MaxResultBytes) + `"}`, errs.CodeResultTooBig, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := hooks.ParseFields([]byte(tc.in), declared())
			if tc.code != "" {
				wantCode(t, err, tc.code)
				if e, ok := errs.As(err); !ok || e.Field != tc.field {
					t.Errorf("got %v, want field %q", err, tc.field)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if b, err := f.Canonical(); err != nil || string(b) != tc.in {
				t.Errorf("encoded again %s, %v", b, err)
			}
		})
	}
}

func TestFieldsCanonical(t *testing.T) {
	f := hooks.Fields{
		"B": json.Number("1.50e1"), "A": int64(7), "C": 2.0, "D": []any{3, "x", map[string]any{"z": math.Copysign(0, -1), "a": true}},
	}
	b, err := f.Canonical()
	if want := `{"A":7,"B":15,"C":2,"D":[3,"x",{"a":true,"z":0}]}`; err != nil || string(b) != want {
		t.Errorf("got %s, %v; want %s", b, err, want)
	}
	if b, err := hooks.Fields(nil).Canonical(); err != nil || string(b) != "{}" {
		t.Errorf("no fields: %s, %v", b, err)
	}
	cyclic := map[string]any{}
	cyclic["self"] = cyclic
	for name, v := range map[string]any{
		"nan": math.NaN(), "inf": math.Inf(1), "nil": nil, "struct": struct{}{}, "bytes": []byte("x"), "utf-8": "\xff", "key": map[string]any{"\xff": 1},
		"cyclic": cyclic, "words": json.Number("NaN"), "hex": json.Number("0x1p4"), "big": int64(math.MaxInt64), "no number": json.Number(""),
	} {
		_, err := hooks.Fields{"X": v}.Canonical()
		if errs.CodeOf(err) != errs.CodeResultFieldType {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = hooks.Fields{"no name": 1}.Canonical()
	wantCode(t, err, errs.CodeResultUndeclared)
	_, err = hooks.Fields{"X": strings.Repeat("x", hooks.MaxResultBytes)}.Canonical()
	wantCode(t, err, errs.CodeResultTooBig)
}

func TestCheckNew(t *testing.T) {
	p := hooks.Predicate{Fields: declared(), MaxResultBytes: 40}
	original := hooks.Report{"Signal": "6", "Bool": "taken"}
	for _, tc := range []struct {
		name string
		f    hooks.Fields
		code errs.Code
	}{
		{"new", hooks.Fields{"Int": 1, "Text": "abc"}, ""},
		{"nothing", hooks.Fields{}, ""},
		{"exists", hooks.Fields{"Bool": true}, errs.CodeResultFieldExists},
		{"undeclared and existing", hooks.Fields{"Signal": "9"}, errs.CodeResultUndeclared},
		{"type", hooks.Fields{"Int": "1"}, errs.CodeResultFieldType},
		{"field too big", hooks.Fields{"Text": "a long text"}, errs.CodeResultTooBig},
		{"result too big", hooks.Fields{"Text": "abc", "JSON": []any{"0123456789", "0123456789"}}, errs.CodeResultTooBig},
	} {
		if got := errs.CodeOf(hooks.CheckNew(tc.f, p, original)); got != tc.code {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.code)
		}
	}
}

func FuzzParseFields(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"Bool":true,"Int":-9,"JSON":{"a":[1,"x",false]},"Number":1e-7,"Text":"<é>"}`, `{"JSON":[[[[[[[[1]]]]]]]]}`,
		`{"Number":1e21}`, `{"Number":123456789012345678901234567890}`, `{"Text":"\u2028"}`, `{"JSON":{"":{}}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := hooks.ParseFields(b, declared())
		if err != nil {
			if errs.CodeOf(err) == errs.CodeInternal {
				t.Errorf("uncoded error: %v", err)
			}
			return
		}
		again, err := got.Canonical()
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("accepted %q, encodes %q, %v", b, again, err)
		}
		twice, err := hooks.ParseFields(again, declared())
		if err != nil || !cmp.Equal(got, twice) {
			t.Errorf("read again: %v, %v", twice, err)
		}
	})
}
