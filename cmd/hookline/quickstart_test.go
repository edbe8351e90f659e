package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hookline/internal/onebox"
)

// The environment file is read by a shell, and holds the folder's name.
func TestEnvironmentFileRunsNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "it's $(touch ran) `touch ran`\\")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	d := &onebox.Deployment{Dir: dir, Bin: onebox.Binaries(dir), Passphrase: "a $b 'c'", HTTP: "http://127.0.0.1:1"}
	if err := os.WriteFile(d.Path("me.token"), []byte("hkl_x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	peer := d.Peer("peer")
	if err := writeEnv(d, peer, "me", strings.Repeat("ab", 32)); err != nil {
		t.Fatal(err)
	}
	sh := exec.CommandContext(t.Context(), "/bin/sh", "-c", `. "$1" && printf '%s\n' "$HOOKLINE_PASSPHRASE" "$HOOKLINE_PEER_STATE"`, "sh", d.Path("env"))
	sh.Dir = t.TempDir()
	out, err := sh.Output()
	if err != nil || string(out) != d.Passphrase+"\n"+peer.State()+"\n" {
		t.Errorf("%v %q", err, out)
	}
	if _, err := os.Stat(filepath.Join(sh.Dir, "ran")); err == nil {
		t.Error("a part of the folder's name was run")
	}
}
