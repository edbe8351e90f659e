package source

import (
	"bytes"
	"regexp"
	"strings"
)

// goroutineHeader is the first line of a goroutine's block as the Go runtime
// prints it, in its short and its GOTRACEBACK=crash form.
var goroutineHeader = regexp.MustCompile(`^goroutine [0-9]{1,19} (?:gp=[^ ]{1,20} m=[^ ]{1,20} (?:mp=[^ ]{1,20} )?)?\[([a-z ]{1,60})(?:[,(][^\]]{0,120})?\]:$`)

// frameName is a function name as the runtime prints it, without arguments.
var frameName = regexp.MustCompile(`^[A-Za-z_\x80-\xff][^\s]{0,255}$`)

// Frames returns the function names of the goroutine that crashed, top first,
// without arguments, at most MaxFrames: the first running goroutine's block,
// else the first block that has frames. The runtime's own panic machinery at
// the top is left out, so that the names are the program's. It returns nil
// where the text holds no Go traceback.
func Frames(traceback []byte) []string {
	var first []string
	lines := bytes.Split(traceback, []byte("\n"))
	for i, line := range lines {
		state := goroutineHeader.FindSubmatch(bytes.TrimSuffix(line, []byte("\r")))
		if state == nil {
			continue
		}
		frames := blockFrames(lines[i+1:])
		if len(frames) == 0 {
			continue
		}
		if strings.HasPrefix(string(state[1]), "running") {
			return frames
		}
		if first == nil {
			first = frames
		}
	}
	return first
}

// blockFrames reads the names of one block, which an empty line or the next
// header ends.
func blockFrames(lines [][]byte) []string {
	var names []string
	for _, line := range lines {
		text := strings.TrimSuffix(string(line), "\r")
		if text == "" || strings.HasPrefix(text, "goroutine ") {
			break
		}
		// Deep stacks are cut later; the machinery at the top can be long.
		if name, ok := functionName(text); ok && len(names) < 10*MaxFrames {
			names = append(names, name)
		}
	}
	names = skipMachinery(names)
	return names[:min(len(names), MaxFrames)]
}

// functionName takes `main.(*T).run(0xc000012345, {0x1, 0x2})` apart. Lines of
// files start with a tab, "created by" lines name who started the goroutine
// and not what it was doing.
func functionName(line string) (string, bool) {
	if strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "created by ") || !strings.HasSuffix(line, ")") {
		return "", false
	}
	// The arguments hold no parenthesis, so the last one opens them.
	open := strings.LastIndexByte(line, '(')
	if open <= 0 {
		return "", false
	}
	name := line[:open]
	known := strings.Contains(name, ".") || name == "panic"
	return name, known && frameName.MatchString(name)
}

// skipMachinery drops the frames with which the runtime reports a panic, a
// signal or a fatal error, unless nothing else is there.
func skipMachinery(names []string) []string {
	for i, name := range names {
		if !machinery(name) {
			return names[i:]
		}
	}
	return names
}

func machinery(name string) bool {
	for _, prefix := range []string{"runtime.", "internal/runtime/", "runtime/internal/", "internal/abi."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	switch name {
	case "panic", "sync.fatal", "sync.throw", "internal/sync.fatal", "internal/sync.throw", "syscall.runtime_doAllThreadsSyscall":
		return true
	}
	return false
}
