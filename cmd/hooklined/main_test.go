package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"hookline/internal/enroll"
	"hookline/signing"
	"hookline/signing/signer"
	"hookline/signing/trust/keeper"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"hooklined": main})
}

// TestScripts runs the scripts in testdata, each in a folder with a policy
// and the hash of a setup key.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			e.Defer(func() { l.Close() })
			_, port, err := net.SplitHostPort(l.Addr().String())
			if err != nil {
				return err
			}
			e.Setenv("TAKEN", port)
			golden, err := filepath.Abs("../../store/archive/testdata/small.ndjson.zst")
			if err != nil {
				return err
			}
			e.Setenv("GOLDEN", golden)
			return writeDeployment(e.WorkDir)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"mode": mode},
	})
}

func writeDeployment(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	author, err := signer.New(key)
	if err != nil {
		return err
	}
	policy := &signing.Policy{
		Deployment: "d-00112233445566778899aabbccddeeff", Profile: signing.ProfileSolo, MaxLifetime: 24 * time.Hour,
		Persons: []signing.Person{{Name: "alice", Roles: []signing.Role{signing.RoleAuthor}, Keys: []signing.PublicKey{author.Public()}}},
	}
	if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), policy.YAML(), 0o600); err != nil {
		return err
	}
	if err := makeTrust(dir, policy.YAML(), author); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "setup-keys.txt"), []byte(enroll.HashSetupKey(enroll.NewSetupKey())+"\n"), 0o600)
}

// makeTrust makes trust.json.
func makeTrust(dir string, policy []byte, key *signer.Signer) error {
	k, err := keeper.Init(dir, keeper.Plan{Policy: policy}, time.Now)
	if err != nil {
		return err
	}
	if _, err := k.Sign(key); err != nil {
		return err
	}
	_, err = k.Freshen(key, 0)
	return err
}

// TestServe: the ready line tells the ports, the server answers, and ends
// well when it is told to.
func TestServe(t *testing.T) {
	dir := t.TempDir()
	if err := writeDeployment(dir); err != nil {
		t.Fatal(err)
	}
	out, in := io.Pipe()
	root := newRoot()
	root.SetOut(in)
	root.SetErr(io.Discard)
	root.SetArgs([]string{
		"serve", "--data", filepath.Join(dir, "data"), "--trust", filepath.Join(dir, "trust.json"),
		"--setup-keys", filepath.Join(dir, "setup-keys.txt"), "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0",
	})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- root.ExecuteContext(ctx)
		_ = in.Close() // of a pipe in memory
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%v, ended: %v", err, <-ended)
	}
	m := regexp.MustCompile(`^hooklined ready http=(http://127\.0\.0\.1:\d+) grpc=127\.0\.0\.1:\d+\n$`).FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("ready line %q", line)
	}
	res, err := http.Get(m[1] + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("readyz: %s", res.Status)
	}
	if info, err := os.Stat(filepath.Join(dir, "data", "admin.token")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("admin.token: %v %v", info, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}

// mode wants a file to have these permissions: mode 0600 FILE.
func mode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := "0" + strconv.FormatUint(uint64(info.Mode().Perm()), 8); got != args[0] {
		ts.Fatalf("%s has mode %s", args[1], got)
	}
}
