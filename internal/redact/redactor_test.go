package redact_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"hookline/internal/redact"
)

// All forms of one value have one token, in all texts of a run.
func TestOneValueOneToken(t *testing.T) {
	for _, tc := range []struct{ token, one, other string }{
		{"<ip-1>", "10.0.0.1", "a 10.0.0.1:80 and 10.0.0.1/8"},
		{"<ip-1>", "010.000.000.001", "10.0.0.1"},
		{"<ip-1>", "10.0.0.1", "::ffff:10.0.0.1"},
		{"<ip-1>", "10.0.0.1", "ip-10-0-0-1.ec2.internal"},
		{"<ip-1>", "10.1.2.3", "3.2.1.10.in-addr.arpa"},
		{"<ip-1>", "2001:db8::1", "[2001:DB8:0:0:0:0:0:1]:443"},
		{"<ip-1>", "fe80::1%eth0", "fe80::1%25wlan0"},
		{"<ip-1>", "2001:db8::1", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"},
		{"<mac-1>", "52:54:00:AB:cd:ef", "52-54-00-ab-cd-ef"},
		{"<mac-1>", "52:54:00:ab:cd:ef", "enx525400abcdef"},
		{"<email-1>", "Bob@Example.org", "bob%40example.ORG"},
		{"<home-1>", "/home/bob/x", `C:\Users\Bob\x`},
		{"<home-1>", "/var/home/bob", "%2Fhome%2Fbob"},
		{"<home-1>", "/home/bob", "~bob/x"},
		{"<host-1>", "WEB1", "web1.example.com"},
		{"<host-1>", "db2.example.com", "DB2.Example.Com"},
		{"<host-1>", "web1", "hostname=web1.example.com"},
		{"<user-1>", "Alice", "alice"},
		{"<user-1>", "alice", "ruser=ALICE"},
		{"<user-1>", "alice", "/run/media/alice/x"},
		{"<id-1>", "Serial Number: AB12345", "serial_number=ab12345"},
	} {
		r := redact.New(names())
		for _, text := range []string{tc.one, tc.other} {
			if got := r.Text(text); !strings.Contains(got, tc.token) || strings.Contains(got, "-2>") {
				t.Errorf("%q and %q: %q became %q", tc.one, tc.other, text, got)
			}
		}
	}
}

func TestOtherValueOtherToken(t *testing.T) {
	r := redact.New(names())
	got := r.Text("10.0.0.1 10.0.0.2 fe80::1 a@b.example 10.0.0.2 c@b.example web1 db2.example.com")
	want := "<ip-1> <ip-2> <ip-3> <email-1> <ip-2> <email-2> <host-1> <host-2>"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if again := redact.New(names()).Text("10.0.0.2"); again != "<ip-1>" {
		t.Errorf("another run knows the number: %q", again)
	}
}

// One number for two secrets would tell that they are the same.
func TestSecretsHaveNoNumber(t *testing.T) {
	got := redact.Text("password=a1 passwd=a1 password=b2 token=abcdefgh12 api_key=abcdefgh12", names())
	want := "password=<password> passwd=<password> password=<password> token=<token> api_key=<key>"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// A number that a text brought along is not given to another value, and a
// token of the machine's own making stays.
func TestTokensOfTheTextStay(t *testing.T) {
	r := redact.New(names())
	if got, want := r.Text("10.0.0.1 was <ip-2> <ip-1>"), "<ip-3> was <ip-2> <ip-1>"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := r.Text("10.0.0.9"), "<ip-4>"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, s := range []string{
		"<ip-1>", "<ip>", "<mac-10000> <email-3><home-1>", "<id-9>", "<key> <token> <password>",
		"<ip-0>", "<ip-01>", "<ip-10001>", "<key-1>", "<ip-", "<ip-1", "<ip-99999999999999999999>", "<<ip-1>>",
	} {
		if got := redact.Text(s, names()); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
}

// What one Redactor remembers is bounded: later values have no number, and
// those that it knows keep theirs.
func TestRemembersSoMany(t *testing.T) {
	r := redact.New(redact.Names{})
	const most = 10_000
	address := func(n int) string { return fmt.Sprintf("10.%d.%d.7", n/200, n%200) }
	for n := range most {
		if got, want := r.Text(address(n)), "<ip-"+strconv.Itoa(n+1)+">"; got != want {
			t.Fatalf("address %d became %q", n, got)
		}
	}
	if got := r.Text(address(most) + " a@b.example " + address(41)); got != "<ip> <email> <ip-42>" {
		t.Errorf("got %q", got)
	}
}

// The lines of a block go also where each is a text of its own, as in a list.
func TestPEMByLine(t *testing.T) {
	r := redact.New(names())
	for _, tc := range []struct{ in, want string }{
		{"key:", "key:"},
		{"-----BEGIN RSA PRIVATE KEY-----", "<key>"},
		{"Proc-Type: 4,ENCRYPTED", "Proc-Type: 4,ENCRYPTED"},
		{"", ""},
		{"MIIEpAIBAAKCAQEAx4f", "<key>"},
		{"q83hN0Zr==", "<key>"},
		{"-----END RSA PRIVATE KEY-----", "<key>"},
		{"q83hN0Zr", "q83hN0Zr"},
		{"-----BEGIN X-----\nMIIE", "<key>"},
		{"q83hN0Zr", "<key>"},
		{"no more of it", "no more of it"},
		{"q83hN0Zr", "q83hN0Zr"},
		{"-----BEGIN X-----\nMIIE\n-----END X-----", "<key>"},
		{"q83hN0Zr", "q83hN0Zr"},
		{"-----BEGIN X-----\nMIIE\nno more of it", "<key>\nno more of it"},
		{"q83hN0Zr", "q83hN0Zr"},
	} {
		if got := r.Text(tc.in); got != tc.want {
			t.Errorf("%q became %q, want %q", tc.in, got, tc.want)
		}
	}
}

// A text that takes all numbers leaves none, and does no other harm.
func TestAllNumbersTaken(t *testing.T) {
	r := redact.New(redact.Names{})
	var b strings.Builder
	for n := range 10_000 {
		fmt.Fprintf(&b, "<ip-%d>", n+1)
	}
	r.Text(b.String())
	if got := r.Text("10.0.0.1 10.0.0.2 52:54:00:ab:cd:ef"); got != "<ip> <ip> <mac-1>" {
		t.Errorf("got %q", got)
	}
}

// chars that values of the templates are made of.
const (
	alnum = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	lower = "bcdfghjklmnpqrstvwxyz"
	hex   = "0123456789abcdef"
	marks = alnum + "!#$%*+-./:?@^_~"
)

// templates hold one value ("%s") in the text that tells of it, and what the
// value is made of.
var templates = []struct{ text, chars, prefix, suffix string }{
	{"x %s y", alnum, "gh" + "p_", strings.Repeat("a", 20)},
	{"x %s y", alnum, "gl" + "pat-", strings.Repeat("b", 20)},
	{"x %s.", alnum, "sk" + "-1", strings.Repeat("c", 20)},
	{"x=%s", alnum, "xo" + "xb-", strings.Repeat("1", 10)},
	{"jwt %s", alnum, "eyJ", "A.eyJzdWIiOiIxMjM0In0.c2ln"},
	{"%s", alnum, "hk" + "l_", strings.Repeat("A1", 20)},
	{"Authorization: Bearer %s\nnext", alnum, "", "q"},
	{"Cookie: a=%s; b=c\nnext", marks, "", "q"},
	{"password=%s", marks, "q", "q"},
	{"password=%s next", marks, "q", "q"},
	{`{"password": "%s", "x": 1}`, marks, "q", "q"},
	{`{\"passwd\": \"%s\"}`, marks, "q", "q"},
	{"tool --password %s --x", marks, "q", "q"},
	{"DB_PASSWORD='%s'", marks, "q", "q"},
	{"<password>%s</password>", marks, "q", "q"},
	{"postgres://app:%s@db.example/x", alnum + "!#$%*+-.:?^_~", "q", "q"},
	{"api_key: %s", alnum, "", "qwerty"},
	{"-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----", alnum, "", ""},
	{"-----BEGIN PRIVATE KEY-----\n%s", alnum, "", ""},
	{"to %s, y", lower, "", "@example.org"},
	{"<%s>", lower, "", "@mail.example.org"},
	{"?x=%s&y", lower, "", "%%40example.org"},
	{"/home/%s/x", lower, "", ""},
	{`C:\Users\%s\x`, lower, "", ""},
	{"Invalid user %s from 10.0.0.1", lower, "", ""},
	{"HOSTNAME=%s", lower, "", ""},
	{"hello %s.example.com.", lower, "", ""},
	{"Serial Number: %s", alnum, "q", "12"},
	{"machine-id: %s", hex, "", "0123456789abcdef"},
}

// gone reports what of the value text still tells: the value is in the middle
// of one between fillers, so that a part of it counts too.
func checkGone(t *testing.T, text, value string) {
	t.Helper()
	got := redact.Text(text, names())
	if strings.Contains(strings.ToLower(got), strings.ToLower(value)) {
		t.Errorf("%q is left:\n in %q\nout %q", value, text, got)
	}
}

// Values of every kind do not survive, whatever they are made of.
func TestValuesDoNotSurvive(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 7))
	pick := func(chars string, n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = chars[rnd.IntN(len(chars))]
		}
		return string(b)
	}
	for _, tpl := range templates {
		for range 300 {
			value := pick(tpl.chars, 8+rnd.IntN(20))
			checkGone(t, strings.Replace(tpl.text, "%s", tpl.prefix+value+strings.ReplaceAll(tpl.suffix, "%%", "%"), 1), value)
		}
	}
	for range 2000 {
		four := fmt.Sprintf("%d.%d.%d.%d", 1+rnd.IntN(126), rnd.IntN(256), rnd.IntN(256), rnd.IntN(256))
		checkGone(t, "from "+four+":80 to", four)
		checkGone(t, "ip-"+strings.ReplaceAll(four, ".", "-")+".internal", strings.ReplaceAll(four, ".", "-"))
		checkGone(t, "peer [::ffff:"+four+"]:80", four)
		var six []string
		for range 8 {
			six = append(six, strconv.FormatInt(1+rnd.Int64N(65535), 16))
		}
		checkGone(t, "addr: "+strings.Join(six, ":")+" up", strings.Join(six, ":"))
		checkGone(t, "["+strings.Join(six[:4], ":")+"::]:53", strings.Join(six[:4], ":"))
		var mac []string
		for range 6 {
			mac = append(mac, pick(hex, 2))
		}
		checkGone(t, "link "+strings.Join(mac, ":")+" up", strings.Join(mac, ":"))
		checkGone(t, "link "+strings.Join(mac, "-"), strings.Join(mac, "-"))
	}
}

