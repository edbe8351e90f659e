package hooks_test

import (
	"strings"
	"testing"

	"hookline/hooks"
)

func TestNeverRead(t *testing.T) {
	for path, want := range map[string]bool{
		"/etc/passwd": false, "/etc/os-release": false, "/proc/meminfo": false, "/proc/123/status": false, "/proc/net/dev": false, "/proc": false, "/sys": false, "/": false, "/sys/class": false,
		"/sys/class/dmi/id/product_name": false, "/var/log/syslog": false, "/usr/lib/private-x": false, "/sys/bus/pci/devices/0000:00:01.0/vendor": false,
		"/home/alice/.ssh/id_ed25519.pub": true, "/root/.ssh": true, "/etc/ssl/private": true, "/etc/shadow": true, "/etc/shadow-": true,
		"/etc/ipsec.secrets": true, "/run/credentials/x.service/token": true, "/var/lib/systemd/credential.secret": true, "/etc/credstore/x": true,
		"/etc/wpa_supplicant/wpa_supplicant.conf": true, "/var/lib/samba/private/secrets.tdb": true, "/etc/postfix/sasl_passwd": true, "/etc/x.psk": true,
		"/proc/self/status": true, "/proc/1/environ": true, "/proc/12/task/13/environ": true, "/proc/12/fd": true, "/proc/kmsg": true, "/proc/kcore": true,
		"/proc/sys/net/ipv4/tcp_fastopen_key": true, "/srv/jail/proc/1/environ": true, "/srv/jail/proc/kcore": true, "/srv/jail/proc/meminfo": false,
		"/sys/kernel/debug/x": true, "/sys/firmware/efi/efivars/x": true, "/sys/fs/pstore/dmesg-1": true,
		"/sys/bus/pci/devices/0000:00:01.0/resource0": true, "/sys/devices/pci0000:00/0000:00:01.0/config": true, "/dev/mem": true,
	} {
		if got := hooks.NeverRead(path); (got != "") != want {
			t.Errorf("%s is never read: %q, want %v", path, got, want)
		}
	}
}

// Whatever path: an answer, and the same for all that lies below what is never
// read as a folder.
func FuzzNeverRead(f *testing.F) {
	for _, p := range []string{"/", "/sys", "/proc", "/dev", "/proc/1", "/a/proc", "/etc/shadow", "/proc/1/fd/3", "/sys/x/pci/rom", "/proc/", "//", ""} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		if !strings.HasPrefix(p, "/") {
			return
		}
		if hooks.NeverRead(p) == "" && hooks.CheckReads(p) == "" && strings.Contains(p+"/", "/environ/") && strings.HasPrefix(p, "/proc/1/") {
			t.Errorf("%q may be read", p)
		}
	})
}

func TestCheckReads(t *testing.T) {
	for path, want := range map[string]bool{
		"/usr/**": true, "/usr/share/doc/**": true, "/var/lib/dpkg/**": true, "/var/log/**": true, "/etc/dpkg/**": true, "/proc/meminfo": true, "/etc/hosts": true,
		"/opt/app/x.conf": true, "/etc/**": false, "/etc/NetworkManager/**": false, "/etc/letsencrypt/**": false, "/var/lib/docker/**": false, "/var/lib/**": false,
		"/opt/**": false, "/opt/app/**": false, "/data/**": false, "/home/**": false, "/root/x/**": false, "/var/log/private/**": false, "/usr/*": false, "/**": false,
		"/var/logs/**": false, "/etc/shadow": false, "/proc/1/limits": false, "/proc/{pid}/limits": false,
	} {
		if got := hooks.CheckReads(path); (got == "") != want {
			t.Errorf("a program may read %s: %q, want %v", path, got, want)
		}
	}
}
