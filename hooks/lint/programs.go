package lint

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
)

// What people are asked to sign is a program with its arguments. That means
// something only if the program does what its name says: not if it runs what
// it is given (shells, interpreters), starts other programs, or changes the
// machine. The confinement stops all of them from doing harm; here they are
// refused because a reviewer cannot judge them, or because they cannot work.

// class is a kind of program that is refused.
type class struct {
	why   string
	names string // without version numbers, separated by spaces
	heads string // beginnings of names
}

func classes() []class {
	return []class{
		{
			why:   "is a shell, which runs whatever it is given",
			names: "sh ash bash dash zsh ksh mksh lksh pdksh oksh csh tcsh fish rbash rksh rc es elvish nu xonsh yash posh static-sh busybox toybox",
		},
		{
			why: "is an interpreter, which runs whatever it is given",
			names: "awk gawk mawk nawk original-awk goawk sed gsed ed red ex m4 dc python pypy perl ruby irb jruby node nodejs deno bun lua luajit " +
				"texlua php php-cgi tclsh wish expect guile racket scheme csi clisp sbcl ecl java jshell jjs groovy scala kotlin ghc runghc " +
				"ocaml erl escript elixir iex R Rscript julia octave gnuplot swipl gdbm sqlite duckdb psql mysql mariadb mongo mongosh redis-cli " +
				"yq mlr bpftrace stap dtrace qjs osascript pwsh gforth",
		},
		{
			why: "is an editor or pager, which runs commands and writes files",
			names: "vi vim nvim view rview vimdiff nano pico emacs emacsclient micro joe mcedit editor sensible-editor sensible-pager pager " +
				"less more most man info mutt mc screen tmux dialog whiptail",
			heads: "vim.",
		},
		{
			why: "starts another program; declare that one",
			names: "env xargs parallel nice ionice nohup setsid timeout stdbuf unbuffer time chrt taskset numactl prlimit choom setarch linux32 linux64 i386 " +
				"chroot unshare nsenter setpriv capsh sudo sudoedit su doas pkexec runuser sg newgrp gosu start-stop-daemon daemonize flock watch entr " +
				"script scriptreplay systemd-run systemd-nspawn systemd-inhibit bwrap firejail fakeroot eatmydata proot runcon make gmake ninja cmake meson " +
				"git hg svn bzr gcc cc g++ c++ cpp clang go cargo rustc ld as gold lld ldd ld.so ld.bfd apt apt-get aptitude dnf yum zypper pacman snap flatpak " +
				"pip pipx npm npx gem run-parts logrotate cron anacron init telinit dpkg-reconfigure debconf service invoke-rc.d update-alternatives " +
				"gdb gdbserver lldb strace ltrace rr perf valgrind uftrace crash coredumpctl debsums reportbug apport-cli sosreport needrestart",
			heads: "ld-linux ld-musl ld-2. ld64. systemd-run",
		},
		{
			why: "speaks to the network or to a service, which a command here cannot",
			names: "ssh scp sftp sshfs ftp lftp tftp telnet curl wget aria2c nc ncat netcat nc.openbsd nc.traditional socat rsync rclone ping tracepath traceroute mtr " +
				"dig host nslookup drill whois nmap tcpdump tshark wireshark dumpcap iperf openvpn ip ifconfig route iptables nft ss bridge tc ethtool " +
				"docker podman nerdctl ctr crictl kubectl lxc incus virsh machinectl systemctl loginctl hostnamectl timedatectl localectl resolvectl networkctl " +
				"busctl dbus-send dbus-monitor gdbus nmcli firewall-cmd udisksctl snapctl at atq atrm batch lp lpr mail sendmail logger wall write",
			heads: "iptables- ip6tables",
		},
		{
			why: "changes the machine, which a hook never does",
			names: "dd tee cp mv rm rmdir ln link unlink install mkdir mktemp mknod mkfifo touch truncate shred fallocate chmod chown chgrp chattr setfattr setfacl setcap " +
				"split csplit patch rename rename.ul tar bsdtar cpio pax ar zip 7z sponge sync kill killall pkill skill snice renice reboot shutdown halt " +
				"poweroff mount umount fusermount losetup swapon swapoff mkswap wipefs fdisk sfdisk cfdisk sgdisk parted partprobe cryptsetup dmsetup mdadm " +
				"tune2fs resize2fs debugfs xfs_db xfs_io fsfreeze fstrim blockdev hdparm modprobe insmod rmmod depmod kexec ldconfig crontab visudo vipw vigr " +
				"useradd userdel usermod adduser deluser groupadd groupdel groupmod passwd chpasswd chsh chfn chage gpasswd hwclock setterm loadkeys " +
				"update-grub grub-install update-initramfs dracut systemd-tmpfiles systemd-sysusers systemd-mount systemd-umount setsebool restorecon semanage " +
				"apparmor_parser auditctl ipcrm ipcmk setquota quotaon quotaoff edquota lvcreate lvremove lvextend vgcreate vgremove pvcreate pvremove",
			heads: "mkfs fsck mount. umount. e2fsck grub-",
		},
	}
}

