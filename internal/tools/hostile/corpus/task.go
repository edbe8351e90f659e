package corpus

import (
	"os"
	"slices"
	"strings"
	"time"

	"hookline/hooks"
	"hookline/sandbox"
)

// Deadline is how long any snippet may take, from the start of its processes
// to their end.
const Deadline = 3500 * time.Millisecond

// Base is a run of script with one field of each type, that may read the
// given paths.
func Base(script string, read ...string) sandbox.Task {
	field := func(name string, t hooks.FieldType) hooks.DeclaredField {
		return hooks.DeclaredField{Name: name, Type: t, Class: hooks.ClassTechnical, MaxBytes: 64 << 10}
	}
	raw := field("Raw", hooks.TypeText)
	raw.Raw = true
	return sandbox.Task{
		Script: []byte(script),
		Predicate: hooks.Predicate{
			Capabilities: hooks.ReadingOnly(read...),
			As:           hooks.AsService,
			Fields: []hooks.DeclaredField{
				field("Bool", hooks.TypeBool), field("Int", hooks.TypeInt), field("JSON", hooks.TypeJSON),
				field("Number", hooks.TypeNumber), raw, field("Text", hooks.TypeText), field("k", hooks.TypeJSON),
			},
			MaxResultBytes: 128 << 10,
			MaxRuntimeMS:   2000,
		},
		Report: hooks.Report{"Package": "nginx", "Signal": "6", "ExecutablePath": "/usr/sbin/nginx"},
		Facts:  hooks.Facts{OS: "linux", Release: "Debian 12", Kernel: "6.1.0", Arch: "amd64"},
		Redact: sandbox.Redaction{Hosts: []string{"web-7"}, Users: []string{"alice"}},
		Now:    time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC),
	}
}

// Task is the run of a snippet: it may read below allowed of the fixtures and
// start three harmless programs, and has the given time.
func (s Snippet) Task(fixtures string, runtime time.Duration) sandbox.Task {
	t := Base(s.Script, fixtures+"/allowed/**", "/proc/meminfo")
	t.Predicate.MaxRuntimeMS = runtime.Milliseconds()
	t.Predicate.Capabilities.CmdRun = []hooks.Command{
		Command("sleep", "1000"), Command("uname", "-r"), Command("yes"),
	}
	return t
}

// TimesOut reports whether time is what has to end the snippet.
func (s Snippet) TimesOut() bool { return strings.HasPrefix(s.Expected, "TIMEOUT") }

// Command is a program of the system that a hook may start by its own name.
func Command(name string, args ...string) hooks.Command {
	c := hooks.Command{Name: name, Program: "/usr/bin/" + name, Args: append([]string{}, args...), Paths: []string{}, Reads: []string{}}
	if _, err := os.Stat(c.Program); err != nil {
		c.Program = "/bin/" + name
	}
	return c
}

// Good is a run of an honest hook that reads, computes and sets a field: what
// must still work after any attack.
func Good(fixtures string) sandbox.Task {
	return Base(`report.set("Text", fs.read("`+fixtures+`/allowed/ok") .. report.get("Package"))`, fixtures+"/allowed/**")
}

// CheckGood returns what is wrong with the end of Good.
func CheckGood(out sandbox.Outcome, err error) []string {
	switch {
	case err != nil:
		return []string{"the next hook cannot run: " + err.Error()}
	case out.Code != "" || out.Fields["Text"] != "hello\nnginx" || len(out.Fields) != 1:
		return []string{"the next hook is harmed: " + out.Code + " " + out.Error}
	case !slices.Equal(out.Log, nil):
		return []string{"the next hook has another's log"}
	}
	return nil
}
