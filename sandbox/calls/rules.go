package calls

import (
	"path"
	"slices"
	"strings"

	"hookline/hooks"
	"hookline/internal/errs"
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

// Rules decide which paths a run may read.
type Rules struct {
	allow hooks.Capabilities
	deny  []string // the peer's own files and folders, clean absolute paths
}

// NewRules returns the rules of a run. Paths at or under one of deny are
// refused whatever was signed.
func NewRules(c hooks.Capabilities, deny []string) Rules {
	r := Rules{allow: c}
	for _, d := range deny {
		if d = path.Clean(d); path.IsAbs(d) && d != "/" {
			r.deny = append(r.deny, d)
		}
	}
	return r
}

// Check returns why p may not be read, or nil.
func (r Rules) Check(p string) *Error {
	if err := CheckPath(p); err != nil {
		return err
	}
	if !r.allow.Reads(p) {
		return Denied("not within the signed capabilities")
	}
	return r.CheckDenied(p)
}

// CheckDenied returns why p may never be read, or nil.
func (r Rules) CheckDenied(p string) *Error {
	for _, d := range r.deny {
		if p == d || strings.HasPrefix(p, d+"/") {
			return Denied("belongs to the peer itself")
		}
	}
	if reason := neverRead(p); reason != "" {
		return Denied(reason)
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

// neverRead holds the refusals that no signature lifts: what belongs to a
// process rather than to the machine, the kernel's log and memory, devices,
// and secrets of people and services.
func neverRead(p string) string {
	parts := strings.Split(p[1:], "/")
	switch parts[0] {
	case "dev":
		return "devices are never read"
	case "proc":
		return neverReadProc(parts[1:])
	case "sys":
		if len(parts) > 2 && parts[1] == "kernel" && (parts[2] == "debug" || parts[2] == "tracing") {
			return "kernel debugging files are never read"
		}
		return ""
	}
	return neverReadSecret(parts)
}

func neverReadProc(parts []string) string {
	if len(parts) == 0 {
		return ""
	}
	switch first := parts[0]; {
	case first == "self" || first == "thread-self":
		return "the broker's own /proc entry is never read"
	case slices.Contains([]string{"kmsg", "kcore", "kpagecount", "kpageflags", "kpagecgroup", "keys", "key-users", "kallsyms", "sysrq-trigger", "vmcore"}, first):
		return "kernel memory and logs are never read"
	case first[0] < '0' || first[0] > '9':
		return ""
	}
	private := []string{
		"environ", "mem", "auxv", "pagemap", "map_files", "fd", "fdinfo", "root", "cwd", "exe",
		"maps", "smaps", "smaps_rollup", "numa_maps", "stack", "syscall", "clear_refs", "attr",
	}
	for _, part := range parts[1:] {
		if slices.Contains(private, part) {
			return "memory, environment and open files of processes are never read"
		}
	}
	return ""
}

func neverReadSecret(parts []string) string {
	const reason = "secrets and key files are never read"
	for _, dir := range parts[:len(parts)-1] {
		if slices.Contains([]string{
			".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".password-store", "private", "keyrings",
			"secrets", "wireguard", "system-connections",
		}, dir) {
			return reason
		}
	}
	name := parts[len(parts)-1]
	for _, prefix := range []string{"shadow", "gshadow", "opasswd", "id_", "ssh_host_", ".env"} {
		if strings.HasPrefix(name, prefix) && !strings.HasSuffix(name, ".pub") {
			return reason
		}
	}
	for _, suffix := range []string{".key", ".pem", ".p12", ".pfx", ".keytab", ".jks", ".kdbx", ".ppk", ".token", "-token", "_history", "-secrets"} {
		if strings.HasSuffix(name, suffix) {
			return reason
		}
	}
	if slices.Equal(parts, []string{"etc", "kubernetes", name}) && strings.HasSuffix(name, ".conf") {
		return reason // they hold the cluster's client keys
	}
	exact := []string{"debian.cnf", ".netrc", ".pgpass", ".my.cnf", ".git-credentials", "krb5.keytab", "sudoers", ".htpasswd", "random-seed"}
	if slices.Contains(exact, name) {
		return reason
	}
	return ""
}
