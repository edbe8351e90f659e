package redact_test

import (
	"fmt"
	"strings"
	"testing"

	"hookline/internal/redact"
)

// A name that one text told goes where it stands alone, there and in texts after it.
func TestLearnsNames(t *testing.T) {
	for _, teacher := range []string{
		"/home/carol/x", "~carol/x", `C:\Users\Carol\x`, "/var/mail/carol", "scp carol@10.0.0.7:x .", "user=carol", "USER=carol", "uid=1000(carol)",
		`{"user":"carol"}`, `{"username": "Carol"}`, `{"login":"carol"}`, `{"owner":"carol"}`, "session opened for user carol(uid=1000)",
	} {
		r := redact.New(names())
		before := "carol: carol_x xcarol"
		if got := r.Text(before); got != before {
			t.Fatalf("a name that nothing tells became %q", got)
		}
		got := r.Text("carol " + teacher + " carol")
		if !strings.HasPrefix(got, "<user-1> ") || !strings.HasSuffix(got, " <user-1>") {
			t.Errorf("in the text of %q: %q", teacher, got)
		}
		if got, want := r.Text("sudo: carol : Carol's xcarol /srv/carol"), "sudo: <user-1> : <user-1>'s xcarol /srv/<user-1>"; got != want {
			t.Errorf("behind %q: got %q, want %q", teacher, got, want)
		}
		if got := redact.Text(before, names()); got != before {
			t.Errorf("another Redactor knows the name: %q", got)
		}
	}
}

// Words that a diagnosis needs are not learned, whatever a text says of them.
func TestLearnsNoWords(t *testing.T) {
	for _, tc := range []struct{ teacher, after string }{
		{"/home/ubuntu/x", "ubuntu 24.04"},
		{"/home/ab/x", "ab"},
		{"/home/unknown/x", "unknown"},
		{"Invalid user oracle from 10.0.0.1", "oracle"},
		{"Invalid user backups from 10.0.0.1", "backups"},
		{"GET https://x.example/home/welcome", "welcome"},
		{"postgres://orders:pw@db.example/x", "orders"},
		{"user=failed", "failed"},
		{"uid=997(chronyd)", "chronyd"},
		{"/home/" + strings.Repeat("a", 33), strings.Repeat("a", 33)},
	} {
		r := redact.New(names())
		r.Text(tc.teacher)
		if got := r.Text(tc.after); got != tc.after {
			t.Errorf("behind %q, %q became %q", tc.teacher, tc.after, got)
		}
	}
}

// A hostile text cannot make a Redactor learn without end.
func TestLearnsSoMany(t *testing.T) {
	r := redact.New(redact.Names{})
	const most = 64
	for n := range most + 1 {
		r.Text(fmt.Sprintf("/home/person%d/x", n))
	}
	if got, last := r.Text(fmt.Sprintf("person0 person%d person%d", most-1, most)), fmt.Sprint(" person", most); strings.Contains(got, "person0") || !strings.HasSuffix(got, last) {
		t.Errorf("got %q", got)
	}
}

// What was learned changes a text once: its result stays as it is.
func TestLearnedTwice(t *testing.T) {
	r := redact.New(names())
	once := r.Text("carol@x dave carol: USER=dave /home/carol dave@10.0.0.1 carol password=<nil>")
	if strings.Contains(once, "carol") || strings.Contains(once, "dave") {
		t.Errorf("got %q", once)
	}
	if again := r.Text(once); again != once {
		t.Errorf("the same Redactor makes %q of %q", again, once)
	}
	if again := redact.Text(once, names()); again != once {
		t.Errorf("another Redactor makes %q of %q", again, once)
	}
}

// A part in which nothing was found is searched again for a name that only the
// next round told: "user=" starts behind an address.
func TestLearnsLate(t *testing.T) {
	if got, want := redact.Text("carol <ip-9> 10.0.0.1user=carol", names()), "<user-1> <ip-9> <ip-1>user=<user-1>"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// BenchmarkLearned is a text in which all names that can be learned are.
func BenchmarkLearned(b *testing.B) {
	var s strings.Builder
	for n := range 64 {
		fmt.Fprintf(&s, "/home/p%d%s/x ", n, strings.Repeat("x", 20))
	}
	s.WriteString(strings.Repeat("p12 pxx ", 1<<17))
	b.SetBytes(int64(s.Len()))
	for b.Loop() {
		redact.Text(s.String(), names())
	}
}
