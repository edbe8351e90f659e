package examples_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hookline/hooks"
	"hookline/sandbox"
)

// somebody is an ordinary user, who needs no account.
const somebody = 4242

// testLive runs the example on this machine: as the guard of a peer does that
// runs as this test's user, and where that is root also as one of an ordinary
// user, by the command that its author would type.
func (e example) testLive(t *testing.T) {
	if os.Getuid() != 0 {
		t.Run("user", func(t *testing.T) { e.live(t, uint32(os.Getuid()), e.runHere) })
		return
	}
	t.Run("root", func(t *testing.T) { e.live(t, somebody, e.runHere) })
	t.Run("user", func(t *testing.T) { e.live(t, somebody, e.runAsUser) })
}

// live knows no value beforehand that is not the example's own: only names,
// types and sizes, and that nothing was asked which is not declared.
func (e example) live(t *testing.T, filer uint32, run func(*testing.T, sandbox.Task) sandbox.Outcome) {
	check := prepare(t, &e, filer)
	task := e.task()
	task.Filer.UID = filer
	out := run(t, task)
	ended(t, out)
	if len(out.Fields) == 0 {
		t.Error("it brings nothing on this machine")
	}
	if _, err := hooks.ParseFields([]byte(canonical(t, out.Fields)), task.Predicate.Fields); err != nil {
		t.Errorf("the fields are not as declared: %v\n%v", err, out.Fields)
	}
	for _, c := range out.Calls {
		if err := declared(e.manifest.Capabilities, c); err != nil {
			t.Errorf("it called %s %s: %v", c.Name, c.Arg, err)
		}
	}
	check(t, out)
}

// declared is why a call is not one of those that a manifest asks for.
func declared(c hooks.Capabilities, call sandbox.Call) error {
	paths, known := map[string][]string{"fs.read": c.FSRead, "fs.list": c.FSList, "fs.stat": c.FSStat}[call.Name]
	if known {
		if hooks.Cover(paths, call.Arg) == hooks.NotCovered {
			return fmt.Errorf("the manifest has only %v", paths)
		}
		return nil
	}
	words := strings.Fields(call.Arg)
	if call.Name != "cmd.run" || len(words) == 0 {
		return errors.New("no such call is declared")
	}
	command, ok := c.Command(words[0])
	if !ok {
		return errors.New("the manifest has no such command")
	}
	return command.Check(words[1:])
}

func (e example) runHere(t *testing.T, task sandbox.Task) sandbox.Outcome {
	runner := &sandbox.Runner{Binary: sandboxBinary(), Reporter: sandbox.Credential{UID: task.Filer.UID, GID: task.Filer.UID}}
	out, err := runner.Run(t.Context(), task)
	must(t, err)
	return out
}

// runAsUser types the command as the filer, over a copy that they can read.
func (e example) runAsUser(t *testing.T, task sandbox.Task) sandbox.Outcome {
	folder, err := os.MkdirTemp("", "hookline-example-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(folder) })
	must(t, os.Chmod(folder, 0o755))
	report, err := json.Marshal(task.Report)
	must(t, err)
	for name, content := range map[string][]byte{
		hooks.ScriptName: e.script, hooks.ManifestName: e.manifest.YAML(), "report.json": report,
	} {
		must(t, os.WriteFile(filepath.Join(folder, name), content, 0o644))
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "hookline"), "hook", "test", folder, "--live", "--yes", "--output", "json")
	cmd.Env = []string{"HOME=/nonexistent", "PATH=/usr/bin:/bin"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: task.Filer.UID, Gid: task.Filer.UID}}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	said, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, said, stderr.Bytes())
	}
	var out sandbox.Outcome
	numbers := json.NewDecoder(bytes.NewReader(said))
	numbers.UseNumber()
	must(t, numbers.Decode(&out))
	return out
}

// prepare gives an example what it is about on this machine, and returns what
// must then be seen there.
func prepare(t *testing.T, e *example, filer uint32) func(*testing.T, sandbox.Outcome) {
	t.Helper()
	switch e.name {
	case "disk-pressure":
		return checkFileSystems
	case "oom-history":
		return checkKernelLog
	case "package-integrity":
		return installed(t, e)
	case "service-limits":
		return service(t, e, filer)
	}
	return func(*testing.T, sandbox.Outcome) {}
}

