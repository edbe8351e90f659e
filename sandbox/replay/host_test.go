package replay

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"hookline/internal/errs"
	"hookline/sandbox"
	"hookline/sandbox/calls"
	"hookline/sandbox/wire"
)

func TestRecordedHost(t *testing.T) {
	t.Parallel()
	h := newHost(Fixtures{
		Files:   map[string]string{"/a": "x"},
		Folders: map[string][]string{"/d": {"b", "a"}},
		Stats:   map[string]wire.FileInfo{"/a": {Type: "file", Size: 1}},
		Commands: []sandbox.RecordedCommand{
			{Name: "load", Stdout: []byte("1")},
			{Name: "load", Stdout: []byte("2"), Exit: 3},
			{Name: "load", Args: []string{"-a"}, Stdout: []byte("a")},
			{Name: "slow", Stdout: []byte("at first")},
			{Name: "slow", Code: "limit-time", Error: "too long"},
		},
		Failed:  []sandbox.RecordedFailure{{Call: "fs.list", Path: "/shut", Code: "call-failed", Error: "not permitted"}, {Call: "fs.list", Path: "/gone", Code: "denied"}},
		Missing: []string{"/gone"},
	})
	rules := calls.Rules{}
	stat := func(p string) (string, error) { info, err := h.Stat(p, rules); return info.Type, err }
	read := func(p string) (string, error) { b, err := h.ReadFile(p, rules); return string(b), err }
	list := func(p string) (string, error) { names, err := h.List(p, rules); return strings.Join(names, " "), err }
	run := func(line string) (string, error) {
		words := strings.Fields(line)
		out, err := h.Run(words[0], words[1:])
		return string(out.Stdout) + strings.Repeat("!", out.Exit), err
	}
	for i, tt := range []struct {
		ask       func(string) (string, error)
		arg, want string
		code      errs.Code
	}{
		{read, "/a", "x", ""},
		{read, "/gone", "no such file", errs.CodeCallFailed},
		{read, "/d", "under files: hook test --record", errs.CodeCallFailed},
		{list, "/d", "a b", ""},
		{list, "/gone", "failed, as recorded", errs.CodeDenied},
		{list, "/shut", "not permitted", errs.CodeCallFailed},
		{read, "/shut", "under files", errs.CodeCallFailed},
		{list, "/a", "under folders", errs.CodeCallFailed},
		{stat, "/a", "file", ""},
		{stat, "/gone", "no such file", errs.CodeCallFailed},
		{stat, "/d", "under stats", errs.CodeCallFailed},
		{run, "load", "1", ""},
		{run, "load -a", "a", ""},
		{run, "load", "2!!!", ""},
		{run, "load", "2!!!", ""},
		{run, "slow", "at first", ""},
		{run, "slow", "too long", errs.CodeLimitTime},
		{run, "slow", "too long", errs.CodeLimitTime},
		{run, "load -b", "under commands", errs.CodeCallFailed},
	} {
		got, err := tt.ask(tt.arg)
		if tt.code == "" {
			if got != tt.want || err != nil {
				t.Errorf("%d %s: %q, %v", i, tt.arg, got, err)
			}
			continue
		}
		var known *calls.Error
		if !errors.As(err, &known) || known.Code != tt.code || !strings.Contains(known.Message, tt.want) || len(known.Message) > sandbox.MaxErrorBytes {
			t.Errorf("%d %s: %v, expected %s %q", i, tt.arg, err, tt.code, tt.want)
		}
	}
}

// The last answer is given again, so that its repetition says nothing; an
// earlier one does.
func TestRepeatedCommands(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{"a": "a", "aab": "aab", "abb": "ab", "aaa": "a", "abba": "abba", "": ""} {
		var f Fixtures
		for _, c := range said {
			f.Commands = append(f.Commands, sandbox.RecordedCommand{Name: "x", Stdout: []byte(string(c))})
		}
		f.Commands = append(f.Commands, sandbox.RecordedCommand{Name: "a", Stdout: []byte("a")})
		var got []byte
		for _, c := range f.canonical().Commands[1:] {
			got = append(got, c.Stdout...)
		}
		if string(got) != want {
			t.Errorf("%s: %s, expected %s", said, got, want)
		}
		h := newHost(f)
		for i := range said {
			if out, err := h.Run("x", nil); err != nil || !slices.Equal(out.Stdout, []byte(said[i:i+1])) {
				t.Errorf("%s: answer %d is %s, %v", said, i, out.Stdout, err)
			}
		}
	}
}
