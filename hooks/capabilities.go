package hooks

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"hookline/internal/errs"
)

// Capabilities are what a hook may do beyond reading its report and the
// facts of the peer. An empty list grants nothing.
//
// A path is exact ("/a/b"), or covers one level ("/a/*") or any depth
// ("/a/**") under a folder, the folder itself not included, or it is a file of
// a process, "/proc/{pid}/limits", where the process belongs to the user who
// filed the report.
type Capabilities struct {
	FSRead []string  `json:"fs.read" yaml:"fs.read"` // files that fs.read opens; sorted, as all lists here
	FSList []string  `json:"fs.list" yaml:"fs.list"` // folders that fs.list lists
	FSStat []string  `json:"fs.stat" yaml:"fs.stat"` // what fs.stat looks at
	CmdRun []Command `json:"cmd.run" yaml:"cmd.run"` // sorted by name
}

// canonical is c as a statement has it: every list there, the commands sorted.
func (c Capabilities) canonical() Capabilities {
	for _, list := range []*[]string{&c.FSRead, &c.FSList, &c.FSStat} {
		if *list == nil {
			*list = []string{}
		}
	}
	c.CmdRun = slices.SortedFunc(slices.Values(c.CmdRun), func(a, b Command) int { return strings.Compare(a.Name, b.Name) })
	if c.CmdRun == nil {
		c.CmdRun = []Command{}
	}
	return c
}

// ReadingOnly are capabilities that let a hook read the given paths, sorted,
// and nothing else.
func ReadingOnly(paths ...string) Capabilities {
	return Capabilities{FSRead: append([]string{}, paths...)}.canonical()
}

// Reads reports whether fs.read may open a clean absolute path.
func (c Capabilities) Reads(p string) bool { return Cover(c.FSRead, p) != NotCovered }

// Coverage says how patterns of a capability cover a path.
type Coverage int

// The coverages, the closest one last.
const (
	NotCovered   Coverage = iota
	ByPattern             // "/a/*", "/a/**": the caller chose which
	ByProcess             // "/proc/{pid}/…": a process of the user who filed the report
	CoveredExact          // the very path was signed
)

// Cover returns how patterns cover a clean absolute path: the closest way.
func Cover(patterns []string, p string) Coverage {
	best := NotCovered
	for _, pattern := range patterns {
		best = max(best, cover(pattern, p))
	}
	return best
}

func cover(pattern, p string) Coverage {
	if dir, ok := strings.CutSuffix(pattern, "/**"); ok {
		if rest, ok := strings.CutPrefix(p, dir+"/"); ok && rest != "" {
			return ByPattern
		}
		return NotCovered
	}
	if dir, ok := strings.CutSuffix(pattern, "/*"); ok {
		if rest, ok := strings.CutPrefix(p, dir+"/"); ok && rest != "" && !strings.Contains(rest, "/") {
			return ByPattern
		}
		return NotCovered
	}
	if rest, ok := strings.CutPrefix(pattern, processPrefix); ok {
		if _, file, ok := ProcessPath(p); ok && file == rest {
			return ByProcess
		}
		return NotCovered
	}
	if pattern == p {
		return CoveredExact
	}
	return NotCovered
}

// processPrefix starts the paths of a process that is named at the call.
const processPrefix = "/proc/" + PlacePID + "/"

// maxPID is the highest number that the kernel gives a process (PID_MAX_LIMIT).
const maxPID = 4 << 20

// ProcessPath splits "/proc/123/limits" into the process's number and
// "limits"; false where p is no path below a process.
func ProcessPath(p string) (pid, file string, ok bool) {
	rest, ok := strings.CutPrefix(p, "/proc/")
	if !ok {
		return "", "", false
	}
	pid, file, ok = strings.Cut(rest, "/")
	return pid, file, ok && file != "" && validPID(pid)
}

func validPID(s string) bool {
	if s == "" || len(s) > 7 || s[0] == '0' || strings.Trim(s, "0123456789") != "" {
		return false
	}
	n := 0
	for i := range len(s) {
		n = 10*n + int(s[i]-'0')
	}
	return n <= maxPID
}

func (p Predicate) checkCapabilities() *errs.Error {
	c := p.Capabilities
	for _, l := range []struct {
		key   string
		paths []string
	}{{"fs.read", c.FSRead}, {"fs.list", c.FSList}, {"fs.stat", c.FSStat}} {
		if err := checkPaths("capabilities."+l.key, l.paths, checkPath); err != nil {
			return err
		}
	}
	return checkCommands(c.CmdRun)
}

// checkPaths holds a sorted list of paths against its caps, and each path
// against problem, which says what is wrong with it.
func checkPaths(key string, paths []string, problem func(string) string) *errs.Error {
	if paths == nil {
		return malformed(key, "must be a list")
	}
	if len(paths) > MaxPaths {
		return malformed(key, "must list at most %d paths", MaxPaths)
	}
	for i, s := range paths {
		field := fmt.Sprintf("%s[%d]", key, i)
		if problem := problem(s); problem != "" {
			return malformed(field, "%s", problem)
		}
		if i > 0 && paths[i-1] >= s {
			return malformed(field, "the list must be sorted, each entry once")
		}
	}
	return nil
}

// checkPath says what is wrong with a capability's path, "" for nothing.
func checkPath(s string) string {
	base, deep := strings.CutSuffix(s, "/**")
	if !deep {
		base = strings.TrimSuffix(s, "/*")
	}
	if strings.Contains(base, "*") {
		return `may have a "*" only as "/*" or "/**" at its end`
	}
	switch {
	case len(s) > MaxPathLength:
		return fmt.Sprintf("is longer than %d bytes", MaxPathLength)
	case !printable(s, true):
		return "must be printable ASCII"
	case s == "":
		return "is empty"
	case base == "":
		return "must not open the whole file system"
	case !strings.HasPrefix(base, "/"):
		return "must be absolute"
	case path.Clean(base) != base || base == "/":
		return `must be clean, without "//", "." or ".."`
	}
	return checkPlaceholder(s)
}

// checkPlaceholder allows a placeholder in a path only as the process of
// "/proc/{pid}/name".
func checkPlaceholder(s string) string {
	if file, ok := strings.CutPrefix(s, processPrefix); ok {
		if strings.ContainsAny(file, "*{}") || file == "" {
			return "must name one file below /proc/{pid}, without * or another placeholder"
		}
		return ""
	}
	if strings.ContainsAny(s, "{}") {
		return "may have a placeholder only as /proc/{pid}/name"
	}
	return ""
}

// sortedUnique sorts a list in place and returns the index of the first entry
// that comes twice, -1 for none.
func sortedUnique(list []string) int {
	slices.Sort(list)
	for i := 1; i < len(list); i++ {
		if list[i] == list[i-1] {
			return i
		}
	}
	return -1
}
