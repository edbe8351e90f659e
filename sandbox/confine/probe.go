package confine

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"hookline/sandbox"
)

// Layer is what a machine gives of one layer of the confinement.
type Layer struct {
	Layer  string `json:"layer"`
	OK     bool   `json:"ok"`     // it was put in force, and was seen to hold
	Needed bool   `json:"needed"` // no hook runs without it, unless the owner accepts that
	Detail string `json:"detail"` // for people

	Lacks []string `json:"lacks,omitempty"` // capabilities that root has not got here
}

// Probe puts each layer in force on this process, one after the other, and
// tells what holds. Hardly anything is left that it can do but to write to
// what is open.
func Probe(cpuSeconds uint64) []Layer {
	root := os.Geteuid() == 0
	powers := probePowers(root) // before they are given away
	layers := []Layer{probeNamespaces(root), probeUser(root), powers, probeNewPrivs(), probeLandlock()}
	return append(layers, probeLimits(cpuSeconds), probeSeccomp())
}

func needed(layer, detail string, err error) Layer {
	if err != nil {
		detail = err.Error()
	}
	return Layer{Layer: layer, OK: err == nil, Needed: true, Detail: detail}
}

func probeNamespaces(root bool) Layer {
	const name = sandbox.LayerNamespaces
	if !root {
		return Layer{Layer: name, Detail: "only root makes them; landlock and seccomp keep files, network and other processes away"}
	}
	err := closeFrom(3)
	if err == nil {
		err = leaveFiles()
	}
	var m *MissingError
	if errors.As(err, &m) {
		err = m.Err
	}
	return needed(name, "processes, network, mounts, IPC and host name of its own; an empty root folder", err)
}

func probeUser(root bool) Layer {
	if !root {
		return Layer{Layer: "user", OK: true, Detail: fmt.Sprintf("hooks run as user %d, who runs hookline-peer; no other can be had", os.Geteuid())}
	}
	err := startTimers()
	if err == nil {
		err = becomeUser(nobody, nobody)
	}
	if err == nil && unix.Access("/", unix.W_OK) == nil {
		err = errors.New("the user was dropped, and may still write where only root may")
	}
	return needed("user", "root is given away before a hook is read", err)
}

// probePowers tells what root here can hand on, or give away.
func probePowers(root bool) Layer {
	const name = "capabilities"
	if !root {
		return Layer{Layer: name, OK: true, Detail: "none: no other user's files, and not the kernel's log"}
	}
	have, err := permitted()
	if err != nil {
		return needed(name, "", err)
	}
	l := Layer{Layer: name, OK: true, Needed: true, Detail: "all that hooks may be signed for"}
	var says []string
	for _, c := range []struct {
		bit     int
		name    string
		without string // what is not to be had then
	}{
		{unix.CAP_SETUID, "CAP_SETUID", "no hooks"},
		{unix.CAP_SETGID, "CAP_SETGID", "no hooks"},
		{unix.CAP_SETPCAP, "CAP_SETPCAP", "no commands"},
		{unix.CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", "even as root no files but those that everybody may read"},
		{unix.CAP_SYSLOG, "CAP_SYSLOG", "no kernel log"},
	} {
		if have&(1<<c.bit) == 0 {
			l.Lacks = append(l.Lacks, c.name)
			says = append(says, "without "+c.name+" "+c.without)
			l.OK = l.OK && c.without != "no hooks"
		}
	}
	if len(says) > 0 {
		l.Detail = strings.Join(says, "; ")
	}
	return l
}

func probeNewPrivs() Layer {
	err := noNewPrivs()
	if err == nil {
		var on int
		if on, err = unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err == nil && on != 1 {
			err = errors.New("it was set, and is not")
		}
	}
	return needed("no_new_privs", "no program can gain rights", err)
}

func probeLandlock() Layer {
	abi, err := LandlockABI()
	if err == nil {
		err = landlock(nil, nil)
	}
	if err == nil {
		fd, open := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if open == nil {
			shut(fd)
			err = errors.New("it was put in force, and a folder could be opened")
		}
	}
	return needed(sandbox.LayerLandlock, landlockDetail(capABI(abi)), err)
}

// landlockDetail says what keeps in force what an older version cannot.
func landlockDetail(abi int) string {
	detail := fmt.Sprintf("ABI %d", abi)
	var covered []string
	for _, c := range []struct {
		since int
		what  string
	}{{3, "truncation"}, {4, "TCP"}, {5, "device controls"}, {6, "signals and abstract sockets"}} {
		if abi < c.since {
			covered = append(covered, c.what)
		}
	}
	if len(covered) > 0 {
		detail += "; seccomp alone refuses " + strings.Join(covered, ", ")
	}
	return detail
}

func probeLimits(cpuSeconds uint64) Layer {
	err := workerLimits(cpuSeconds)
	if err == nil {
		var have unix.Rlimit
		if err = unix.Getrlimit(unix.RLIMIT_DATA, &have); err == nil && have.Max > sandbox.MaxDataBytes {
			err = errors.New("they were set, and are not")
		}
	}
	return needed("limits", "memory, processor time, files, cores", err)
}

func probeSeccomp() Layer {
	var name unix.Utsname
	detail := "a list of what is allowed"
	if unix.Uname(&name) == nil {
		detail += "; kernel " + unix.ByteSliceToString(name.Release[:])
	}
	err := seccomp(brokerFilter(os.Getpid()))
	if err == nil {
		fd, open := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if open == nil {
			shut(fd)
			err = errors.New("it was put in force, and a socket could be made")
		}
	}
	return needed("seccomp", detail, err)
}
