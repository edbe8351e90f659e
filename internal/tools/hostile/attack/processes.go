package attack

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const manyThreads = 700 // more than any process of the sandbox may have

func processAttacks() []Attack {
	return slicesOf(
		Attack{Name: "fork", What: "start a process", try: func(Aim) error { return fork(0) }},
		Attack{Name: "fork-user", What: "start a process in a user namespace", try: func(Aim) error { return fork(unix.CLONE_NEWUSER) }},
		Attack{Name: "clone3", What: "start a process by the newer call", try: clone3},
		Attack{Name: "threads", What: "start threads without end", try: threads},
		Attack{Name: "exec", What: "run another program", try: func(Aim) error { return unix.Exec("/bin/echo", []string{"echo", Through}, nil) }},
		Attack{Name: "exec-self", What: "run its own program again", try: func(a Aim) error {
			return unix.Exec("/proc/self/exe", []string{"probe", Unconfined, nothing, "1", a.Dir, "1", "0"}, nil)
		}},
		Attack{Name: "exec-memory", What: "run a program that it has just made", try: execMemory},
		Attack{Name: "ptrace", What: "take hold of the guard", try: func(a Aim) error { return call(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(a.Guard)) }},
		Attack{Name: "vm-read", What: "read from the guard's memory", try: vmRead, reached: []unix.Errno{unix.EFAULT}},
		Attack{Name: "kill-0", What: "ask whether the guard may be signalled", try: func(a Aim) error { return unix.Kill(a.Guard, 0) }},
		Attack{Name: "kill-15", What: "end the guard", try: func(a Aim) error { return unix.Kill(a.Guard, unix.SIGTERM) }},
		Attack{Name: "tkill", What: "signal a thread of the guard", try: func(a Aim) error { return call(unix.SYS_TKILL, uintptr(a.Guard), 0) }},
		Attack{Name: "tgkill", What: "signal a thread of the guard, named twice", try: func(a Aim) error { return unix.Tgkill(a.Guard, a.Guard, 0) }},
		Attack{Name: "sigqueue", What: "queue a signal for the guard", try: sigqueue},
		Attack{Name: "pidfd", What: "hold the guard by a handle", try: func(a Aim) error { return opened(unix.PidfdOpen(a.Guard, 0)) }},
		Attack{Name: "pidfd-getfd", What: "take an open file of the guard's", try: pidfdGetfd},
		Attack{Name: "kcmp", What: "compare itself with the guard", try: func(a Aim) error {
			return call(unix.SYS_KCMP, uintptr(a.Guard), uintptr(a.Guard), 1)
		}},
		Attack{Name: "prlimit", What: "read and set limits of the guard", try: func(a Aim) error {
			var have unix.Rlimit
			if err := unix.Prlimit(a.Guard, unix.RLIMIT_CORE, nil, &have); err != nil {
				return err
			}
			return unix.Prlimit(a.Guard, unix.RLIMIT_CORE, &have, nil)
		}},
		Attack{Name: "setpriority", What: "set the guard's priority", try: func(a Aim) error { return unix.Setpriority(unix.PRIO_PROCESS, a.Guard, 0) }},
		Attack{Name: "scheduler", What: "set how the guard is scheduled", try: func(a Aim) error {
			var param uint32
			return call(unix.SYS_SCHED_SETSCHEDULER, uintptr(a.Guard), 0, uintptr(unsafe.Pointer(&param))) //nolint:gosec // a struct for the kernel
		}},
		Attack{Name: "affinity", What: "set where the guard may run", try: func(a Aim) error {
			var set unix.CPUSet
			if err := unix.SchedGetaffinity(a.Guard, &set); err != nil {
				return err
			}
			return unix.SchedSetaffinity(a.Guard, &set)
		}},
	)
}

// fork starts a process that ends at once.
func fork(flags uintptr) error {
	pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD)|flags, 0, 0, 0, 0, 0)
	return forked(pid, errno)
}

// forked ends the child, and waits for it in the parent.
func forked(pid uintptr, errno syscall.Errno) error {
	if errno != 0 {
		return errno
	}
	if pid == 0 {
		for {
			_, _, _ = syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	_, _ = syscall.Wait4(int(pid), nil, 0, nil)
	return nil
}

func clone3(Aim) error {
	args := [11]uint64{4: uint64(syscall.SIGCHLD)}                                                               // struct clone_args: exit_signal
	pid, _, errno := syscall.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&args)), unsafe.Sizeof(args), 0) //nolint:gosec // a struct for the kernel
	return forked(pid, errno)
}

// threads has the runtime start threads that all live at the same time. It
// ends the process where it cannot.
func threads(Aim) error {
	started := make(chan struct{})
	for range manyThreads {
		go func() {
			runtime.LockOSThread()
			started <- struct{}{}
			select {}
		}()
		<-started
	}
	return nil
}

// execMemory makes a script in memory and runs it.
func execMemory(Aim) error {
	fd, err := unix.MemfdCreate("x", 0)
	if err != nil {
		return err
	}
	if _, err := unix.Write(fd, []byte("#!/bin/echo "+Through+"\n")); err != nil {
		return err
	}
	var none [1]byte
	name := []byte("x\x00")
	argv := [2]*byte{&name[0]}
	return call(unix.SYS_EXECVEAT, uintptr(fd), uintptr(unsafe.Pointer(&none)), uintptr(unsafe.Pointer(&argv)), //nolint:gosec // as the kernel takes it
		uintptr(unsafe.Pointer(&argv[1])), unix.AT_EMPTY_PATH) //nolint:gosec // as the kernel takes it
}

func vmRead(a Aim) error {
	var local [8]byte
	mine := unix.Iovec{Base: &local[0], Len: uint64(len(local))}
	its := unix.RemoteIovec{Base: 0x1000, Len: len(local)}
	_, err := unix.ProcessVMReadv(a.Guard, []unix.Iovec{mine}, []unix.RemoteIovec{its}, 0)
	return err
}

func sigqueue(a Aim) error {
	var info [128]byte
	*(*int32)(unsafe.Pointer(&info[8])) = -1                                                                      //nolint:gosec // si_code: SI_QUEUE
	return call(unix.SYS_RT_SIGQUEUEINFO, uintptr(a.Guard), uintptr(unix.SIGURG), uintptr(unsafe.Pointer(&info))) //nolint:gosec // a struct for the kernel
}

func pidfdGetfd(a Aim) error {
	fd, err := unix.PidfdOpen(a.Guard, 0)
	if err != nil {
		return err
	}
	return opened(unix.PidfdGetfd(fd, 0, 0))
}