// FuzzSecret puts a value into every template. The value is what a secret
// can be: without spaces and quotes, which end it, and not a word that says
// that there is none.
func FuzzSecret(f *testing.F) {
	f.Add("hunter2!x", uint8(8))
	f.Add("a:b@c/d~e", uint8(9))
	f.Add("0123456789", uint8(0))
	f.Fuzz(func(t *testing.T, value string, n uint8) {
		tpl := templates[int(n)%len(templates)]
		if len(value) < 4 || len(value) > 100 || strings.ContainsFunc(value, func(c rune) bool { return c > '~' || !strings.ContainsRune(tpl.chars, c) }) {
			t.Skip("no value of this template")
		}
		checkGone(t, strings.Replace(tpl.text, "%s", tpl.prefix+value+strings.ReplaceAll(tpl.suffix, "%%", "%"), 1), value)
	})
}

// FuzzRedactor holds what Text promises to two texts of one run.
func FuzzRedactor(f *testing.F) {
	for _, s := range corpus(f) {
		f.Add(s.text, "10.0.0.1 "+s.part, "web1.example.com", "alice")
	}
	f.Fuzz(func(t *testing.T, one, two, h, u string) {
		n := redact.Names{Hosts: []string{h}, Users: []string{u}}
		r := redact.New(n)
		for _, in := range []string{one, two} {
			p := [2]string{in, r.Text(in)}
			if !utf8.ValidString(p[1]) {
				t.Fatalf("not UTF-8: %q", p[1])
			}
			if len(p[1]) > 6*len(p[0]) {
				t.Fatalf("%d bytes became %d", len(p[0]), len(p[1]))
			}
			r.Text("no block goes on") // as one text after another might
			if again := r.Text(p[1]); again != p[1] {
				t.Fatalf("not idempotent with the same Redactor:\n in %q\none %q\ntwo %q", p[0], p[1], again)
			}
			if again := redact.Text(p[1], n); again != p[1] {
				t.Fatalf("not idempotent:\n in %q\none %q\ntwo %q", p[0], p[1], again)
			}
		}
		second := r.Text(two)
		if strings.Contains(one+two, "-") || strings.Contains(second, "<") {
			return // it may hold a token, whose number nothing else gets, or a name that was learned late
		}
		if again := r.Text(two); again != second {
			t.Fatalf("the same text, another result:\n in %q\none %q\ntwo %q", two, second, again)
		}
	})
}

