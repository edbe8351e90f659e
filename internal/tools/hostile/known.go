package main

import "hookline/internal/tools/hostile/attack"

// known are attacks that may get through: with all layers, which is what a
// part can still do (layer ""), or with one layer missing, since that one alone
// stops them. parts are letters of the tables. Anything else is a surprise.
type known struct {
	layer, parts, attacks, why string
}

func knowns() []known {
	return []known{
		{"", "cC", "chdir", attack.Harmless(attack.Command, "chdir")},
		{"", "C", "threads", attack.Harmless(attack.RootCommand, "threads")},

		{layerLandlock, "bcBC", "read-secret list-folder read-environ read-memory guard-root", "brokers and commands open files, and the system lets their user read these"},
		{layerLandlock, "b", "open2-write open2-truncate open2-create", "a broker opens files, and seccomp sees no flags of openat2; it can empty its user's files, but puts nothing into any (write-data). One of root owns none, and does not run without landlock"},

		{layerSeccomp, "wbcBC", "chmod chown utime setxattr removexattr getxattr old-chmod old-chown old-utime", "landlock knows no modes, owners, times or attributes; the owner of a file needs no capability"},
		{layerSeccomp, "bcBC", "socket-inet socket-inet6 socket-unix socketpair socket-netlink socket-vsock", "landlock stops connections over TCP and to sockets of others, not sockets; as root a command's network is empty"},
		{layerSeccomp, "wbcBC", "fork old-fork clone3 fork-user", "no limit on processes is low enough; they end with the guard's kill of the pid namespace, or of the group"},
		{layerSeccomp, "cC", "exec-self", "the program is what was signed; it stays as confined"},
		{layerSeccomp, "wbcBC", "keyctl add-key shmget msgget semget memory-file inotify quotactl", "memory of the kernel's that anybody may have"},
		{layerSeccomp, "wbcBC", "mmap-exec mprotect-exec dumpable outlive personality tiocsti chdir", "a process may do this to itself"},
		{layerSeccomp, "wbcBC", "memory-shared memory-stack", "the limit on data counts neither; the guard's clock ends it"},
		{layerSeccomp, "BC", "setuid", "it is root already, without root's capabilities"},
		{layerSeccomp, "wbcB", "pidfd prlimit setpriority scheduler affinity", "as the guard's own user, landlock keeps signals and memory apart, not this"},

		{layerLimits, "wbcBC", "memory memory-tables", "nothing else bounds what is not Lua's; the guard's clock ends it"},
		{layerLimits, "cC", "threads files", "nothing else bounds them; they end with the command"},
		{layerUser, "c", "threads", "the kernel counts no threads of root"},
	}
}
