package sandbox

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"hookline/hooks"
)

// The guard holds a broker's call against what was signed by itself: a broker
// is not believed.
func TestGuardChecksCommands(t *testing.T) {
	own := strconv.Itoa(os.Getpid())
	commands := []hooks.Command{
		{Name: "exact", Program: "/bin/x", Args: []string{"-r"}},
		{Name: "package", Program: "/bin/x", Args: []string{"{package}"}},
		{Name: "path", Program: "/bin/x", Args: []string{"{path}"}, Paths: []string{"/etc/**", "/exact"}},
		{Name: "pid", Program: "/bin/x", Args: []string{"{pid}"}},
	}
	me := Filer{UID: uint32(os.Geteuid()), Known: true}
	other := Filer{UID: 4242, Known: true}
	for _, tt := range []struct {
		what    string
		as      hooks.Identity
		filer   Filer
		name    string
		args    []string
		refusal string // part of it; "" where it may run
	}{
		{"what was signed", hooks.AsService, other, "exact", []string{"-r"}, ""},
		{"another command", hooks.AsService, other, "sh", []string{"-c"}, "not among the signed"},
		{"other arguments", hooks.AsService, other, "exact", []string{"-a"}, "must be"},
		{"more arguments", hooks.AsService, other, "exact", []string{"-r", "-a"}, "takes 1"},
		{"a package", hooks.AsService, other, "package", []string{"libc6"}, ""},
		{"a path", hooks.AsService, other, "path", []string{"/etc/hosts"}, ""},
		{"a path that is never read", hooks.AsService, other, "path", []string{"/etc/shadow"}, "never read"},
		{"one's own process", hooks.AsService, me, "pid", []string{own}, ""},
		{"somebody else's process", hooks.AsService, other, "pid", []string{own}, "does not belong"},
		{"a process of nobody known", hooks.AsService, Filer{}, "pid", []string{own}, "does not belong"},
		{"a process that is gone", hooks.AsService, me, "pid", []string{"4194304"}, "does not belong"},
		{"root, exact", hooks.AsRoot, other, "exact", []string{"-r"}, ""},
		{"root, a forged package", hooks.AsRoot, other, "package", []string{"libc6"}, "must not choose"},
		{"root, the hook's own package", hooks.AsRoot, other, "package", []string{"nginx"}, ""},
		{"root, a forged path", hooks.AsRoot, other, "path", []string{"/etc/hosts"}, "must not choose"},
		{"root, a signed path", hooks.AsRoot, other, "path", []string{"/exact"}, ""},
		{"root, a forged process", hooks.AsRoot, other, "pid", []string{own}, "must not choose"},
		{"root over root's report", hooks.AsRoot, Filer{Known: true}, "path", []string{"/etc/hosts"}, ""},
	} {
		r := run{runner: &Runner{}, task: Task{Filer: tt.filer, Predicate: hooks.Predicate{
			As: tt.as, Match: hooks.Match{Package: "nginx"}, Capabilities: hooks.Capabilities{CmdRun: commands},
		}}}
		_, err := r.allowed(CommandCall{Name: tt.name, Args: tt.args})
		if (err == nil) != (tt.refusal == "") || err != nil && !strings.Contains(err.Error(), tt.refusal) {
			t.Errorf("%s: %v, want %q", tt.what, err, tt.refusal)
		}
	}
}

// What a broker says at length is cut to what a broker may say.
func TestBelievable(t *testing.T) {
	long := strings.Repeat("ü", 1000)
	out := Outcome{Code: "made-up", Error: long, Trace: []string{"x"}, Recording: &Recording{}, Log: []string{long, strings.Repeat("x", MaxLogBytes)}}
	for range 3 * MaxRecordedCalls {
		out.Calls = append(out.Calls, Call{Name: long, Arg: long, Reason: long})
	}
	got := believable(out, Task{})
	if got.Code != "sandbox-crash" || len(got.Error) > MaxErrorBytes || got.Trace != nil || got.Recording != nil || len(got.Log) != 1 {
		t.Errorf("%.300v", got)
	}
	if len(got.Calls) != MaxRecordedCalls || cap(got.Calls) > 2*MaxRecordedCalls || len(got.Calls[0].Arg) > MaxErrorBytes {
		t.Errorf("%d calls of room for %d", len(got.Calls), cap(got.Calls))
	}
	if got := believable(Outcome{Code: "denied", Trace: []string{"x"}}, Task{Trace: true}); got.Code != "denied" || len(got.Trace) != 1 {
		t.Errorf("%+v", got)
	}
}