// options are those of one program that run something, write, or never end.
type options struct {
	programs string
	why      string
	longs    string // without dashes; beginnings count, as getopt takes them
	shorts   string
	takes    string // short options that take a value: what follows in the same argument is none
	unless   string // the first short option of an argument that makes the others harmless
	exact    string // whole arguments
	odd      bool
}

func programOptions() []options {
	const (
		runs   = "runs another program"
		writes = "writes, or changes the machine"
		long   = "does not end by itself"
	)
	return []options{
		{programs: "dmesg", why: "clears the kernel's log or changes the console", longs: "clear read-clear console-on console-off console-level", shorts: "cCDEn", takes: "fFlKs"},
		{programs: "dmesg", why: long, longs: "follow follow-new", shorts: "wW", takes: "fFlnKs"},
		{programs: "journalctl", why: writes, longs: "vacuum-size vacuum-time vacuum-files rotate flush sync relinquish-var smart-relinquish-var setup-keys update-catalog cursor-file"},
		{programs: "journalctl", why: long, longs: "follow", shorts: "f", takes: "bDcgnoptuSUTFM"},
		{programs: "find", why: runs, exact: "-exec -execdir -ok -okdir"},
		{programs: "find", why: writes, exact: "-delete -fprint -fprint0 -fprintf -fls"},
		{programs: "sort", why: runs, longs: "compress-program"},
		{programs: "sort", why: writes, longs: "output", shorts: "o", takes: "kStT"},
		{programs: "tail", why: long, longs: "follow retry", shorts: "fF", takes: "cns"},
		{programs: "sysctl", why: writes, longs: "write load system", shorts: "wpf"},
		{programs: "date", why: writes, longs: "set", shorts: "s", takes: "dfrI"},
		{programs: "hostname", why: writes, longs: "file boot", shorts: "Fb"},
		{programs: "dpkg", why: writes, shorts: "irPA", longs: "install remove purge unpack configure triggers-only merge-avail update-avail clear-avail forget-old-unavail " +
			"clear-selections set-selections add-architecture remove-architecture force pre-invoke post-invoke status-logger"},
		{programs: "dpkg", why: "starts dpkg-query; declare that one", shorts: "lsLSp", longs: "list status listfiles search print-avail", odd: true},
		{programs: "dpkg", why: "starts dpkg-deb; declare that one", shorts: "bcIefxX", longs: "build contents info field fsys-tarfile extract vextract control", odd: true},
		{programs: "rpm", why: writes, shorts: "iUFe", takes: "fpD", unless: "qV", longs: "install upgrade freshen erase import initdb rebuilddb reinstall restore setperms setugids setcaps"},
		{programs: "rpm", why: runs, shorts: "ED", longs: "eval define load macros rcfile pipe"},
		{programs: "grep egrep fgrep rg ag ack", why: runs, longs: "pre hostname-bin pager"},
		{programs: "openssl", why: "speaks to the network, writes, or loads code", exact: "-out -keyout -engine -provider-path -provider s_client s_server s_time ocsp -writerand"},
		{programs: "unzip gzip bzip2 xz zstd lz4 gunzip bunzip2 unxz unzstd", why: "writes files unless it is told to print", odd: true, exact: "-d -x -o -k --decompress --keep"},
	}
}

// anyOptions are those of programs that are not known here.
func anyOptions() []options {
	return []options{
		{why: "runs another program", exact: "--to-command --use-compress-program --compress-program --checkpoint-action --info-script --new-volume-script --rsh --rsh-command --rmt-command --shell"},
		{why: "may run another program: look at what it is for", odd: true, exact: "--pager --command --eval --run --script --editor --filter --plugin --preload --load --hook --helper --browser"},
		{why: "may write: look at what it is for", odd: true, exact: "--output --output-file --outfile --out --out-file --log-file --logfile --write --in-place --delete --remove --save --dump --tmpdir --temporary-directory --set"},
		{why: "may never end: look at what it is for", odd: true, exact: "--follow --watch --monitor --listen --wait"},
	}
}

