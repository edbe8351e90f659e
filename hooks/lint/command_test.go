package lint_test

import (
	"strings"
	"testing"

	"hookline/hooks"
	"hookline/hooks/lint"
)

// commands declares one command of each kind, and paths of each capability.
func commands() hooks.Predicate {
	p := predicate()
	p.Capabilities = hooks.Capabilities{
		FSRead: []string{"/proc/{pid}/limits"},
		FSList: []string{"/proc/{pid}/fd", "/var/crash"},
		FSStat: []string{"/etc/**"},
		CmdRun: []hooks.Command{
			{Name: "files", Program: "/usr/bin/dpkg-query", Args: []string{"-L", hooks.PlacePackage}},
			{Name: "log", Program: "/usr/bin/dmesg", Args: []string{"-k", "-T"}, Syslog: true},
			{Name: "owner", Program: "/usr/bin/dpkg-query", Args: []string{"-S", hooks.PlacePath}, Paths: []string{"/usr/bin/*"}},
		},
	}
	p.Fields = nil
	return p
}

// all uses everything that commands declares.
const all = `local pid = report.get("ProcPid")
fs.read("/proc/" .. pid .. "/limits")
fs.list("/proc/" .. pid .. "/fd") fs.list("/var/crash") fs.stat("/etc/passwd")
cmd.run("files", {"-L", "bash"}) cmd.run("log", {"-k", "-T"}) cmd.run("owner", {"-S", "/usr/bin/ls"})
`

// expected of all itself: the process is chosen at run time.
const chosen = "2:1 warning path-dynamic, 3:1 warning path-dynamic"

