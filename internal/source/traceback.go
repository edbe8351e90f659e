package source

import (
	"bytes"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// goroutineHeader is the first line of a goroutine's block as the Go runtime
// prints it, in its short and its GOTRACEBACK=crash form.
var goroutineHeader = regexp.MustCompile(`^goroutine [0-9]+ (?:gp=[^ ]+ m=[^ ]+ (?:mp=[^ ]+ )?)?\[([a-z ]+)(?:[,(][^\]]*)?\]:$`)

// maxName is the longest function name that is believed.
const maxName = 256

// Frames returns the function names of the goroutine that crashed, top first,
// without arguments, at most MaxFrames: the first running goroutine's block,
// else the first that is not all the runtime's own. The runtime's machinery is
// left out, so that the names are the program's. It returns nil where the text
// holds no Go traceback.
func Frames(traceback []byte) []string {
	var program, anything []string
	lines := bytes.Split(traceback, []byte("\n"))
	for i, line := range lines {
		state := goroutineHeader.FindSubmatch(bytes.TrimSuffix(line, []byte("\r")))
		if state == nil {
			continue
		}
		names := blockNames(lines[i+1:])
		frames := withoutMachinery(names)
		switch {
		case len(frames) > 0 && strings.HasPrefix(string(state[1]), "running"):
			return frames[:min(len(frames), MaxFrames)]
		case program == nil:
			program = frames
		}
		if anything == nil {
			anything = names
		}
	}
	if program == nil {
		program = anything
	}
	return program[:min(len(program), MaxFrames)]
}

// blockNames reads the names of one block, which an empty line or the next
// header ends.
func blockNames(lines [][]byte) []string {
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
	return names
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
	return name, len(name) <= maxName && (strings.Contains(name, ".") || name == "panic") && !strings.ContainsFunc(name, notInName)
}

func notInName(r rune) bool {
	return unicode.IsSpace(r) || !unicode.IsPrint(r) || r == utf8.RuneError
}

// withoutMachinery drops the frames with which the runtime starts goroutines
// and reports a panic, a signal or a fatal error. GOTRACEBACK decides whether they are printed at all, so keeping them
// would give one bug two fingerprints.
func withoutMachinery(names []string) []string {
	var kept []string
	for _, name := range names {
		// A panic below a deferred function is part of what happened.
		if runtimes(name) || name == "panic" && len(kept) == 0 {
			continue
		}
		kept = append(kept, name)
	}
	return kept
}

func runtimes(name string) bool {
	for _, prefix := range []string{"runtime.", "internal/runtime/", "runtime/internal/", "internal/abi."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	switch name {
	case "sync.fatal", "sync.throw", "internal/sync.fatal", "internal/sync.throw":
		return true
	}
	return false
}
