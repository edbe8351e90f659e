// Command stolenside is a network side of hookline-peer in a thief's hands. The
// guard starts it in place of the real one; it becomes the user that the guard
// wants, hands its end of the guard's socket to the test that waits at
// stolenside.sock in its folder, and asks there what it is told to ask of the
// owner's socket, as the process that it is. It is not part of any installation.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"
)

// Ask is one request of the test: these bytes to the socket at that path.
type Ask struct {
	Path  string
	Bytes []byte
}

// Answer is all that came back, or why nothing did.
type Answer struct {
	Bytes []byte
	Error string
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "stolenside:", err)
		os.Exit(1)
	}
}

// run takes the arguments of the real network side.
func run(args []string) error {
	flags := map[string]string{}
	for i := 1; i+1 < len(args); i += 2 {
		flags[args[i]] = args[i+1]
	}
	if err := os.Chdir(flags["--dir"]); err != nil {
		return err
	}
	if err := become(flags["--uid"], flags["--gid"]); err != nil {
		return err
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: "stolenside.sock", Net: "unix"})
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	const guardSocket = 3
	if _, _, err := conn.WriteMsgUnix([]byte{0}, syscall.UnixRights(guardSocket), nil); err != nil {
		return err
	}
	if err := syscall.Close(guardSocket); err != nil {
		return err
	}
	return serve(conn)
}

func become(uidText, gidText string) error {
	uid, err := strconv.Atoi(uidText)
	if err != nil || uid < 0 {
		return err
	}
	gid, err := strconv.Atoi(gidText)
	if err != nil {
		return err
	}
	return errors.Join(syscall.Setgroups(nil), syscall.Setgid(gid), syscall.Setuid(uid))
}

func serve(conn *net.UnixConn) error {
	in, out := json.NewDecoder(conn), json.NewEncoder(conn)
	for {
		var ask Ask
		if err := in.Decode(&ask); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var answer Answer
		var err error
		if answer.Bytes, err = put(ask); err != nil {
			answer.Error = err.Error()
		}
		if err := out.Encode(answer); err != nil {
			return err
		}
	}
}

func put(ask Ask) ([]byte, error) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: ask.Path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, err
	}
	if _, err := conn.Write(ask.Bytes); err != nil {
		return nil, err
	}
	return io.ReadAll(conn)
}
