package confine

import "golang.org/x/sys/unix"

// oldOpen is the open that tells no folder, 0 for none.
const oldOpen = unix.SYS_OPEN

// oldReadAndPrint are the calls of readAndPrint that only this architecture
// still has.
func oldReadAndPrint() []uint32 {
	return []uint32{
		unix.SYS_STAT, unix.SYS_LSTAT, unix.SYS_ACCESS, unix.SYS_READLINK, unix.SYS_GETDENTS, unix.SYS_POLL, unix.SYS_SELECT,
		unix.SYS_PIPE, unix.SYS_DUP2, unix.SYS_EPOLL_CREATE, unix.SYS_EPOLL_WAIT, unix.SYS_EVENTFD, unix.SYS_TIME,
		unix.SYS_GETPGRP, unix.SYS_GETRLIMIT, unix.SYS_ARCH_PRCTL, unix.SYS_ALARM,
	}
}