// checkFileSystems holds the sizes against what the kernel says of each mount.
func checkFileSystems(t *testing.T, out sandbox.Outcome) {
	systems, _ := out.Fields["FileSystems"].([]any)
	if len(systems) == 0 {
		t.Fatalf("no file system: %+v", out)
	}
	for _, system := range systems {
		s := system.(map[string]any)
		var st unix.Statfs_t
		must(t, unix.Statfs(s["mount"].(string), &st))
		if want := fmt.Sprint(int64(st.Blocks) * st.Bsize / 1024); fmt.Sprint(s["size_kib"]) != want || s["type"] == "-" {
			t.Errorf("%s has %s KiB, and a type: %v", s["mount"], want, s)
		}
	}
}

// checkKernelLog expects the log exactly where the hook's program has got the
// permission to read it.
func checkKernelLog(t *testing.T, out sandbox.Outcome) {
	restricted, err := os.ReadFile("/proc/sys/kernel/dmesg_restrict")
	must(t, err)
	_, err = unix.Klogctl(unix.SYSLOG_ACTION_READ_ALL, make([]byte, 1))
	granted := err == nil && os.Getuid() == 0 && !strings.HasSuffix(t.Name(), "/user")
	switch readable := out.Fields["KernelLogReadable"] == true; {
	case granted && !readable:
		t.Errorf("the kernel's log is not readable: %v", out.Fields)
	case !granted && readable && strings.TrimSpace(string(restricted)) == "1":
		t.Errorf("the kernel's log is readable without permission: %v", out.Fields)
	case !readable && !strings.Contains(fmt.Sprint(out.Fields["KernelLogError"]), "not permitted"):
		t.Errorf("it does not say why the kernel's log is not readable: %v", out.Fields)
	}
}

// installed lets the package that crashed be one that is installed here.
func installed(t *testing.T, e *example) func(*testing.T, sandbox.Outcome) {
	version, err := exec.CommandContext(t.Context(), "dpkg-query", "--show", "--showformat=${Version}", "dpkg").Output()
	if err != nil {
		t.Logf("only that it says so is tested: this machine's programs are not from Debian packages: %v", err)
		return func(t *testing.T, out sandbox.Outcome) {
			if out.Fields["PackageProblem"] == nil {
				t.Errorf("%v", out.Fields)
			}
		}
	}
	e.report = maps.Clone(e.report)
	e.report[hooks.FieldPackage], e.report[hooks.FieldPackageVersion], e.manifest.Match.Package = "dpkg", string(version), "dpkg"
	return func(t *testing.T, out sandbox.Outcome) {
		f := out.Fields
		if f["InstalledVersion"] != string(version) || f["VersionDiffers"] != false || f["ChangedFileCount"] == nil || f["PackageProblem"] != nil {
			t.Errorf("dpkg %s: %v", version, f)
		}
		if strings.Contains(fmt.Sprint(f["ChangedFiles"], f["UncheckedFiles"]), "/usr/bin/") {
			t.Errorf("a program of dpkg was changed, or could not be checked: %v", f)
		}
	}
}

// service starts a process of the filer's and puts its number in the report.
func service(t *testing.T, e *example, filer uint32) func(*testing.T, sandbox.Outcome) {
	cmd := exec.CommandContext(t.Context(), "sleep", "60")
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: filer, Gid: filer}}
	}
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	e.report = maps.Clone(e.report)
	e.report["ProcPid"] = strconv.Itoa(cmd.Process.Pid)
	return func(t *testing.T, out sandbox.Outcome) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", cmd.Process.Pid))
		must(t, err)
		soft := regexp.MustCompile(`Max open files +(\w+)`).FindSubmatch(text)
		f := out.Fields
		limits, _ := f["Limits"].(map[string]any)
		files, _ := limits["open files"].(map[string]any)
		if f["ServiceFound"] != true || f["ServiceProcess"] != "sleep" || fmt.Sprint(files["soft"]) != string(soft[1]) {
			t.Errorf("a process with %s open files: %v", soft[1], f)
		}
		open, err := strconv.Atoi(fmt.Sprint(f["OpenFiles"]))
		if err != nil || open < 3 {
			t.Errorf("%v open files, want the standard ones at least: %v", f["OpenFiles"], out.Calls)
		}
	}
}
