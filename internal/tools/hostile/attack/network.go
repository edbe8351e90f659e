package attack

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

func networkAttacks() []Attack {
	socket := func(domain, kind, protocol int) func(Aim) error {
		return func(Aim) error { return opened(unix.Socket(domain, kind|unix.SOCK_CLOEXEC, protocol)) }
	}
	return slicesOf(
		Attack{Name: "socket-inet", What: "make an IPv4 socket", try: socket(unix.AF_INET, unix.SOCK_STREAM, 0)},
		Attack{Name: "socket-inet6", What: "make an IPv6 socket", try: socket(unix.AF_INET6, unix.SOCK_DGRAM, 0)},
		Attack{Name: "socket-unix", What: "make a socket of this machine", try: socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)},
		Attack{Name: "socketpair", What: "make two joined sockets", try: func(Aim) error { _, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0); return err }},
		Attack{Name: "socket-netlink", What: "make a socket to the kernel", try: socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE)},
		Attack{Name: "socket-raw", What: "make a raw socket", try: socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)},
		Attack{Name: "socket-packet", What: "make a socket on the wire", try: socket(unix.AF_PACKET, unix.SOCK_RAW, 0)},
		Attack{Name: "socket-vsock", What: "make a socket to the hypervisor", try: socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0)},
		Attack{Name: "socket-alg", What: "make a socket to the kernel's ciphers", try: socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0)},
		Attack{
			Name: "connect-inet", What: "connect to this machine over IPv4", reached: []unix.Errno{unix.ECONNREFUSED},
			try: func(Aim) error {
				return connect(unix.AF_INET, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}})
			},
		},
		Attack{
			Name: "connect-unix", What: "connect to a socket of the guard's",
			try: func(a Aim) error { return connect(unix.AF_UNIX, &unix.SockaddrUnix{Name: SocketName(a.Guard)}) },
		},
	)
}

// SocketName is where a guard listens while attacks are made: in the abstract
// name space, which has no files.
func SocketName(guard int) string { return fmt.Sprintf("@hookline-hostile-%d", guard) }

func connect(domain int, to unix.Sockaddr) error {
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	err = unix.Connect(fd, to)
	return errors.Join(err, unix.Close(fd))
}
