package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"hookline/internal/tools/hostile/corpus"
	"hookline/sandbox"
)

// place is a folder with what the runs need: programs that any user may
// start, and the files that attacks aim at.
type place struct {
	dir            string
	self           string // this program
	fixtures       string
	configurations []configuration
	built          map[string]bool
	command        string // the probe where it may be a command, "" for nowhere
	installed      func() // takes it away again
}

func newPlace() (*place, error) {
	if _, err := os.Stat(filepath.Join(corpusDir, "manifest.tsv")); err != nil {
		return nil, fmt.Errorf("cannot find the corpus, run this from the top of the repository: %w", err)
	}
	dir, err := os.MkdirTemp("", "hookline-hostile")
	if err != nil {
		return nil, fmt.Errorf("cannot make a folder: %w", err)
	}
	p := &place{dir: dir, self: filepath.Join(dir, "hostile"), fixtures: filepath.Join(dir, "fixtures"), built: map[string]bool{}}
	program, err := os.Executable()
	var b []byte
	if err == nil {
		b, err = os.ReadFile(program)
	}
	if err == nil {
		err = errors.Join(os.Chmod(dir, 0o755), os.WriteFile(p.self, b, 0o755), os.Mkdir(p.fixtures, 0o755))
	}
	if err == nil {
		err = corpus.MakeFixtures(p.fixtures)
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *place) close() {
	if p.installed != nil {
		p.installed()
	}
	_ = os.RemoveAll(p.dir)
}

// small is the small binary, built without one layer ("" for with all).
func (p *place) small(weakened string) (string, error) {
	return p.build("hookline/cmd/hookline-sandbox", sandbox.BinaryName, weakened)
}

// build builds a program of ours as it is delivered, but for a layer.
func (p *place) build(pkg, name, weakened string) (string, error) {
	dir := filepath.Join(p.dir, "full")
	args := []string{"build", "-trimpath", "-ldflags", "-s -w"}
	if weakened != "" {
		dir = filepath.Join(p.dir, weakened)
		args = []string{"build", "-trimpath", "-tags", "weaken", "-ldflags", "-s -w -X hookline/sandbox/confine.weakened=" + weakened}
	}
	path := filepath.Join(dir, name)
	if p.built[path] {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("cannot make a folder: %w", err)
	}
	cmd := exec.Command("go", append(args, "-o", path, pkg)...) //nolint:noctx // as long as it takes
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build %s: %w\n%s", pkg, err, out)
	}
	p.built[path] = true
	return path, nil
}
