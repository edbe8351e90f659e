package rooted_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hookline/internal/errs"
	"hookline/sandbox/rooted"
)

func TestResolve(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make files of root")
	}
	dir, err := os.MkdirTemp("/usr/local/lib", "hookline-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	file := func(name string, mode os.FileMode, uid int) string {
		p := filepath.Join(dir, name)
		must(os.MkdirAll(filepath.Dir(p), 0o755))
		must(os.WriteFile(p, nil, 0o755))
		must(os.Chown(p, uid, 0))
		must(os.Chmod(p, mode))
		return p
	}
	link := func(name, to string, uid int) string {
		p := filepath.Join(dir, name)
		must(os.Symlink(to, p))
		must(os.Lchown(p, uid, 0))
		return p
	}
	must(os.Chmod(dir, 0o755))
	good := file("good", 0o755, 0)
	below := file("shared/file", 0o755, 0)
	twice := file("shared/twice", 0o755, 0)
	must(os.Link(twice, filepath.Join(dir, "second")))
	must(os.Chmod(filepath.Dir(below), 0o777|os.ModeSticky))
	open := file("open/file", 0o755, 0)
	must(os.Chmod(filepath.Dir(open), 0o777))
	for name, tt := range map[string]struct {
		path   string
		want   string // "" is refused
		shared string
		code   errs.Code
	}{
		"root's own":         {good, good, good, ""},
		"by a link":          {link("a", "good", 0), good, good, ""},
		"by two":             {link("b", dir+"/a", 0), good, good, ""},
		"up and down":        {link("c", "../"+filepath.Base(dir)+"/./good", 0), good, good, ""},
		"unclean":            {dir + "//good", good, good, ""},
		"nowhere":            {dir + "/none", "", "", errs.CodeCallFailed},
		"a link to nowhere":  {link("n", "none", 0), "", "", errs.CodeCallFailed},
		"a loop":             {link("l", "l", 0), "", "", errs.CodeDenied},
		"somebody's":         {file("his", 0o755, 1000), "", "", errs.CodeDenied},
		"a group may write":  {file("group", 0o775, 0), "", "", errs.CodeDenied},
		"all may write":      {file("all", 0o757, 0), "", "", errs.CodeDenied},
		"somebody's link":    {link("d", "good", 1000), "", "", errs.CodeDenied},
		"in an open folder":  {open, "", "", errs.CodeDenied},
		"in a shared folder": {below, "", below, errs.CodeDenied},
		"with a second name": {twice, "", "", errs.CodeDenied},
		"a link into it":     {link("e", "shared/file", 0), "", below, errs.CodeDenied},
	} {
		got, _, err := rooted.Resolve(tt.path)
		if got != tt.want || err != nil && errs.CodeOf(err) != tt.code {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		got, _, err = rooted.ResolveShared(tt.path)
		if got != tt.shared || err != nil && errs.CodeOf(err) != tt.code {
			t.Errorf("%s, shared: %q, %v", name, got, err)
		}
	}
}

func TestExecutable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := filepath.Join(dir, "program")
	if err := os.WriteFile(p, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{p: "is no program", dir: "is no program", p + "x": "no such file"} {
		if err := rooted.Executable(path); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := os.Chmod(p, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := rooted.Executable(p); err != nil {
		t.Error(err)
	}
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Chmod(p, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := rooted.Executable(p); !errs.Is(err, errs.CodeDenied) {
		t.Errorf("one that all may write: %v", err)
	}
}
