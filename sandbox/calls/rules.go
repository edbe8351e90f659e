package calls

import (
	"fmt"
	"path"
	"strings"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/sandbox"
)

// Error is why a call was refused or failed. Code is one of errs.CodeDenied,
// CodeLimitRead, CodeLimitResult, CodeCallFailed, and the field codes.
type Error struct {
	Code    errs.Code
	Message string
}

func (e *Error) Error() string { return e.Message }

// Denied returns a refusal: the call is outside what was signed, or never allowed.
func Denied(message string) *Error { return &Error{Code: errs.CodeDenied, Message: message} }

// Failed returns the failure of an allowed call.
func Failed(message string) *Error { return &Error{Code: errs.CodeCallFailed, Message: message} }

// TooLarge is the refusal of a file over its cap.
func TooLarge() *Error {
	return &Error{Code: errs.CodeLimitRead, Message: "the file is larger than 256 KiB"}
}

// TooMany is the refusal of a folder over its cap.
func TooMany() *Error {
	return &Error{Code: errs.CodeLimitRead, Message: fmt.Sprintf("the folder has more than %d names, or 256 KiB of them", sandbox.MaxListed)}
}

// TooMuchOutput is how a command over its cap ends.
func TooMuchOutput() *Error {
	return &Error{Code: errs.CodeLimitOutput, Message: "the command printed more than 256 KiB"}
}

// Rules decide which paths one capability of a run opens.
type Rules struct {
	patterns []string
	deny     []string // the peer's own files and folders, clean absolute paths
	filer    sandbox.Filer
	steered  bool // the report must not choose
	handles  bool // the folder fd of a process may be counted
}

// ruleBook is the rules of a run.
type ruleBook struct{ read, list, stat Rules }

func newRuleBook(t sandbox.Task, deny []string) ruleBook {
	c := t.Predicate.Capabilities
	b := ruleBook{read: NewRules(c.FSRead, t, deny), list: NewRules(c.FSList, t, deny), stat: NewRules(c.FSStat, t, deny)}
	b.list.handles, b.stat.handles = true, true
	return b
}

// NewRules returns the rules of one capability of a run. Paths at or under
// one of deny are refused whatever was signed.
func NewRules(patterns []string, t sandbox.Task, deny []string) Rules {
	r := Rules{patterns: patterns, filer: t.Filer, steered: t.Steered()}
	for _, d := range deny {
		if d = path.Clean(d); path.IsAbs(d) && d != "/" {
			r.deny = append(r.deny, d)
		}
	}
	return r
}

// Check returns why p is not open, or nil.
func (r Rules) Check(p string) *Error {
	if err := CheckPath(p); err != nil {
		return err
	}
	switch hooks.Cover(r.patterns, p) {
	case hooks.NotCovered:
		return Denied("not within the signed capabilities")
	case hooks.ByPattern:
		if r.steered {
			return Denied(onlyExact)
		}
	case hooks.ByProcess:
		return r.checkProcess(p)
	}
	return r.CheckDenied(p)
}

// onlyExact keeps whoever forges a report from choosing what root reads.
const onlyExact = "a hook that runs as root over a report that somebody else filed opens exact paths only"

// checkProcess is Check for a file of a process that belongs to the user who
// filed the report; who it belongs to is seen when it is opened. Their open
// files may be counted, which is all that the names in fd are good for.
func (r Rules) checkProcess(p string) *Error {
	if !r.filer.Known {
		return Denied("it is not known who filed the report, so no process is theirs")
	}
	if _, file, ok := hooks.ProcessPath(p); ok && r.handles && file == "fd" {
		return r.checkOwn(p)
	}
	return r.CheckDenied(p)
}

// Owner returns the user whom the process of path p must belong to; false
// where the path is open whoever the process belongs to, or is no process's.
func (r Rules) Owner(p string) (uid uint32, must bool) {
	return r.filer.UID, hooks.Cover(r.patterns, p) == hooks.ByProcess
}

// CheckDenied returns why p may never be read, or nil.
func (r Rules) CheckDenied(p string) *Error {
	if err := r.checkOwn(p); err != nil {
		return err
	}
	if reason := hooks.NeverRead(p); reason != "" {
		return Denied(reason)
	}
	return nil
}

// checkOwn refuses what belongs to the peer.
func (r Rules) checkOwn(p string) *Error {
	for _, d := range r.deny {
		if p == d || strings.HasPrefix(p, d+"/") {
			return Denied("belongs to the peer itself")
		}
	}
	return nil
}

// checkCommand returns why a command may not run with these arguments, or nil.
func (b ruleBook) checkCommand(t sandbox.Task, name string, args []string) *Error {
	cmd, ok := t.Predicate.Capabilities.Command(name)
	if !ok {
		return Denied("not among the signed commands")
	}
	if err := cmd.Check(args); err != nil {
		return Denied(err.Error())
	}
	if chosen := t.Predicate.Chosen(cmd, args); t.Steered() && len(chosen) > 0 {
		return Denied(onlyExact)
	}
	for i, place := range cmd.Args {
		if place != hooks.PlacePath {
			continue
		}
		if err := b.read.CheckDenied(args[i]); err != nil {
			return err
		}
	}
	return nil
}

// CheckPath refuses paths that are not clean, absolute and printable ASCII.
func CheckPath(p string) *Error {
	switch {
	case len(p) > hooks.MaxPathLength:
		return Denied("path is too long")
	case !path.IsAbs(p) || path.Clean(p) != p:
		return Denied("path must be absolute, without . and .. and doubled slashes")
	}
	for i := range len(p) {
		if p[i] < 0x20 || p[i] > 0x7e {
			return Denied("path must be printable ASCII")
		}
	}
	return nil
}
