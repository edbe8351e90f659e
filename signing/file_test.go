package signing_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/signing"
)

func TestFileRoundTrip(t *testing.T) {
	k := newTeam(t)
	st := k.statement(t, nil)
	file := sign(t, st, k.bob)[0]
	f, err := signing.ParseFile(file)
	if err != nil || f.Hint != k.bob.Public().ID || !bytes.Equal(f.Payload, st) {
		t.Fatalf("%+v %v", f, err)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, file, "", "  "); err != nil {
		t.Fatal(err)
	}
	if _, err := signing.ParseFile(append(pretty.Bytes(), '\n')); err != nil {
		t.Errorf("white space: %v", err)
	}
}

func TestPAE(t *testing.T) {
	if got, want := string(signing.PAE([]byte("hello"))), "DSSEv1 28 application/vnd.in-toto+json 5 hello"; got != want {
		t.Errorf("PAE %q, want %q", got, want)
	}
}

func TestFileRefusals(t *testing.T) {
	k := newTeam(t)
	good := string(sign(t, k.statement(t, nil), k.bob)[0])
	replace := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the file does not hold %q", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	sigs := good[strings.Index(good, `"signatures":[`)+len(`"signatures":[`) : strings.LastIndex(good, "]")]
	hint := base64.StdEncoding.EncodeToString(idBytes(t, k.bob.Public().ID))
	for name, file := range map[string]string{
		"empty":              "",
		"null":               "null",
		"list":               "[" + good + "]",
		"trailing data":      good + "{}",
		"bundle v0.2":        replace("v0.3+json", "v0.2+json"),
		"no hint":            replace(`"hint":"`+hint+`"`, ""),
		"short hint":         replace(hint, "AAAA"),
		"a certificate":      replace(`"publicKey"`, `"certificate"`),
		"unknown key":        replace(`{"mediaType"`, `{"extra":1,"mediaType"`),
		"duplicate key":      replace(`{"mediaType"`, `{"mediaType":"x","mediaType"`),
		"case variant":       replace(`"mediaType"`, `"MediaType"`),
		"escaped key":        replace(`"mediaType"`, `"\u006dediaType"`),
		"a key id":           replace(`{"sig"`, `{"keyid":"bob","sig"`),
		"two signatures":     replace(sigs, sigs+","+sigs),
		"no signature":       replace(sigs, ""),
		"empty signature":    replace(sigs, `{"sig":""}`),
		"huge signature":     replace(sigs, `{"sig":"`+strings.Repeat("AAAA", 100)+`"}`),
		"signatures null":    replace("["+sigs+"]", "null"),
		"payload type":       replace(hooks.PayloadType, "text/plain"),
		"empty payload":      replace(`"payload":"`, `"payload":"","p":"`),
		"URL base64":         replace(hint, strings.NewReplacer("+", "-", "/", "_", "=", "_").Replace(hint)),
		"base64 line break":  replace(hint, hint[:8]+`\n`+hint[8:]),
		"base64 spare bits":  replace(hint, strings.TrimRight(hint, "=")[:42]+"//"[:1]+"="),
		"invalid UTF-8":      replace("application/vnd.dev", "application/\xff.dev"),
		"too long":           good + strings.Repeat(" ", signing.MaxSignatureFileBytes),
		"deep":               strings.Repeat("[", 60000),
		"timestamps as well": replace(`"verificationMaterial":{`, `"verificationMaterial":{"tlogEntries":[],`),
	} {
		if _, err := signing.ParseFile([]byte(file)); !errs.Is(err, errs.CodeSignatureMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func idBytes(t *testing.T, id signing.KeyID) []byte {
	t.Helper()
	var b []byte
	for i := 0; i < len(id); i += 2 {
		b = append(b, unhex(id[i])<<4|unhex(id[i+1]))
	}
	return b
}

func unhex(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}

func TestEncodeFileRefusesWhatNobodyReads(t *testing.T) {
	key := newSigner(t, "erin").Public()
	for _, tt := range []struct{ statement, sig []byte }{
		{nil, []byte("x")},
		{[]byte("x"), nil},
		{make([]byte, hooks.MaxStatementBytes+1), []byte("x")},
	} {
		if _, err := signing.EncodeFile(tt.statement, tt.sig, key); !errs.Is(err, errs.CodeSignatureMalformed) {
			t.Errorf("%d bytes: %v", len(tt.statement), err)
		}
	}
}
