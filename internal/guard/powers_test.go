package guard

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hookline/hooks"
	"hookline/internal/guardwire"
	"hookline/sandbox"
)

// listing and kernelLog are commands as people sign them.
var (
	listing = hooks.Command{
		Name: "list", Program: "/usr/bin/dpkg-query", Args: []string{"-L", hooks.PlacePackage}, Paths: []string{}, Reads: []string{"/var/lib/dpkg/**"},
	}
	kernelLog = hooks.Command{Name: "log", Program: "/usr/bin/dmesg", Args: []string{}, Paths: []string{}, Reads: []string{}, Syslog: true}
)

func starts(commands ...hooks.Command) func(*hooks.Predicate) {
	return func(p *hooks.Predicate) { p.Capabilities.CmdRun = commands }
}

// What the owner has not kept out, and has allowed, may run.
func TestCeilingsOnCommands(t *testing.T) {
	for name, tc := range map[string]struct {
		ceilings Ceilings
		command  hooks.Command
		over     string
	}{
		"a program":                          {Ceilings{}, listing, ""},
		"a program, said again":              {Ceilings{Commands: ptr(true)}, listing, ""},
		"a program, kept out":                {Ceilings{Commands: ptr(false)}, listing, "to start /usr/bin/dpkg-query"},
		"the log":                            {Ceilings{}, kernelLog, "/usr/bin/dmesg to read the kernel's log"},
		"the log, allowed":                   {Ceilings{Syslog: true}, kernelLog, ""},
		"the log, allowed, but no programs":  {Ceilings{Syslog: true, Commands: ptr(false)}, kernelLog, "to start /usr/bin/dmesg"},
		"root does not come with a yes here": {Ceilings{Root: true}, kernelLog, "/usr/bin/dmesg to read the kernel's log"},
	} {
		p := newKit(t).predicate()
		starts(tc.command)(&p)
		if got := tc.ceilings.over(p, 0); got != tc.over {
			t.Errorf("%s: %q, want %q", name, got, tc.over)
		}
	}
}

// The owner is asked about all that a run could do, and the record keeps it.
func TestOwnerSeesEveryCapability(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksAsk)
	g.config.Ceilings.Syslog = true
	s := connect(t, g)
	all := hooks.Capabilities{
		FSRead: []string{"/proc/meminfo"}, FSList: []string{"/var/log"}, FSStat: []string{"/var/log/**"}, CmdRun: []hooks.Command{listing, kernelLog},
	}
	original := file(t, g)
	s.end(k.run(original, func(p *hooks.Predicate) { p.Capabilities = all }))
	e := lastEntry(t, g, KindDecision)
	if e.As != "service" || e.May == nil || !reflect.DeepEqual(*e.May, all) {
		t.Errorf("record: as %s, may %+v", e.As, e.May)
	}
	ask := owner(t, g, guardwire.Request{Op: guardwire.OpPending}).Pending[0]
	if got := (hooks.Capabilities{FSRead: ask.Reads, FSList: ask.Lists, FSStat: ask.Stats, CmdRun: ask.Commands}); !reflect.DeepEqual(got, all) {
		t.Errorf("asked about %+v", got)
	}
	if kept := k.reopened(g).ledger.now.Pending; !reflect.DeepEqual(kept[0].Commands, all.CmdRun) {
		t.Errorf("kept %+v", kept)
	}
}

// reopened is the guard after a restart.
func (k *kit) reopened(g *Guard) *Guard {
	k.t.Helper()
	if err := g.Close(); err != nil {
		k.t.Fatal(err)
	}
	return k.open()
}

// However much people sign, what waits for the owner fits into one answer: the
// oldest goes first.
func TestAskedRunsFitIntoOneAnswer(t *testing.T) {
	var s State
	for n := range 200 {
		p := guardwire.Pending{ID: strconv.Itoa(n)}
		for range 60 {
			p.Reads = append(p.Reads, strings.Repeat("<", 100)) // six bytes each in JSON
		}
		s.ask(p)
	}
	b, err := json.Marshal(s.Pending)
	if err != nil || len(b) > maxAskedBytes+len(s.Pending)+2 || len(b) < maxAskedBytes-(100<<10) {
		t.Fatalf("%d runs in %d bytes, %v", len(s.Pending), len(b), err)
	}
	if last := s.Pending[len(s.Pending)-1].ID; last != "199" {
		t.Errorf("the newest is %s", last)
	}
	var out bytes.Buffer
	if err := guardwire.WriteFrame(&out, guardwire.Reply{Pending: s.Pending}); err != nil {
		t.Error(err)
	}
}

// Who filed the report decides what a root hook may follow: nobody is taken
// for root by mistake.
func TestFilerOfTheReport(t *testing.T) {
	known := func(uid uint32) sandbox.Filer { return sandbox.Filer{UID: uid, Known: true} }
	for uid, want := range map[int]sandbox.Filer{
		0: known(0), 1000: known(1000), 65533: known(65533), 65534: {}, -1: {}, math.MaxUint32: {}, math.MaxUint32 - 1: known(math.MaxUint32 - 1), math.MaxInt: {},
	} {
		if got := (Kept{UID: uid}).filer(); got != want {
			t.Errorf("%d: %+v, want %+v", uid, got, want)
		}
	}
	k := newKit(t)
	var task sandbox.Task
	k.sandbox = func(_ context.Context, t sandbox.Task) (sandbox.Outcome, error) {
		task = t
		return sandbox.Outcome{Fields: hooks.Fields{"Answer": "42"}}, nil
	}
	g := k.optedIn(HooksYes)
	original := file(t, g)
	s := connect(t, g)
	s.end(k.run(original, nil))
	if want := known(uint32(os.Geteuid())); task.Filer != want || k.setting.Filer != want {
		t.Errorf("filer %+v, setting %+v, want %+v", task.Filer, k.setting.Filer, want)
	}
	// A copy that does not say who filed it.
	path := filepath.Join(k.dir, reportsDir, original+".json")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	nobody := regexp.MustCompile(`"uid":\d+,`).ReplaceAll(b, nil)
	if err := os.WriteFile(path, nobody, 0o600); err != nil || len(nobody) == len(b) {
		t.Fatal(err, string(b))
	}
	s.end(k.run(original, version(2)))
	if task.Filer.Known || k.setting.Filer.Known {
		t.Errorf("filer %+v, setting %+v, want nobody", task.Filer, k.setting.Filer)
	}
}

// The sandbox of a run gets the layers that the owner accepts to miss, and the
// network side's place in /proc.
func TestSettingOfTheSandbox(t *testing.T) {
	k := newKit(t).enroll()
	text := "send_reports: yes\nallow_hooks: yes\nsandbox: {allow_without: [namespaces, landlock]}\n"
	if err := os.WriteFile(filepath.Join(k.dir, configFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	g := k.open()
	g.setChild(4711)
	s := connect(t, g)
	s.end(k.run(file(t, g), nil))
	if got := k.setting; !slices.Equal(got.Without, []string{sandbox.LayerNamespaces, sandbox.LayerLandlock}) || !slices.Equal(got.Deny, []string{"/proc/4711"}) {
		t.Errorf("setting %+v", got)
	}
}
