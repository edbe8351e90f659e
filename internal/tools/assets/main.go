// Command assets fetches what our pages take from npm, in the versions that
// internal/web/kit/assets/VERSIONS pins. It needs npm, and runs nothing of
// what it fetches.
//
//	go run ./internal/tools/assets           # writes the files, which must be those that are pinned
//	go run ./internal/tools/assets -update   # takes what the versions have, and pins that
package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	folder   = "internal/web/kit/assets"
	within   = 2 * time.Minute // for one package
	maxBytes = 2 << 20         // of one file
)

func main() {
	update := flag.Bool("update", false, "pin what the versions have")
	flag.Parse()
	if err := run(*update); err != nil {
		fmt.Fprintln(os.Stderr, "cannot fetch the assets:", err)
		os.Exit(1)
	}
}

// asset is a line of VERSIONS.
type asset struct{ file, pkg, version, path, digest string }

func run(update bool) error {
	list := filepath.Join(folder, "VERSIONS")
	b, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "#") {
			continue
		}
		a, err := parse(line)
		if err != nil {
			return err
		}
		content, err := fetch(a)
		if err != nil {
			return fmt.Errorf("%s: %w", a.pkg, err)
		}
		if got := digestOf(content); got != a.digest && !update {
			return fmt.Errorf("%s: it has the digest %s, and %s is pinned", a.file, got, a.digest)
		}
		if err := os.WriteFile(filepath.Join(folder, a.file), content, 0o644); err != nil {
			return err
		}
		lines[i] = strings.Join([]string{a.file, a.pkg, a.version, a.path, digestOf(content)}, " ")
	}
	return os.WriteFile(list, []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}

func parse(line string) (asset, error) {
	words := strings.Fields(line)
	if len(words) != 5 || filepath.Base(words[0]) != words[0] || strings.HasPrefix(words[1], "-") {
		return asset{}, fmt.Errorf("%q is no line of file, package, version, path and digest", line)
	}
	return asset{words[0], words[1], words[2], words[3], words[4]}, nil
}

func digestOf(b []byte) string {
	d := sha256.Sum256(b)
	return hex.EncodeToString(d[:])
}

// fetch packs one package and takes one file out of it.
func fetch(a asset) ([]byte, error) {
	dir, err := os.MkdirTemp("", "hookline-assets-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", dir, a.pkg+"@"+a.version)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("npm pack: %w", err)
	}
	packed, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(packed) != 1 {
		return nil, errors.Join(err, fmt.Errorf("npm left %d packages", len(packed)))
	}
	f, err := os.Open(packed[0])
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return extract(f, "package/"+a.path)
}

// extract reads one file of a package.
func extract(r io.Reader, path string) ([]byte, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if h.Name != path {
			continue
		}
		if h.Size > maxBytes {
			return nil, fmt.Errorf("%s has %d bytes, more than %d", path, h.Size, maxBytes)
		}
		return io.ReadAll(io.LimitReader(t, maxBytes))
	}
}
