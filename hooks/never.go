package hooks

import (
	"slices"
	"strings"
)

// NeverRead says why a clean absolute path is refused whatever was signed, ""
// where it is not: what belongs to a process rather than to the machine, the
// kernel's log and memory, devices, and secrets of people and services.
func NeverRead(p string) string {
	parts := strings.Split(strings.TrimPrefix(p, "/"), "/")
	switch parts[0] {
	case "dev":
		return "devices are never read"
	case "sys":
		return neverReadSys(parts[1:])
	}
	for i, part := range parts[:len(parts)-1] {
		if part != "proc" { // another of the kernel's may be mounted elsewhere
			continue
		}
		if reason := neverReadProc(parts[i+1:]); reason != "" {
			return reason
		}
	}
	if parts[0] == "proc" {
		return ""
	}
	return neverReadSecret(parts)
}

func neverReadSys(parts []string) string {
	if len(parts) == 0 {
		return "" // the folder itself
	}
	p := strings.Join(parts, "/")
	for _, folder := range []string{"kernel/debug", "kernel/tracing", "firmware/efi/efivars", "fs/pstore", "kernel/security"} {
		if p == folder || strings.HasPrefix(p, folder+"/") {
			return "files of the kernel for debugging, firmware and old logs are never read"
		}
	}
	name := parts[len(parts)-1]
	if strings.Contains("/"+p, "/pci") && (name == "config" || name == "rom" || strings.HasPrefix(name, "resource")) {
		return "devices are never read"
	}
	return ""
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
	case parts[len(parts)-1] == "tcp_fastopen_key":
		return "keys of the kernel are never read"
	case first == "" || first[0] < '0' || first[0] > '9':
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
	for _, dir := range parts { // the folder itself is not even listed
		if slices.Contains([]string{
			".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".password-store", "private", "keyrings",
			"secrets", "wireguard", "system-connections", "credentials", "credstore", "credstore.encrypted",
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
	for _, suffix := range []string{".key", ".pem", ".p12", ".pfx", ".keytab", ".jks", ".kdbx", ".ppk", ".token", "-token", "_history", "-secrets", ".secrets", ".secret", ".psk"} {
		if strings.HasSuffix(name, suffix) {
			return reason
		}
	}
	if slices.Equal(parts, []string{"etc", "kubernetes", name}) && strings.HasSuffix(name, ".conf") {
		return reason // they hold the cluster's client keys
	}
	exact := []string{
		"debian.cnf", ".netrc", ".pgpass", ".my.cnf", ".git-credentials", "krb5.keytab", "sudoers", ".htpasswd", "random-seed",
		"wpa_supplicant.conf", "secrets.tdb", "passdb.tdb", "smbpasswd", "sasl_passwd", "sasl_passwd.db", "tcp_fastopen_key", "auth.conf",
	}
	if slices.Contains(exact, name) {
		return reason
	}
	return ""
}
