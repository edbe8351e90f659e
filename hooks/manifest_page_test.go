package hooks_test

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hookline/hooks"
)

// page is docs/hook-yaml.md.
func page(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../docs/hook-yaml.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// keysOf are the keys of a struct that a manifest is read into, with those of
// the structs in it.
func keysOf(of reflect.Type) []string {
	for of.Kind() == reflect.Slice || of.Kind() == reflect.Map {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct {
		return nil
	}
	var keys []string
	for i := range of.NumField() {
		keys = append(keys, of.Field(i).Tag.Get("yaml"))
		keys = append(keys, keysOf(of.Field(i).Type)...)
	}
	return keys
}

// The page explains every key in a row of its own, and names everything that
// a key can be.
func TestPageOfTheManifest(t *testing.T) {
	text := page(t)
	sections := []string{"match", "capabilities", "fields", "limits", "as"} // with a heading of their own
	keys := keysOf(reflect.TypeFor[hooks.Manifest]())
	if len(keys) < 30 || slices.Contains(keys, "") {
		t.Fatalf("keys: %q", keys)
	}
	for _, key := range keys {
		row := regexp.MustCompile("(?m)^\\| `(match\\.)?" + regexp.QuoteMeta(key) + "` \\|")
		heading := slices.Contains(sections, key) && (strings.Contains(text, "\n## "+key+"\n") || strings.Contains(text, "`"+key+"."))
		if !row.MatchString(text) && !heading {
			t.Errorf("no row explains %s", key)
		}
	}
	values := []string{
		string(hooks.LevelProblem), string(hooks.LevelPackage), hooks.PlacePackage, hooks.PlacePID, hooks.PlacePath,
		string(hooks.AsService), string(hooks.AsReporter), string(hooks.AsRoot),
		string(hooks.TypeText), string(hooks.TypeInt), string(hooks.TypeNumber), string(hooks.TypeBool), string(hooks.TypeJSON),
	}
	for _, class := range hooks.FieldClasses() {
		values = append(values, string(class), "class."+string(class))
	}
	for _, value := range values {
		if !strings.Contains(text, "`"+value+"`") {
			t.Errorf("the page does not name %s", value)
		}
	}
}

// The caps that the page tells are those of the code.
func TestPageTellsTheCaps(t *testing.T) {
	text := page(t)
	for key, want := range map[string]int{
		"max_reports": hooks.MaxReports, "max_runs_per_peer": hooks.MaxRunsPerPeer, "max_bytes": hooks.MaxTotalBytes,
		"max_result_bytes": hooks.MaxResultBytes, "fs.read": hooks.MaxPaths, "fs.list": hooks.MaxPaths, "fs.stat": hooks.MaxPaths,
		"cmd.run": hooks.MaxCommands, "match.fingerprints": hooks.MaxFingerprints, "name": hooks.MaxNameLength, "hook": hooks.MaxNameLength,
		"args": hooks.MaxArguments, "paths": hooks.MaxPaths, "reads": hooks.MaxPaths,
	} {
		row := regexp.MustCompile("(?m)^\\| `" + regexp.QuoteMeta(key) + "` \\|.*\\b" + strconv.Itoa(want) + "\\b")
		if !row.MatchString(text) {
			t.Errorf("the row of %s does not tell %d", key, want)
		}
	}
	for _, says := range []string{
		"| `max_runtime` | time | " + strconv.Itoa(hooks.MaxRuntimeSeconds) + "s |", "1 to " + strconv.Itoa(hooks.MaxResultFields) + " new fields",
		"at most " + strconv.Itoa(hooks.MaxFieldNameLength) + " bytes of printable ASCII without spaces", "at most " + strconv.Itoa(hooks.MaxPathLength) + " bytes",
		strconv.Itoa(hooks.MaxArgumentLength) + " bytes of printable ASCII", strconv.Itoa(hooks.MaxManifestBytes>>10) + " KiB",
	} {
		if !strings.Contains(text, says) {
			t.Errorf("the page does not say %q", says)
		}
	}
}

// The example of the page is a manifest with every capability and
// placeholder, and what the page calls refused is.
func TestExampleOfThePage(t *testing.T) {
	_, rest, _ := strings.Cut(page(t), "```yaml\n")
	example, _, _ := strings.Cut(rest, "```\n")
	m, err := hooks.ParseManifest([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	if c := m.Capabilities; len(c.FSRead) == 0 || len(c.FSList) == 0 || len(c.FSStat) == 0 || len(c.CmdRun) != 3 {
		t.Errorf("%+v", c)
	}
	const reads = "reads: [/proc/mounts]"
	var trees string
	for _, refused := range []string{
		"/a/*", "/a/**", "/etc/**", "/etc/nginx/**", "/home/**", "/home/alice/**", "/root/**", "/tmp/**", "/srv/**", "/proc/**", "/var/**", "/proc/1/status",
	} {
		_, err := hooks.ParseManifest([]byte(strings.Replace(example, reads, "reads: ["+refused+"]", 1)))
		if err == nil || !strings.Contains(err.Error(), "reads") {
			t.Errorf("reads %s: %v", refused, err)
			continue
		}
		if refused == "/a/**" {
			_, trees, _ = strings.Cut(err.Error(), "(folders: ")
		}
	}
	for tree := range strings.SplitSeq(strings.TrimSuffix(trees, ")"), ", ") {
		if !strings.HasPrefix(tree, "/") || !strings.Contains(page(t), "`"+tree+"`") {
			t.Errorf("the page does not say that a program may be given %q", tree)
		}
	}
	for _, open := range []string{"/etc/dpkg/**", "/etc/nginx/nginx.conf", "/proc/mounts"} {
		if _, err := hooks.ParseManifest([]byte(strings.Replace(example, reads, "reads: ["+open+"]", 1))); err != nil {
			t.Error(err)
		}
	}
	if _, err := hooks.ParseManifest([]byte(strings.Replace(example, `"{path}"`, `"--root={path}"`, 1))); err == nil {
		t.Error("a placeholder within an argument is taken")
	}
}
