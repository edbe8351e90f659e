package hooks

import (
	"fmt"
	"slices"
	"strings"

	"hookline/internal/errs"
)

// Caps on commands.
const (
	MaxCommands       = 16  // of one hook
	MaxArguments      = 32  // of one command
	MaxArgumentLength = 256 // bytes; a path may be MaxPathLength
)

// The placeholders of a command's arguments. Each is a whole argument, so that
// what a hook puts there cannot become an option or a second argument.
const (
	PlacePackage = "{package}" // a Debian package name
	PlacePID     = "{pid}"     // a process of the user who filed the report
	PlacePath    = "{path}"    // a path within Command.Paths
)

// Command is a program that a hook may run: cmd.run(Name, {…}).
type Command struct {
	Name    string   `json:"name" yaml:"name"`       // what the hook calls it: a-z, 0-9, inner dashes
	Program string   `json:"program" yaml:"program"` // absolute
	Args    []string `json:"args" yaml:"args"`       // each exact, or a placeholder
	Paths   []string `json:"paths" yaml:"paths"`     // what {path} may be, as in fs.read; sorted
	Reads   []string `json:"reads" yaml:"reads"`     // what the program may read: "/a/b", or "/a/**" with all below; sorted
	Syslog  bool     `json:"syslog" yaml:"syslog"`   // may read the kernel's log, as dmesg does
}

// Command returns the command of that name.
func (c Capabilities) Command(name string) (Command, bool) {
	i := slices.IndexFunc(c.CmdRun, func(cmd Command) bool { return cmd.Name == name })
	if i < 0 {
		return Command{}, false
	}
	return c.CmdRun[i], true
}

// Check holds the arguments that a hook gave against the signed pattern: as
// many, each the same or a value of its placeholder's type. The error is for
// the hook's author.
func (c Command) Check(args []string) error {
	if len(args) != len(c.Args) {
		return fmt.Errorf("%s takes %d argument(s), not %d: give the whole list as signed: %s", c.Name, len(c.Args), len(args), c.signed())
	}
	for i, pattern := range c.Args {
		if err := c.checkArgument(pattern, args[i]); err != nil {
			return fmt.Errorf("argument %d of %s: %w", i+1, c.Name, err)
		}
	}
	return nil
}

// signed is the list of arguments for a message.
func (c Command) signed() string {
	if len(c.Args) == 0 {
		return "none"
	}
	return clip(strings.Join(c.Args, " "))
}

func (c Command) checkArgument(pattern, value string) error {
	switch pattern {
	case PlacePackage:
		if !validPackage(value) {
			return fmt.Errorf("%q is no package name", clip(value))
		}
	case PlacePID:
		if !validPID(value) {
			return fmt.Errorf("%q is no process number", clip(value))
		}
	case PlacePath:
		if problem := checkPath(value); problem != "" || strings.ContainsAny(value, "*{}") {
			return fmt.Errorf("%q is no absolute, clean path of printable ASCII", clip(value))
		}
		if Cover(c.Paths, value) == NotCovered {
			return fmt.Errorf("%q is not within the signed paths", clip(value))
		}
	default:
		if value != pattern {
			return fmt.Errorf("it must be %q, not %q", clip(pattern), clip(value))
		}
	}
	return nil
}

// Chosen returns the arguments, of args that Check passed, that the hook chose
// rather than the people who signed: those of placeholders, but for a path
// that was itself signed and for the package that the hook belongs to.
func (p Predicate) Chosen(c Command, args []string) []string {
	var chosen []string
	for i, pattern := range c.Args {
		switch {
		case pattern == PlacePackage && p.Match.Package != "" && args[i] == p.Match.Package:
		case pattern == PlacePath && Cover(c.Paths, args[i]) == CoveredExact:
		case placeholder(pattern):
			chosen = append(chosen, args[i])
		}
	}
	return chosen
}

func placeholder(arg string) bool {
	return arg == PlacePackage || arg == PlacePID || arg == PlacePath
}

func checkCommands(commands []Command) *errs.Error {
	const key = "capabilities.cmd.run"
	if commands == nil {
		return malformed(key, "must be a list")
	}
	if len(commands) > MaxCommands {
		return malformed(key, "must list at most %d commands", MaxCommands)
	}
	for i, c := range commands {
		field := fmt.Sprintf("%s[%d]", key, i)
		if err := c.check(field); err != nil {
			return err
		}
		if i > 0 && commands[i-1].Name >= c.Name {
			return malformed(field+".name", "the commands must be sorted by name, each once")
		}
	}
	return nil
}

