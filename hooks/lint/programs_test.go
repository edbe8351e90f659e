package lint_test

import (
	"strings"
	"testing"

	"hookline/hooks"
	"hookline/hooks/lint"
)

// judged is the worst that is said about a command, "" for nothing.
func judged(line string) (worst, message string) {
	words := strings.Fields(line)
	c := hooks.Command{Name: "x", Program: words[0], Args: words[1:]}
	c.Syslog = strings.HasSuffix(words[0], "/dmesg")
	p := hooks.Predicate{Capabilities: hooks.Capabilities{CmdRun: []hooks.Command{c}}}
	for _, f := range lint.Check([]byte("cmd.run('x', {...})"), p) {
		if f.Line == 0 && (worst == "" || f.Severity == lint.SeverityError) {
			worst, message = f.Severity, f.Message
		}
	}
	return worst, message
}

func TestPrograms(t *testing.T) {
	for want, lines := range map[string][]string{
		"": {
			"/usr/bin/dmesg -k -T", "/bin/dmesg --level err,warn", "/usr/bin/dpkg-query -W {package}", "/usr/bin/dpkg --verify {package}",
			"/usr/bin/rpm -qi {package}", "/usr/bin/rpm -V {package}", "/usr/bin/find /var/crash -maxdepth 1 -name *.crash -newer /x -o -print",
			"/usr/bin/journalctl -k -n 100 -o json", "/usr/bin/journalctl -b --output=json", "/usr/bin/df -k --output=source,pcent", "/usr/bin/stat -c %s {path}",
			"/usr/bin/ps -o pid,rss -p {pid}", "/usr/bin/lsblk -o NAME,SIZE", "/usr/bin/grep -o x {path}", "/usr/bin/cat {path}", "/usr/bin/uname -a",
			"/usr/bin/readelf -h {path}", "/usr/bin/sha256sum {path}", "/usr/bin/sort -k2 -to {path}", "/bin/dmesg -lcrit", "/usr/bin/tail -n 5 {path}", "/usr/bin/head -c 512 {path}",
			"/usr/sbin/sysctl -n kernel.tainted", "/usr/lib/klibc/bin/uname", "/usr/bin/lsmod", "/usr/bin/date +%s", "/usr/bin/hostname -f",
			"/usr/bin/debsecan", "/usr/bin/envsubst", "/usr/bin/shuf", "/usr/bin/perldoc-like", "/usr/bin/lscpu -J", "/usr/bin/md5sum {path}", "/usr/bin/nm -D {path}",
		},
		"error": {
			"/bin/sh -c id", "/usr/bin/bash", "/usr/bin/busybox cat", "/usr/bin/dash", "/usr/bin/zsh", "/usr/bin/zsh5", "/bin/static-sh",
			"/usr/bin/python3 -V", "/usr/bin/python3.12", "/usr/bin/python3-dbg", "/usr/bin/perl5.36-x86_64-linux-gnu", "/usr/bin/lua5.1", "/usr/bin/php8.2", "/usr/bin/ruby",
			"/usr/bin/node", "/usr/bin/tclsh8.6", "/usr/bin/awk", "/usr/bin/mawk", "/usr/bin/gawk", "/usr/bin/sed -n 1p", "/usr/bin/vim.tiny", "/usr/bin/vi", "/usr/bin/ed",
			"/usr/bin/emacs", "/usr/bin/less", "/usr/bin/gdb", "/usr/bin/strace", "/usr/bin/env id", "/usr/bin/xargs", "/usr/bin/nice", "/usr/bin/nohup", "/usr/bin/setsid",
			"/usr/bin/timeout 5 id", "/usr/bin/stdbuf", "/usr/sbin/chroot", "/usr/bin/unshare", "/usr/bin/nsenter", "/usr/bin/sudo", "/bin/su", "/usr/bin/doas", "/usr/bin/pkexec",
			"/usr/sbin/runuser", "/usr/bin/setpriv", "/usr/bin/script", "/usr/bin/systemd-run", "/usr/bin/git", "/usr/bin/make", "/usr/bin/gcc-13", "/usr/bin/x86_64-linux-gnu-gcc-13",
			"/lib/ld-linux-aarch64.so.1", "/lib64/ld-linux-x86-64.so.2 /bin/true", "/usr/bin/ld.so", "/usr/bin/ldd", "/usr/bin/busybox", "/usr/bin/toybox",
			"/usr/bin/ssh", "/usr/bin/scp", "/usr/bin/curl", "/usr/bin/wget", "/usr/bin/nc", "/usr/bin/nc.openbsd", "/usr/bin/socat", "/usr/bin/rsync -e x", "/usr/bin/docker", "/usr/bin/systemctl",
			"/usr/bin/at", "/usr/bin/crontab", "/usr/bin/mount", "/usr/bin/dd", "/usr/bin/tee", "/usr/bin/cp", "/usr/bin/mv", "/usr/bin/rm", "/usr/bin/kill", "/usr/bin/killall", "/usr/sbin/reboot",
			"/usr/bin/tar -tf {path}", "/usr/sbin/mkfs.ext4", "/usr/bin/apt-get", "/usr/bin/flock",
			"/usr/bin/dmesg -c", "/usr/bin/dmesg -kC", "/usr/bin/dmesg --clear", "/usr/bin/dmesg --read-cl", "/usr/bin/dmesg -D", "/usr/bin/dmesg -TE", "/usr/bin/dmesg -n 1", "/usr/bin/dmesg -n1",
			"/usr/bin/dmesg --console-level=1", "/usr/bin/dmesg -w", "/usr/bin/dmesg --follow",
			"/usr/bin/find / -exec id ;", "/usr/bin/find / -execdir id ;", "/usr/bin/find / -ok id ;", "/usr/bin/find / -okdir id ;", "/usr/bin/find / -delete", "/usr/bin/find / -fprintf /x y", "/usr/bin/find / -fls /x",
			"/usr/bin/journalctl --vacuum-size=1", "/usr/bin/journalctl --rotate", "/usr/bin/journalctl -f", "/usr/bin/journalctl -kf", "/usr/bin/sort -o /x", "/usr/bin/sort --compress-prog=x", "/usr/bin/sort -ro/x",
			"/usr/bin/tail -f {path}", "/usr/bin/tail -5f {path}", "/usr/sbin/sysctl -w a=1", "/usr/sbin/sysctl kernel.x=1", "/usr/bin/date -s 0", "/usr/bin/hostname evil",
			"/usr/bin/dpkg -i {path}", "/usr/bin/dpkg --purge {package}", "/usr/bin/dpkg --force-all", "/usr/bin/rpm -e {package}", "/usr/bin/rpm --eval %(id)", "/usr/bin/rpm -Uvh {path}",
			"/usr/bin/unknown -exec", "/usr/bin/unknown --exec-batch", "/usr/bin/unknown --to-command=id", "/usr/bin/unknown --use-compress-program=x",
		},
		"warning": {
			"/usr/bin/dpkg -S {path}", "/usr/bin/dpkg -l", "/usr/bin/dpkg --listfiles {package}", "/usr/bin/unknown --pager=x", "/usr/bin/unknown -o x", "/usr/bin/unknown -o/x", "/usr/bin/unknown --output=/x",
			"/usr/bin/unknown --follow", "/usr/local/bin/tool", "/opt/x/tool", "/home/alice/tool", "/usr/bin/gzip -d {path}",
		},
	} {
		for _, line := range lines {
			if got, message := judged(line); got != want {
				t.Errorf("%s: %q, want %q (%s)", line, got, want, message)
			}
		}
	}
}

func TestSyslog(t *testing.T) {
	for _, tc := range []struct {
		program string
		syslog  bool
		want    string
	}{
		{"/usr/bin/dmesg", true, ""},
		{"/usr/bin/dmesg", false, "restricted"},
		{"/usr/bin/cat", true, "no use for the kernel's log"},
		{"/usr/bin/journalctl", true, ""},
		{"/usr/bin/journalctl", false, ""},
	} {
		p := hooks.Predicate{Capabilities: hooks.Capabilities{CmdRun: []hooks.Command{{Name: "x", Program: tc.program, Syslog: tc.syslog}}}}
		got := ""
		for _, f := range lint.Check([]byte("cmd.run('x', {})"), p) {
			got += f.Message
		}
		if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
			t.Errorf("%+v: %q", tc, got)
		}
	}
}