// formats are programs whose -o and --output choose what is printed, or whose
// -o is something else.
const formats = "ps journalctl lsblk findmnt df lslocks lscpu lsipc lsns lsmem lslogins losetup swapon column prlimit grep egrep fgrep find zgrep strings nm od ls stat lsattr " +
	"objdump readelf du ipcs dmesg"

// program is a declared one.
type program struct {
	path string
	name string // without version: python3.12 is python, x86_64-linux-gnu-gcc-13 is gcc
	base string
}

func newProgram(p string) program {
	base := path.Base(p)
	name := base
	if _, rest, ok := strings.Cut(name, "-linux-gnu-"); ok && rest != "" {
		name = rest
	}
	if short := strings.TrimRight(name, "0123456789.-"); short != "" {
		name = short
	}
	return program{path: p, name: name, base: base}
}

// is reports whether it is one of the names.
func (p program) is(names ...string) bool {
	return slices.Contains(names, p.name) || slices.Contains(names, p.base)
}

// has reports whether it holds a program: of interpreters, what follows the
// first digit is version and build (perl5.36-x86_64-linux-gnu, python3-dbg).
func (c class) has(p program) bool {
	names := strings.Fields(c.names)
	if p.is(names...) {
		return true
	}
	if i := strings.IndexFunc(p.base, unicode.IsDigit); i > 1 && slices.Contains(names, p.base[:i]) {
		return true
	}
	return slices.ContainsFunc(strings.Fields(c.heads), func(h string) bool { return strings.HasPrefix(p.base, h) })
}

// word is what is to be said about a command; odd ones are for people to judge.
type word struct {
	text string
	odd  bool
}

// judge says what is wrong with running it with these arguments.
func (p program) judge(args []string) []word {
	for _, c := range classes() {
		if c.has(p) {
			return []word{{text: fmt.Sprintf("%s %s", p.path, c.why)}}
		}
	}
	var words []word
	if text := p.place(); text != "" {
		words = append(words, word{text, true})
	}
	for _, arg := range args {
		words = append(words, p.argument(arg)...)
	}
	return words
}

// place says what is odd about the folder of a program.
func (p program) place() string {
	dir := path.Dir(p.path)
	if slices.Contains([]string{"/usr/bin", "/bin", "/usr/sbin", "/sbin"}, dir) {
		return ""
	}
	for _, tree := range []string{"/usr/lib/", "/usr/libexec/", "/lib/"} {
		if strings.HasPrefix(p.path, tree) {
			return ""
		}
	}
	return fmt.Sprintf("%s is in no folder of the system's packages: machines may have another program there", p.path)
}

func (p program) argument(arg string) []word {
	var words []word
	say := func(o options) { words = append(words, word{fmt.Sprintf("%q of %s %s", arg, p.base, o.why), o.odd}) }
	for _, o := range programOptions() {
		if p.is(strings.Fields(o.programs)...) && o.match(arg) {
			say(o)
		}
	}
	if p.is("sysctl") && strings.Contains(arg, "=") || p.is("hostname", "domainname") && !strings.HasPrefix(arg, "-") {
		say(options{why: "changes the machine"})
	}
	if len(words) > 0 {
		return words
	}
	if name := strings.TrimLeft(arg, "-"); strings.HasPrefix(name, "exec") && name != arg {
		say(options{why: "runs another program"})
		return words
	}
	formatter := p.is(strings.Fields(formats)...)
	for _, o := range anyOptions() {
		if formatter && strings.HasPrefix(arg, "--output") {
			continue
		}
		if o.match(arg) {
			say(o)
		}
	}
	if strings.HasPrefix(arg, "-o") && !formatter {
		say(options{why: "may write: look at what it is for", odd: true})
	}
	return words
}

// match reports whether an argument is one of the options.
func (o options) match(arg string) bool {
	name, _, _ := strings.Cut(arg, "=")
	if slices.Contains(strings.Fields(o.exact), name) {
		return true
	}
	if long, ok := strings.CutPrefix(name, "--"); ok {
		return long != "" && slices.ContainsFunc(strings.Fields(o.longs), func(l string) bool {
			return strings.HasPrefix(l, long) || l == "force" && strings.HasPrefix(long, l)
		})
	}
	if len(arg) < 2 || arg[0] != '-' || strings.ContainsRune(o.unless, rune(arg[1])) {
		return false
	}
	for _, r := range arg[1:] {
		if strings.ContainsRune(o.shorts, r) {
			return true
		}
		if strings.ContainsRune(o.takes, r) {
			return false
		}
	}
	return false
}
