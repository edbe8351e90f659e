package replay

import (
	"slices"
	"strings"

	"hookline/sandbox"
	"hookline/sandbox/calls"
	"hookline/sandbox/wire"
)

// host answers from fixtures. It implements calls.Host for one run; what an
// answer may hold is bounded by package calls, as in a live run.
type host struct {
	fixtures Fixtures
	ran      map[string]int // how often each command line ran
}

func newHost(f Fixtures) *host { return &host{fixtures: f.canonical(), ran: map[string]int{}} }

// ReadFile is the recorded content.
func (h *host) ReadFile(path string, _ calls.Rules) ([]byte, error) {
	if content, ok := h.fixtures.Files[path]; ok {
		return []byte(content), nil
	}
	return nil, h.absent(wire.OpRead, path, "files")
}

// List is the recorded names.
func (h *host) List(dir string, _ calls.Rules) ([]string, error) {
	if names, ok := h.fixtures.Folders[dir]; ok {
		return names, nil
	}
	return nil, h.absent(wire.OpList, dir, "folders")
}

// Stat is the recorded facts about a path.
func (h *host) Stat(path string, _ calls.Rules) (wire.FileInfo, error) {
	if info, ok := h.fixtures.Stats[path]; ok {
		return info, nil
	}
	return wire.FileInfo{}, h.absent(wire.OpStat, path, "stats")
}

// Run is the recorded output or failure. A command line that was recorded several times
// is answered in that order, the last answer then again.
func (h *host) Run(name string, args []string) (sandbox.CommandOutput, error) {
	line := name + "\x00" + strings.Join(args, "\x00")
	turn := h.ran[line]
	h.ran[line]++
	var found *sandbox.RecordedCommand
	for i, c := range h.fixtures.Commands {
		if !sameLine(c, sandbox.RecordedCommand{Name: name, Args: args}) {
			continue
		}
		if found = &h.fixtures.Commands[i]; turn == 0 {
			break
		}
		turn--
	}
	if found == nil {
		return sandbox.CommandOutput{}, notRecorded("commands")
	}
	if found.Code != "" {
		return sandbox.CommandOutput{}, failure(found.Code, found.Error)
	}
	return sandbox.CommandOutput{Stdout: found.Stdout, Stderr: found.Stderr, Exit: found.Exit}, nil
}

// absent is why a call has no answer.
func (h *host) absent(call, path, section string) *calls.Error {
	for _, c := range h.fixtures.Failed {
		if c.Call == call && c.Path == path {
			return failure(c.Code, c.Error)
		}
	}
	if slices.Contains(h.fixtures.Missing, path) {
		return calls.Failed(calls.NoSuchFile)
	}
	return notRecorded(section)
}

// NotRecorded begins the reason of a call that fixtures have no answer for.
const NotRecorded = "not recorded in the fixtures"

func notRecorded(section string) *calls.Error {
	return calls.Failed(NotRecorded + ", under " + section + ": hook test --record makes them")
}
