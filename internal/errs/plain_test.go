package errs_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"hookline/internal/errs"
)

func TestPlain(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "x")
	_, open := os.Open(nowhere)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, listen := (&net.ListenConfig{}).Listen(t.Context(), "tcp", l.Addr().String())
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"file", open, "no such file or directory"},
		{"file in words", fmt.Errorf("cannot do it: %w", open), "no such file or directory"},
		{"rename", os.Rename(nowhere, nowhere+"y"), "no such file or directory"},
		{"port", listen, "address already in use"},
		{"program", exec.CommandContext(t.Context(), "no-such-program").Run(), "executable file not found in $PATH"},
		{"path of a program", exec.CommandContext(t.Context(), nowhere).Run(), "no such file or directory"},
		{"name", &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "x.invalid", Server: "1.2.3.4:53"}}, "no such host"},
		{"other", errors.New("something else"), "something else"},
	} {
		if got := errs.Plain(c.err).Error(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if !errors.Is(errs.Plain(open), fs.ErrNotExist) {
		t.Error("the cause is lost")
	}
	if errs.Plain(nil) != nil {
		t.Error("no error became one")
	}
}