func TestCommands(t *testing.T) {
	for _, tc := range []struct{ name, script, want string }{
		{"all is well", "", ""},
		{"unknown", "cmd.run('top', {})", "5:10 error command-undeclared"},
		{"unknown, through pcall", "local ok, out = pcall(cmd.run, 'top', {})", "5:33 error command-undeclared"},
		{"by another name", "local c = cmd\nlocal r = c.run\nr('log', {'-k'})", "7:4 error command-arguments"},
		{"computed name", "cmd.run(report.get('N'), {})", "5:1 warning command-dynamic"},
		{"computed arguments", "cmd.run('log', report.names())", "5:1 warning argument-dynamic"},
		{"made elsewhere", "local t = {'-k'}\nt[#t + 1] = '-T'\ncmd.run('log', t)", "7:1 warning argument-dynamic"},
		{"changed later", "local t = {'-k', '-T'}\nfor i = 1, 2 do cmd.run('log', t) table.insert(t, 'x') end", "6:17 warning argument-dynamic"},
		{"changed by number", "local t = {'-k', '-T'}\nt[2] = 'x'\ncmd.run('log', t)", "7:1 warning argument-dynamic"},
		{"changed by a function", "local t = {'-k', '-T'}\nlocal function f(x) x[1] = 1 end\nf(t)\ncmd.run('log', t)", "8:1 warning argument-dynamic"},
		{"only read by a function", "local t = {'-k', '-T'}\nlocal function f(x) return x[1] end\nf(t)\ncmd.run('log', t)", ""},
		{"no list", "cmd.run('log')", "5:1 error command-arguments"},
		{"a text", "cmd.run('log', '-k')", "5:1 error command-arguments"},
		{"no list but a record", "cmd.run('log', {'-k', '-T', x = 1})", "5:1 error command-arguments"},
		{"too many", "cmd.run('log', {'-k', '-T', '-c'})", "5:10 error command-arguments"},
		{"another option", "cmd.run('log', {'-k', '-c'})", "5:24 error command-arguments"},
		{"option as a package", "cmd.run('files', {'-L', '--admindir=/x'})", "5:26 error command-arguments"},
		{"a number", "cmd.run('files', {'-L', 7})", "5:25 error command-arguments"},
		{"path outside", "cmd.run('owner', {'-S', '/etc/passwd'})", "5:26 error command-arguments"},
		{"path never open", "cmd.run('owner', {'-S', '/usr/bin/id_rsa'})", "5:26 error path-never-open"},
		{"chosen package", "cmd.run('files', {'-L', report.get('Package')})", "5:10 warning argument-dynamic"},
		{"computed option", "cmd.run('log', {'-k', report.get('O')})", "5:10 warning argument-dynamic"},
		{"open end", "cmd.run('files', {'-L', report.get('P'):match('%S+')})", "5:1 warning argument-dynamic"},
		{"through a wrapper", "local function run(n, a) local ok, out = pcall(cmd.run, n, a) return out end\nrun('log', {'-k', '-T'})\nrun('top', {})", "7:6 error command-undeclared"},
		{"one argument through a wrapper", "local function of(p) return cmd.run('files', {'-L', p}) end\nof('bash')\nof('../x')\nof(report.get('P'))", "7:5 error command-arguments, 8:1 warning argument-dynamic"},
		{"wrapper that calls itself", "local function of(p) cmd.run('files', {'-L', p}) of(p) end\nof('bash')", ""},
		{"wrapper that gets out", "local function of(p) cmd.run('files', {'-L', p}) end\nlocal t = {of}", "5:31 warning argument-dynamic"},
		{"loop over names", "for _, n in ipairs({'log', 'top'}) do cmd.run(n, {'-k', '-T'}) end", "5:29 error command-undeclared"},
		{"handed on", "local t = {cmd}", "5:12 warning capability-dynamic"},
		{"dynamic member", "cmd[report.get('N')]('log', {})", "5:1 warning capability-dynamic"},
		{"colon", "cmd:run('log', {})", "5:1 error method-call"},
		{"process of one's own", "fs.read('/proc/12/limits') fs.read('/proc/12/environ')", "5:37 error path-never-open"},
		{"open files may be counted, not read", "fs.list('/proc/12/fd')\nfs.stat('/proc/12/fd')", "6:10 error path-never-open"},
		{"other file of a process", "fs.read('/proc/' .. pid .. '/environ')", "5:1 error path-undeclared"},
		{"folder not declared", "fs.list('/etc')", "5:10 error path-undeclared"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := strings.TrimPrefix(strings.Join(found(t, all+tc.script, commands()), ", "), chosen)
			if got = strings.TrimPrefix(got, ", "); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// What is declared in vain is said for each kind, and nothing else is.
func TestUnused(t *testing.T) {
	want := []string{
		`the manifest asks to list "/proc/{pid}/fd", the script never does`,
		`the manifest asks to list "/var/crash", the script never does`,
		`the manifest asks to look at "/etc/**", the script never does`,
		`the manifest asks to read "/proc/{pid}/limits", the script never does`,
		`the manifest declares the command "files", the script never runs it`,
		`the manifest declares the command "log", the script never runs it`,
		`the manifest declares the command "owner", the script never runs it`,
	}
	var got []string
	for _, f := range lint.Check([]byte("local nothing = 1"), commands()) {
		got = append(got, f.Message)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A hook that runs as root is told what it cannot do over a report that
// somebody else filed.
func TestSteered(t *testing.T) {
	p := commands()
	p.As, p.Match.Package = hooks.AsRoot, "nginx"
	p.Capabilities.CmdRun[0].Args = []string{"-L", hooks.PlacePackage}
	script := strings.ReplaceAll(all, "bash", "nginx")
	if got := strings.Join(found(t, script, p), ", "); got != "0:0 warning root-exact-only, 0:0 warning root-exact-only, "+chosen {
		t.Errorf("wildcards: %s", got)
	}
	if got := strings.Join(found(t, all, p), ", "); !strings.Contains(got, "4:26 warning root-exact-only") {
		t.Errorf("another package: %s", got)
	}
	p.Match.Package = ""
	if got := strings.Join(found(t, script, p), ", "); strings.Count(got, "0:0 warning root-exact-only") != 3 {
		t.Errorf("no package in the match: %s", got)
	}
}

func TestDeclaredPaths(t *testing.T) {
	for _, tc := range []struct {
		pattern string
		refused bool
	}{
		{"/dev/*", true},
		{"/proc/self/status", true},
		{"/proc/{pid}/environ", true},
		{"/proc/{pid}/fd", true}, // for fs.list alone it is not
		{"/proc/{pid}/status", false},
		{"/home/alice/.ssh/**", true},
		{"/etc/ssl/private/*", true},
		{"/etc/shadow", true},
		{"/etc/**", false},
	} {
		p := hooks.Predicate{Capabilities: hooks.ReadingOnly(tc.pattern)}
		got := strings.Contains(strings.Join(found(t, "local nothing = 1", p), ", "), "0:0 error path-never-open")
		if got != tc.refused {
			t.Errorf("%s: refused %v, want %v", tc.pattern, got, tc.refused)
		}
	}
	p := hooks.Predicate{Capabilities: hooks.Capabilities{FSList: []string{"/proc/{pid}/fd"}}}
	if got := strings.Join(found(t, "local nothing = 1", p), ", "); strings.Contains(got, "error") {
		t.Errorf("counting open files: %s", got)
	}
}