// triggers are what makes a rule look closer, over and over.
var triggers = []string{
	"@", "a@", "a@a.", "%40", "a%40", `"@`, `"a`, ":", "::", "1:", "aa:", "aa-", "aa_", "1.", "1.1.1.1", "0.0.0.0.", "-1-", "ip-1-1-1-1",
	"fe80::1%a", "/home/", "/home/a", "home", `\Users\`, "%2Fhome", "~a", "~a/", "/var/mail/", "=", "a=", "password", "password=", "password=&", "password=a&b",
	"password=\"", "password=\\\"", "pass word: ", "--", "--password ", "--password a ", "://", "://a", "a://a:b@", "@tcp(", "a:b@tcp(", "-----", "-----BEGIN ",
	"-----BEGIN A-----\n", "-----END ", "-----BEGIN a-----\nAAAA", "AAAA\n-----END a-----", "</", "</password>", "<password>", "a</password>", "<ip-1>", "<", "eyJ", "eyJ.", "ghp_", "sk-",
	"Bearer ", "Cookie: ", "Cookie: a=", "Authorization: ", "Authorization: Bearer ", "web1", "web1 ", "web1.example.com", ".example.com", "a.example.com", "alice@", "alice ",
	"for user ", "for user ab from ", "AAAAB3NzaC1", "hostname: ", "hostname=", "hostname=a", "key=", "key: a", "serial=", "id_serial=", "machine_id=", "token=", "token=\"", "cookie=", "set-cookie: ", "hkl_", "xoxb-", "USER=", "pwd=/", "secret=0x", "api_key=/", ".ip6.arpa", "1.ip6.arpa", "1.1.1.1.in-addr.arpa", "\xff", "é", "a ", "$6$", "]\"'=", "login a password b ", "machine password ", "a:5432:b:c:d ", "a:5432:b:c:", "AUTH PLAIN ", "AUTH PLAIN aaaaaaaa ", "token ", "token abcdef.0123456789abcdef ",
	"uid=1000(", "uid=1000(carol)", "user=carol ", "oracle:thin:", "oracle:thin:a/b@", "@oracle:thin:", "oracle:thin:a/@ ", "@\noracle:thin:a/", "@://a;b=", "://;a=b", "@ ;password=", "password aaaa ", "login a password \"", "1:5432:a:b", "a:5432:b:c:<nil>", "://a;b=", ";password=a", ";password=a;", "1.1.1.1.1.1.", "A/1.1.0.0", "Abc/1.1.1.1 ", ":::1", "::1:1 ", "LS0tLS1CRUdJTiB", "password=<nil>", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ ",
}

// BenchmarkHostile is 1 MiB of each; the slowest tells whether a loop got quadratic.
func BenchmarkHostile(b *testing.B) {
	for _, trigger := range triggers {
		s := strings.Repeat(trigger, 1<<20/len(trigger))
		b.Run(strconv.Quote(trigger), func(b *testing.B) {
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				redact.Text(s, names())
			}
		})
	}
}

// Nothing that a text repeats makes it longer than promised, or changes the
// second time. (BenchmarkHostile has the same texts, longer.)
func TestHostileRepeats(t *testing.T) {
	for _, trigger := range triggers {
		s := strings.Repeat(trigger, 1<<13/len(trigger))
		once := redact.Text(s, names())
		if len(once) > 6*len(s) || !utf8.ValidString(once) {
			t.Errorf("%q: %d bytes became %d", trigger, len(s), len(once))
		}
		if again := redact.Text(once, names()); again != once {
			t.Errorf("%q changes the second time", trigger)
		}
	}
}
