package source

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"hookline/hooks"

	"golang.org/x/sys/unix"
)

// System reads facts of the machine below Root, "/" on a real one.
type System struct {
	Root string
}

// Facts are this machine's own statements about itself.
func (s System) Facts() hooks.Facts {
	return hooks.Facts{
		OS:      runtime.GOOS,
		Release: s.release(),
		Kernel:  kernel(),
		Arch:    runtime.GOARCH,
	}
}

func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return clean(bytes.TrimRight(u.Release[:], "\x00"), 128)
}

func (s System) release() string {
	for _, path := range []string{"etc/os-release", "usr/lib/os-release"} {
		if name := parseRelease(s.read(path, 64<<10)); name != "" {
			return name
		}
	}
	return ""
}

// parseRelease makes "Debian 12" of os-release(5): the first word of NAME and
// VERSION_ID, which rolling distributions leave out.
func parseRelease(b []byte) string {
	values := map[string]string{}
	for line := range bytes.SplitSeq(b, []byte("\n")) {
		key, value, ok := strings.Cut(strings.TrimSpace(string(line)), "=")
		if !ok || key != "NAME" && key != "VERSION_ID" {
			continue
		}
		values[key] = unquote(value)
	}
	name, _, _ := strings.Cut(strings.TrimSpace(values["NAME"]), " ")
	if name == "" {
		return ""
	}
	return strings.TrimSpace(clean([]byte(name), 64) + " " + clean([]byte(values["VERSION_ID"]), 32))
}

func unquote(value string) string {
	if len(value) >= 2 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
		return value[1 : len(value)-1]
	}
	return value
}

// uptime is whole seconds since boot.
func (s System) uptime() string {
	first, _, _ := strings.Cut(string(s.read("proc/uptime", 128)), " ")
	whole, _, _ := strings.Cut(first, ".")
	if _, err := strconv.ParseUint(whole, 10, 63); err != nil {
		return ""
	}
	return whole
}

// memory is the part of /proc/meminfo that tells whether memory was short.
func (s System) memory() string {
	var kept []string
	for line := range bytes.SplitSeq(s.read("proc/meminfo", 64<<10), []byte("\n")) {
		name, _, _ := strings.Cut(string(line), ":")
		switch name {
		case "MemTotal", "MemFree", "MemAvailable", "SwapTotal", "SwapFree":
			kept = append(kept, clean(line, 80))
		}
	}
	return strings.Join(kept, "\n")
}

// read returns up to limit bytes of a file, nil where it cannot.
func (s System) read(path string, limit int64) []byte {
	f, err := os.Open(filepath.Join(s.Root, path))
	if err != nil {
		return nil
	}
	defer f.Close()
	// What came before an error is still worth keeping.
	b, _ := io.ReadAll(io.LimitReader(f, limit))
	return b
}

// Names are the host and user names that text must not show; accounts of the
// system are not a person's.
func (s System) Names() (hosts, users []string) {
	if host, err := os.Hostname(); err == nil && host != "" {
		hosts = append(hosts, host)
		if short, _, dotted := strings.Cut(host, "."); dotted && short != "" {
			hosts = append(hosts, short)
		}
	}
	scanner := bufio.NewScanner(bytes.NewReader(s.read("etc/passwd", 1<<20)))
	for scanner.Scan() && len(users) < 200 {
		parts := strings.Split(scanner.Text(), ":")
		if len(parts) != 7 {
			continue
		}
		if uid, err := strconv.Atoi(parts[2]); err == nil && uid >= 1000 && uid != 65534 && len(parts[0]) > 1 {
			users = append(users, parts[0])
		}
	}
	return hosts, users
}
