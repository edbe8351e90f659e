package lint_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/hooks/lint"
)

func predicate() hooks.Predicate {
	return hooks.Predicate{
		Capabilities: hooks.Capabilities{FSRead: []string{"/proc/pressure/*", "/proc/version"}},
		Fields:       []hooks.DeclaredField{{Name: "A"}, {Name: "B"}},
	}
}

// good uses everything that predicate declares.
const good = `report.set("A", fs.read("/proc/version"))` + "\n" + `report.set("B", fs.read("/proc/pressure/io"))` + "\n"

func TestCheck(t *testing.T) {
	for _, tc := range []struct{ name, script, want string }{
		{"all is well", good, ""},
		{"empty", " \n", "1:1 error script"},
		{"syntax", "local x = = 1\n", "1:11 error syntax"},
		{"cut off", good + "if true then\n", "3:1 error syntax"},
		{"break outside", good + "break\n", "3:1 error syntax"},
		{"removed", good + "os.exit()\n", "3:1 error global-removed"},
		{"unknown", good + "frobnicate()\n", "3:1 error global-unknown"},
		{"assigned later", good + "local function f() return late end\nlate = f\n", "4:1 warning global-assigned"},
		{"unknown member", good + "fs.reed('/x')\n", "3:4 error function-unknown"},
		{"undeclared command", good + "local out = cmd.run('dmesg', {})\n", "3:22 error command-undeclared"},
		{"undeclared folder", good + "local all = fs.list('/proc')\n", "3:22 error path-undeclared"},
		{"undeclared look", good + "fs.stat('/proc/version')\n", "3:10 error path-undeclared"},
		{"colon", good + "fs:read('/proc/version')\n", "3:1 error method-call"},
		{"undeclared path", good + "fs.read('/etc/passwd')\n", "3:10 error path-undeclared"},
		{"relative path", good + "fs.read('etc/passwd')\n", "3:10 error path-invalid"},
		{"unclean path", good + "fs.read('/proc/pressure/../version')\n", "3:10 error path-invalid"},
		{"too deep for the wildcard", good + "fs.read('/proc/pressure/a/b')\n", "3:10 error path-undeclared"},
		{"undeclared field", good + "report.set('C', 1)\n", "3:13 error field-undeclared"},
		{"returned table", good + "return {A = 1, C = 2}\n", "3:16 error field-undeclared"},
		{"returned local", "local out = {}\nout.A = fs.read('/proc/version') .. fs.read('/proc/pressure/io')\nout['B'] = 1\nreturn out\n", ""},
		{"never set", "report.set('A', fs.read('/proc/version') .. fs.read('/proc/pressure/io'))\n", "0:0 warning field-never-set"},
		{"never read", "report.set('A', fs.read('/proc/version'))\nreport.set('B', 1)\n", "0:0 warning capability-unused"},
		{"computed path", good + "fs.read(report.get('P'))\n", "3:1 warning path-dynamic"},
		{"computed field", good + "report.set(report.get('P'), 1)\n", "3:1 warning field-dynamic"},
		{"computed member", good + "fs[report.get('P')]('/x')\n", "3:1 warning capability-dynamic"},
		{"handed on", good + "local t = {fs.read}\n", "3:12 warning capability-dynamic"},
		{"alias", good + "local r = fs\nlocal read = r.read\nread('/etc/passwd')\n", "5:7 error path-undeclared"},
		{"glued member", good + "fs['re'..'ad']('/etc/passwd')\n", "3:17 error path-undeclared"},
		{"through pcall", good + "pcall(fs.read, '/etc/passwd')\n", "3:17 error path-undeclared"},
		{"through a wrapper", good + "local function r(p) local ok, s = pcall(fs.read, p) return s end\nr('/etc/passwd')\nr('/proc/version')\n", "4:4 error path-undeclared"},
		{"through two wrappers", good + "local function a(p) return fs.read(p) end\nlocal function b(x, p) return a(p) end\nb(1, '/etc/passwd')\n", "5:7 error path-undeclared"},
		{"concatenated", good + "local d = '/etc/'\nfs.read(d .. 'passwd')\n", "4:1 error path-undeclared"},
		{"loop over constants", good + "for _, f in ipairs({'/proc/version', '/etc/passwd'}) do fs.read(f) end\n", "3:39 error path-undeclared"},
		{"loop over a local", good + "local all = {cpu = '/proc/pressure/cpu', io = '/proc/pressure/io'}\nfor _, f in pairs(all) do fs.read(f) end\n", ""},
		{"shadowed", good + "local fs = {read = function(p) return p end}\nfs.read('/etc/passwd')\n", "3:7 warning name-shadowed"},
		{"shadowed, by a function", good + "local function report() end\n", "3:16 warning name-shadowed"},
		{"shadowed, by a parameter", good + "local function f(a, json) return json end\n", "3:21 warning name-shadowed"},
		{"shadowed, by a loop", good + "for cmd = 1, 2 do end\nfor _, time in ipairs({}) do end\n", "3:5 warning name-shadowed, 4:8 warning name-shadowed"},
		{"the same under its name", good + "local fs, json = fs, json\n", ""},
		{"replaced through _G", good + "_G.json = {}\n_G.fs = nil\n", "3:4 warning name-shadowed, 4:4 warning capability-dynamic, 4:4 warning name-shadowed"},
		{"methods of text", good + "local s = ('x'):rep(3):upper()\n", ""},
		{"repeat sees its locals", good + "repeat local done = true until done\n", ""},
		{"removed, with its member", good + "local t = 1 + os.time()\n", "3:15 error global-removed"},
		{"removed, by another name", good + "local o = os\nlocal t = o.time()\n", "3:11 error global-removed, 4:13 error global-removed"},
		{"removed, through _G", good + "local l = _G.loadstring or _G['require']\n", "3:14 error global-removed, 3:32 error global-removed"},
		{"through _G", good + "_G.fs.read('/etc/passwd')\n", "3:13 error path-undeclared"},
		{"computed in _G", good + "_G[report.get('P')]()\nfrobnicate()\n", "3:1 warning capability-dynamic, 4:1 warning global-unknown"},
		{"assigned through _G", good + "_G.helper = tostring\nhelper(1)\n", ""},
		{"of a later Lua", good + "local a = table.unpack({})\nlocal n = utf8.len('x')\n", "3:17 error function-unknown, 4:11 error global-removed"},
		{"dump", good + "string.dump(print)\n", "3:8 error function-unknown"},
		{"os of one's own", good + "local os = {time = time.now}\nos.time()\n", ""},
		{"library replaced", "fs.read = nil\nreport.set('A', 1)\nreport.set('B', 1)\n", "1:1 warning capability-dynamic"},
		{"global replaced", "function report.set() end\nfs = nil\nfs.read('/proc/version')\nfs.read('/proc/pressure/io')\n", "1:10 warning capability-dynamic, 2:1 warning capability-dynamic, 2:1 warning name-shadowed"},
		{"partly known", good + "fs.read('/proc/pressure/' .. report.get('P'))\n", "3:1 warning path-dynamic"},
		{"partly known, never open", good + "fs.read('/etc/' .. report.get('P'))\n", "3:1 error path-undeclared"},
		{"partly known counts", "report.set('A', fs.read('/proc/' .. report.get('P') .. '/io'))\nreport.set('B', 1)\n", "0:0 warning capability-unused, 1:17 warning path-dynamic"},
		{"never open", good + "fs.read('/proc/self/environ')\n", "3:10 error path-never-open"},
		{"a NUL", good + "fs.read('/etc/pass\\0wd')\n", "3:1 error path-undeclared"},
		{"changed by a function", good + "local function add(t) t.X = 1 end\nlocal out = {}\nadd(out)\nreturn out\n", ""},
		{"goto", good + "goto e\n::e::\n", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := strings.Join(found(t, tc.script, predicate()), ", "); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// found is what Check says, as "line:column severity code".
func found(t *testing.T, script string, p hooks.Predicate) []string {
	t.Helper()
	var got []string
	for _, f := range lint.Check([]byte(script), p) {
		got = append(got, fmt.Sprintf("%d:%d %s %s", f.Line, f.Column, f.Severity, f.Code))
		if f.Message == "" || len(f.Message) > 500 {
			t.Errorf("odd message: %+v", f)
		}
	}
	return got
}

// Of the hooks that we ship, nothing is to be said but which placeholders the
// report fills.
func TestExamples(t *testing.T) {
	folders, err := filepath.Glob("../../examples/hooks/*/hook.lua")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, f := range folders {
		script, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		yaml, err := os.ReadFile(filepath.Join(filepath.Dir(f), hooks.ManifestName))
		if err != nil {
			t.Fatal(err)
		}
		m, err := hooks.ParseManifest(yaml)
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		for _, x := range lint.Check(script, m.Predicate(time.Unix(0, 0))) {
			if (x.Code != lint.CodeArgumentDynamic && x.Code != lint.CodePathDynamic) || !strings.Contains(x.Message, "is chosen at run time") {
				t.Errorf("%s: %+v", f, x)
			}
		}
	}
}

// Deep nesting must end in a finding, not in a crash of the process.
func TestTooComplex(t *testing.T) {
	deep := strings.Repeat("do ", 5000) + strings.Repeat(" end", 5000)
	got := lint.Check([]byte(deep), predicate())
	if len(got) != 2 || got[0].Code != lint.CodeTooComplex {
		t.Errorf("got %v", got)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(good)
	f.Add("local t = {a=1,[2]=fs, fs.read} for k, v in pairs(t) do t[k] = v end return t")
	f.Add("function a.b:c(...) return ... end repeat until #x == -1 and not y")
	f.Fuzz(func(t *testing.T, script string) {
		if len(script) > 2000 {
			return
		}
		for _, finding := range lint.Check([]byte(script), predicate()) {
			if finding.Line < 0 || finding.Column < 0 || finding.Code == "" {
				t.Errorf("odd finding %+v", finding)
			}
		}
	})
}
