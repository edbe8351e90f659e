package redact_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"hookline/internal/redact"
)

func names() redact.Names {
	return redact.Names{
		Hosts: []string{"web1", "web1.example.com", "localhost", "x", "vm"},
		Users: []string{"alice", "root", "Zoë"},
	}
}

// unnumbered takes the numbers from tokens, where they are not the point.
var unnumbered = regexp.MustCompile(`<([a-z]+)-\d+>`)

func TestText(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"nothing", "plain text 1.2.3 ok", "plain text 1.2.3 ok"},
		{"ipv4", "peer 192.168.1.20:443 closed", "peer <ip>:443 closed"},
		{"ipv4 network", "route 10.0.0.0/8", "route <ip>/8"},
		{"ipv4 at a sentence's end", "from 10.1.2.3.", "from <ip>."},
		{"no ipv4 above 255", "build 6.1.300.4", "build 6.1.300.4"},
		{"ipv6", "fe80::1 2001:db8:0:0:1:2:3:4", "<ip> <ip>"},
		{"ipv6 with port, zone, colon", "[2001:db8::2]:53 fe80::1%eth0 fe80::2: no route", "[<ip>]:53 <ip> <ip>: no route"},
		{"ipv6 after a key", "addr:fe80::1", "addr:<ip>"},
		{"ipv6 with ipv4", "::ffff:10.0.0.1", "<ip>"},
		{"ipv6 with a port behind a dot or a colon", "IP6 2001:db8::1.8080 > 2001:db8:1:2:3:4:5:6.443: 2001:db8:1:2:3:4:5:6:443", "IP6 <ip>.8080 > <ip>.443: <ip>:443"},
		{"ipv6 after a word of digits", "added:2001:db8::1 face:2001:db8::1", "added:<ip> <ip>"},
		{"ipv4 within a word", "host_10.0.0.1 10.0.0.1_x v10.0.0.1 10.0.0.1ms 1.2.3.4.5 1234.10.0.0.1", "host_<ip> <ip>_x v<ip> <ip>ms <ip>.5 1234.<ip>"},
		{"c++ names stay", "std::bad_alloc at Foo::bar(int) a :: b", "std::bad_alloc at Foo::bar(int) a :: b"},
		{"times stay", "at 12:34:56.789 on 2026-01-02", "at 12:34:56.789 on 2026-01-02"},
		{"pci slots stay", "0000:3b:00.0 nvme", "0000:3b:00.0 nvme"},
		{"kernel addresses stay", "RIP 0xffffffff81a2b3c4 ffff888100000000", "RIP 0xffffffff81a2b3c4 ffff888100000000"},
		{"mac", "52:54:00:12:34:56 and 52-54-00-12-34-56", "<mac> and <mac>"},
		{"mac within a word", "if_52:54:00:12:34:56_up", "if_<mac>_up"},
		{"mail in a link", "?to=bob%40mail.example.org&x=1", "?to=<email>&x=1"},
		{"mail", "to alice.b+x@mail.example.org, thanks", "to <email>, thanks"},
		{"units stay", "getty@tty1.service failed", "getty@tty1.service failed"},
		{"home", "/home/alice/src/main.go:3", "<home>/src/main.go:3"},
		{"home with two slashes, and in a link", "/home//bob/x ?f=%2Fhome%2Fbob%2fx&y", "<home>/x ?f=<home>%2fx&y"},
		{"root's home stays", "/root/.bashrc", "/root/.bashrc"},
		{"hosts", "WEB1: web1.example.com web1.example.community xweb1", "<host>: <host> <host>.example.community xweb1"},
		{"users", "uid=alice(root) ALICE alice2 alice_x", "uid=<user>(root) <user> alice2 <user>_x"},
		{"short names are no part of a word", "vm total_vm_kib vm-1 (vm)", "<host> total_vm_kib vm-1 (<host>)"},
		{"names of any script", "Zoë's zoë", "<user>'s <user>"},
		{"short names and localhost stay", "x localhost", "x localhost"},
		{"placeholders stay", "<ip> <host><user>", "<ip> <host><user>"},
		{"not utf-8", "a\xffb", "a\uFFFDb"},
		{"empty", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := unnumbered.ReplaceAllString(redact.Text(tc.in, names()), "<$1>"); got != tc.want {
				t.Errorf("Text(%q)\n got %q\nwant %q", tc.in, got, tc.want)
			}
		})
	}
}

// A name that is also the word in a placeholder must not eat placeholders.
func TestTextKeepsPlaceholders(t *testing.T) {
	n := redact.Names{Hosts: []string{"ip", "host"}, Users: []string{"user", "user>"}}
	once := redact.Text("10.0.0.1 ip user", n)
	if want := "<ip-1> <host-1> <user-1>"; once != want {
		t.Fatalf("got %q, want %q", once, want)
	}
	if again := redact.Text(once, n); again != once {
		t.Errorf("second time %q", again)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{
		"192.168.1.20 fe80::1%eth0: aa:bb:cc:dd:ee:ff a@b.cd /home/x web1", ":::1", "::", ":", "<ip", "\xff<ip>\x00",
		"fe80::1%a::2", "1.2.3.4.5.6.7.8", "a:b:c:d:e:f:1:2:3", "/home//home/a", strings.Repeat("1.", 50),
	} {
		f.Add(s, "web1", "alice")
	}
	f.Fuzz(func(t *testing.T, s, h, u string) {
		n := redact.Names{Hosts: []string{h}, Users: []string{u}}
		once := redact.Text(s, n)
		if !utf8.ValidString(once) {
			t.Fatalf("not UTF-8: %q", once)
		}
		if len(once) > 6*len(s) {
			t.Fatalf("%d bytes became %d", len(s), len(once))
		}
		if again := redact.Text(once, n); again != once {
			t.Fatalf("not idempotent:\n in %q\none %q\ntwo %q", s, once, again)
		}
	})
}

func BenchmarkText(b *testing.B) {
	line := "Jan 02 12:34:56 web1 sshd[811]: Accepted publickey for alice from 192.168.1.20 port 50022 ssh2\n"
	s := strings.Repeat(line, 100)
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		redact.Text(s, names())
	}
}