func (c Command) check(field string) *errs.Error {
	if !ValidHookName(c.Name) {
		return malformed(field+".name", "must be a name of lowercase letters, digits and inner dashes, at most %d bytes", MaxNameLength)
	}
	if problem := checkPath(c.Program); problem != "" {
		return malformed(field+".program", "%s", problem)
	}
	if strings.ContainsAny(c.Program, "*{}") || NeverRead(c.Program) != "" {
		return malformed(field+".program", "must name one program")
	}
	if err := c.checkArgs(field + ".args"); err != nil {
		return err
	}
	if err := checkPaths(field+".paths", c.Paths, checkPathArgument); err != nil {
		return err
	}
	if slices.Contains(c.Args, PlacePath) != (len(c.Paths) > 0) {
		return malformed(field+".paths", "must list what %s may be, and be empty without one", PlacePath)
	}
	return checkPaths(field+".reads", c.Reads, CheckReads)
}

func (c Command) checkArgs(field string) *errs.Error {
	if c.Args == nil {
		return malformed(field, "must be a list")
	}
	if len(c.Args) > MaxArguments {
		return malformed(field, "must list at most %d arguments", MaxArguments)
	}
	for i, a := range c.Args {
		field := fmt.Sprintf("%s[%d]", field, i)
		switch {
		case a == "" || len(a) > MaxArgumentLength || !printable(a, true):
			return malformed(field, "must be 1 to %d bytes of printable ASCII", MaxArgumentLength)
		case looksPlaced(a) && !placeholder(a):
			return malformed(field, "must be exact, or one of %s, %s, %s alone", PlacePackage, PlacePID, PlacePath)
		}
	}
	return nil
}

// looksPlaced reports whether an argument has a lowercase word in braces: a
// placeholder, or what somebody took for one. Other braces are ordinary text
// ("${Version}").
func looksPlaced(arg string) bool {
	for {
		_, rest, ok := strings.Cut(arg, "{")
		if !ok {
			return false
		}
		word, _, shut := strings.Cut(rest, "}")
		if shut && word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyz") == "" {
			return true
		}
		arg = rest
	}
}

func checkPathArgument(s string) string {
	if problem := checkPath(s); problem != "" {
		return problem
	}
	if strings.ContainsAny(s, "{}") {
		return "must have no placeholder"
	}
	return ""
}

// CheckReads says what is wrong with a path that a program may read, "" for
// nothing. What the kernel is told is a file, or a folder with all below:
// whatever it holds is open, so that only folders will do in which nobody
// keeps secrets.
func CheckReads(s string) string {
	if problem := checkPathArgument(s); problem != "" {
		return problem
	}
	tree, deep := strings.CutSuffix(s, "/**")
	if !deep {
		if strings.HasSuffix(s, "/*") {
			return "must be one file, or a folder with all below (/**)"
		}
		if reason := NeverRead(s); reason != "" {
			return "is never open: " + reason
		}
		if _, _, ok := ProcessPath(s); ok {
			return "must not name a process"
		}
		return ""
	}
	if reason := NeverRead(tree); reason != "" {
		return "is never open: " + reason
	}
	for _, public := range publicTrees() {
		if tree == public || strings.HasPrefix(tree, public+"/") {
			return ""
		}
	}
	return "is no folder that a program may be given with all below; name the files that are needed (folders: " +
		strings.Join(publicTrees(), ", ") + ")"
}

// publicTrees are the folders that programs may be given with all below: what
// packages bring, what is known of them, and logs.
func publicTrees() []string {
	return []string{
		"/bin", "/etc/alternatives", "/etc/apt/sources.list.d", "/etc/dpkg", "/etc/ld.so.conf.d", "/etc/modprobe.d", "/etc/sysctl.d", "/etc/systemd",
		"/etc/udev", "/lib", "/lib32", "/lib64", "/run/log", "/sbin", "/usr", "/var/cache/apt", "/var/lib/apt", "/var/lib/dpkg", "/var/lib/rpm", "/var/log",
	}
}
