package enroll

import (
	"encoding/base64"
	"strings"
	"testing"

	"hookline/internal/errs"
)

func testLine() Line {
	return Line{
		Address: "127.0.0.1:7443", Deployment: "d-" + strings.Repeat("0a", 16),
		RootDigest: strings.Repeat("1b", 32), CADigest: strings.Repeat("2c", 32), SetupKey: NewSetupKey(),
	}
}

func TestLineRoundTrip(t *testing.T) {
	for _, address := range []string{"127.0.0.1:7443", "[::1]:1", "[fe80::1%eth0]:65535", "hookline.example.org:7443"} {
		want := testLine()
		want.Address = address
		got, err := ParseLine("  " + want.String() + "\n")
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", address, got, err)
		}
	}
}

func TestLineRefusals(t *testing.T) {
	good := testLine()
	with := func(change func(*Line)) string {
		l := good
		change(&l)
		return l.String()
	}
	raw := func(s string) string { return linePrefix + base64.RawURLEncoding.EncodeToString([]byte(s)) }
	json := string(good.canonical())
	for _, c := range []struct{ name, line, text string }{
		{"empty", "", "start with"},
		{"other text", "ssh-ed25519 AAAA", "start with"},
		{"older version", "hookline-enroll:v1:" + strings.TrimPrefix(good.String(), linePrefix), "version"},
		{"newer version", "hookline-enroll:v3:abc", "version"},
		{"too long", good.String() + strings.Repeat("A", maxLineLength), "longer"},
		{"cut", good.String()[:len(good.String())-7], "damaged"},
		{"padding", good.String() + "=", "damaged"},
		{"line break inside", good.String()[:60] + "\n" + good.String()[60:], "damaged"},
		{"unknown key", raw(json[:len(json)-1] + `,"x":1}`), "damaged"},
		{"doubled key", raw(`{"address":"a",` + json[1:]), "damaged"},
		{"other order or space", raw(strings.Replace(json, ":", ": ", 1)), "damaged"},
		{"trailing", raw(json + "{}"), "damaged"},
		{"no address", with(func(l *Line) { l.Address = "" }), "address"},
		{"no port", with(func(l *Line) { l.Address = "host" }), "address"},
		{"port 0", with(func(l *Line) { l.Address = "host:0" }), "port"},
		{"port name", with(func(l *Line) { l.Address = "host:https" }), "port"},
		{"odd host", with(func(l *Line) { l.Address = "ho/st:1" }), "character"},
		{"deployment", with(func(l *Line) { l.Deployment = "d-XYZ" }), "deployment"},
		{"root", with(func(l *Line) { l.RootDigest = strings.ToUpper(l.RootDigest) }), "root"},
		{"no root", with(func(l *Line) { l.RootDigest = "" }), "root"},
		{"a policy's digest instead", raw(strings.Replace(json, `"root":`, `"policy":`, 1)), "damaged"},
		{"ca", with(func(l *Line) { l.CADigest = l.CADigest[1:] }), "ca"},
		{"setup key", with(func(l *Line) { l.SetupKey = "secret" }), "setup_key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseLine(c.line)
			if !errs.Is(err, errs.CodeEnrollLine) || !strings.Contains(err.Error(), c.text) {
				t.Fatalf("got %v (%s), want %q", err, errs.CodeOf(err), c.text)
			}
			if strings.Contains(err.Error(), good.SetupKey) {
				t.Error("the error shows the setup key")
			}
		})
	}
}

// A line of before says what to do.
func TestOldLine(t *testing.T) {
	_, err := ParseLine("hookline-enroll:v1:" + strings.TrimPrefix(testLine().String(), linePrefix))
	if coded, ok := errs.As(err); !ok || !strings.Contains(coded.Hint, "print a new line") {
		t.Errorf("got %v", err)
	}
}

func FuzzParseLine(f *testing.F) {
	f.Add(testLine().String())
	f.Add("hookline-enroll:v2:e30")
	f.Add("hookline-enroll:v1:e30")
	f.Fuzz(func(t *testing.T, s string) {
		l, err := ParseLine(s)
		if err != nil {
			if !errs.Is(err, errs.CodeEnrollLine) {
				t.Fatalf("refused without its code: %v", err)
			}
			return
		}
		if l.String() != strings.TrimSpace(s) {
			t.Fatal("accepted a second form of a line")
		}
	})
}

func TestSetupKeys(t *testing.T) {
	a, b, c := NewSetupKey(), NewSetupKey(), NewSetupKey()
	k, err := ParseHashes([]byte("# laptops\n\n" + HashSetupKey(a) + "\r\n" + HashSetupKey(b)))
	if err != nil || k.Len() != 2 {
		t.Fatalf("%d, %v", k.Len(), err)
	}
	for key, want := range map[string]bool{a: true, b: true, c: false, "": false, HashSetupKey(a): false, a + " ": false} {
		if k.Match(key) != want {
			t.Errorf("Match(%q) is not %v", key, want)
		}
	}
	if (KeyHashes{}).Match(a) {
		t.Error("no hashes must match nothing")
	}
	for _, bad := range []string{a, HashSetupKey(a)[1:], strings.ToUpper(HashSetupKey(a)), HashSetupKey(a) + "\n" + HashSetupKey(a)} {
		if _, err := ParseHashes([]byte(bad)); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
	if _, err := ParseHashes(make([]byte, maxHashFileBytes+1)); !errs.Is(err, errs.CodeTooLarge) {
		t.Errorf("too large: %v", err)
	}
}
