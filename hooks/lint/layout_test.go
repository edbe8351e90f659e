package lint_test

import (
	"strings"
	"testing"

	"hookline/hooks"
	"hookline/hooks/lint"
)

// What stands where people do not look is said, and is refused where it runs.
func TestLayout(t *testing.T) {
	blanks := func(n int) string { return strings.Repeat(" ", n) }
	many := blanks(400)
	const hidden, warned = " error text-hidden", " warning text-hidden"
	for _, tc := range []struct{ name, script, want string }{
		{"code behind blanks", "local y = 2" + many + "print(y)", "1:412" + hidden},
		{"forty are enough", "local y = 2" + blanks(40) + "print(y)", "1:52" + hidden},
		{"less are not", "local y = 2" + blanks(39) + "print(y)", ""},
		{"behind tabs", "local y = 2\t\t\t\t\t\tprint(y)", "1:18" + hidden},
		{"both", "local y = 2" + strings.Repeat("\t ", 9) + "print(y)", "1:30" + hidden},
		{"a text behind blanks", "local y =" + many + "'x'", "1:410" + hidden},
		{"on a line that looks empty", many + "print(1)", "1:401" + hidden},
		{"deep indentation", blanks(60) + "print(1)", ""},
		{"after a short comment", "--[[ a ]]" + many + "print(1)", "1:410" + hidden},
		{"in a comment that ends", "--[[ a" + many + "]] print(1)", "1:407" + hidden},
		{"in a comment of two lines that ends", "--[[ a\n" + many + "]] print(1)", "2:401" + hidden},
		{"behind a comment behind blanks", "local y = 2" + many + "--[[ a ]] print(y)", "1:412" + hidden},
		{"a comment", "local y = 2" + blanks(60) + "-- of two", "1:72" + warned},
		{"in a comment", "-- a" + blanks(60) + "b", "1:65" + warned},
		{"in a text", "local y = 'a" + blanks(60) + "b'", "1:73" + warned},
		{"in a text, which opens more", "local y = 'a" + many + "' print(y)", "1:413" + warned + ", 1:415 error line-long"},
		{"behind blanks of another kind", "--[[ a" + strings.Repeat("\u2003", 50) + "]] print(1)", "1:157" + hidden},
		{"behind Braille without dots", "--[[ a" + strings.Repeat("\u2800", 50) + "]] print(1)", "1:157" + hidden},
		{"at the end", "local y = 2" + many + "\nprint(y)" + many, ""},
		{"on the second line", "local y = 2\nprint(y)" + many + "print(y)\nprint(y)", "2:409" + hidden},

		{"a long line", strings.Repeat("print(1) ", 25), "1:201 warning line-long"},
		{"a line that is not", strings.Repeat("print(1) ", 22), ""},
		{"far too long", strings.Repeat("print(1) ", 50), "1:401 error line-long"},
		{"a long text", "local y = '" + strings.Repeat("x", 900) + "'", ""},
		{"code after a long text", "local y = '" + strings.Repeat("x", 900) + "' print(y)", "1:914 warning line-long"},
		{"a long comment", "-- " + strings.Repeat("word ", 200), "1:201 warning line-long"},
		{"code after a long comment", "--[[" + strings.Repeat("word ", 200) + "]] print(1)", "1:1008 error line-long"},
		{"characters, not bytes", "-- " + strings.Repeat("ü", 180), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := strings.Join(found(t, tc.script, hooks.Predicate{}), ", "); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// A finding names its file, and of the manifest the member that it is about.
func TestPlaces(t *testing.T) {
	p := commands()
	p.Capabilities.FSRead = []string{"/dev/sda", "/root/**"}
	p.Fields = []hooks.DeclaredField{{Name: "A"}, {Name: "B"}}
	want := map[string]string{
		"capabilities.fs.read[0]": lint.CodePathNever, "capabilities.fs.read[1]": lint.CodeWide,
		"capabilities.fs.list[1]": lint.CodeUnused, "capabilities.fs.stat[0]": lint.CodeUnused,
		"capabilities.cmd.run[2]": lint.CodeUnused, "fields[1]": lint.CodeFieldUnset,
	}
	for _, f := range lint.Check([]byte("report.set('A', os.time())"), p) {
		switch {
		case f.File == hooks.ScriptName:
			if f.Line < 1 || f.Column < 1 || f.Key != "" {
				t.Errorf("no place in the script: %+v", f)
			}
		case f.File != hooks.ManifestName || f.Line != 0 || f.Column != 0 || f.Key == "":
			t.Errorf("no place in the manifest: %+v", f)
		case want[f.Key] == f.Code:
			delete(want, f.Key)
		}
	}
	if len(want) > 0 {
		t.Errorf("not found: %v", want)
	}
}

// Whole folders are said, with what is never open in them.
func TestWide(t *testing.T) {
	for pattern, want := range map[string]string{
		"/root/**":        "covers the whole of /root; name what is needed (never open there: /root/.ssh, /root/.gnupg, /root/.bash_history)",
		"/root/*":         "covers all files in /root; name what is needed (never open there: /root/.bash_history)",
		"/home/**":        "covers the whole of /home; name what is needed (never open there: /home/*/.ssh, /home/*/.gnupg)",
		"/home/alice/**":  "covers the whole home of alice; name what is needed",
		"/etc/**":         "/etc/shadow, /etc/gshadow, /etc/sudoers, /etc/ssl/private, /etc/ssh/ssh_host_*, /etc/wireguard)",
		"/var/**":         "covers the whole of /var; ",
		"/var/log/**":     "covers the whole of /var/log; name what is needed",
		"/run/**":         "covers the whole of /run; name what is needed (never open there: /run/secrets)",
		"/usr/**":         "covers the whole of /usr; ",
		"/proc/**":        "(never open there: /proc/self, environment and memory of processes, /proc/kcore)",
		"/etc/nginx/**":   "",
		"/usr/share/x/**": "",
		"/proc/*":         "",
		"/var/crash/*":    "",
	} {
		got := ""
		for _, f := range lint.Check([]byte("local nothing = 1"), hooks.Predicate{Capabilities: hooks.ReadingOnly(pattern)}) {
			if f.Code == lint.CodeWide && f.Severity == lint.SeverityWarning {
				got = f.Message
			}
		}
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", pattern, got, want)
		}
	}
	if got := lint.Check([]byte("local nothing = 1"), hooks.Predicate{Capabilities: hooks.Capabilities{FSStat: []string{"/etc/**"}}}); len(got) != 1 {
		t.Errorf("to look at is not to read: %v", got)
	}
}
