package replay

import (
	"slices"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/strict"
	"hookline/sandbox"
	"hookline/sandbox/calls"
	"hookline/sandbox/wire"
)

// MaxFixtureBytes caps a fixtures file.
const MaxFixtureBytes = 4 << 20

// Fixtures are the recorded answers of one run.
type Fixtures struct {
	Files   map[string]string // path → content of fs.read
	Missing []string          // paths that do not exist; any other path fails with a hint
	Facts   hooks.Facts       // for sys.facts(); used where the task has none
}

// ParseFixtures reads a fixtures file: strict YAML with the keys files (path
// to content), missing (paths) and facts (os, release, kernel, arch), all of
// them optional. Errors name line and column.
func ParseFixtures(b []byte) (Fixtures, error) {
	var file struct {
		Files   map[string]string `yaml:"files"`
		Missing []string          `yaml:"missing"`
		Facts   struct {
			OS      string `yaml:"os"`
			Release string `yaml:"release"`
			Kernel  string `yaml:"kernel"`
			Arch    string `yaml:"arch"`
		} `yaml:"facts"`
	}
	if err := strict.Decode("fixtures.yaml", b, MaxFixtureBytes, &file); err != nil {
		return Fixtures{}, err
	}
	f := Fixtures{Files: file.Files, Missing: file.Missing, Facts: hooks.Facts(file.Facts)}
	for path := range f.Files {
		if err := calls.CheckPath(path); err != nil {
			return Fixtures{}, errs.New(errs.CodeBadInput, "%s", err.Message).At("files." + calls.Clip(path, 80))
		}
		if slices.Contains(f.Missing, path) {
			return Fixtures{}, errs.New(errs.CodeBadInput, "a path cannot be in files and missing").At("missing")
		}
	}
	for _, path := range f.Missing {
		if err := calls.CheckPath(path); err != nil {
			return Fixtures{}, errs.New(errs.CodeBadInput, "%s: %s", calls.Clip(path, 80), err.Message).At("missing")
		}
	}
	return f, nil
}

// host answers from fixtures. It implements calls.Host.
type host struct{ fixtures Fixtures }

func (h host) ReadFile(path string, _ calls.Rules) ([]byte, error) {
	content, ok := h.fixtures.Files[path]
	switch {
	case ok && len(content) > sandbox.MaxReadBytes:
		return nil, &calls.Error{Code: errs.CodeLimitRead, Message: "the file is larger than 256 KiB"}
	case ok:
		return []byte(content), nil
	case slices.Contains(h.fixtures.Missing, path):
		return nil, calls.Failed("no such file")
	}
	return nil, calls.Failed("not recorded: add it to the fixtures, under files or missing")
}

func (h host) List(string, calls.Rules) ([]string, error) {
	return nil, calls.Failed("not recorded")
}

func (h host) Stat(string, calls.Rules) (wire.FileInfo, error) {
	return wire.FileInfo{}, calls.Failed("not recorded")
}

func (h host) Run(string, []string) (sandbox.CommandOutput, error) {
	return sandbox.CommandOutput{}, calls.Failed("not recorded")
}
