package signing_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh/agent"

	"hookline/hooks"
	"hookline/signing"
	"hookline/signing/signer"
)

const passphrase = "correct horse"

// cosign is the real program, run offline in a folder of its own.
type cosign struct {
	t      *testing.T
	binary string
	dir    string
}

// newCosign looks for the program in HOOKLINE_COSIGN, .bin of the module and
// PATH. Without it the formats are not proven, so its absence is a failure.
func newCosign(t *testing.T) *cosign {
	t.Helper()
	binary := os.Getenv("HOOKLINE_COSIGN")
	if binary == "" {
		if local, err := filepath.Abs("../.bin/cosign"); err == nil {
			if _, err := os.Stat(local); err == nil {
				binary = local
			}
		}
	}
	if binary == "" {
		found, err := exec.LookPath("cosign")
		if err != nil {
			t.Fatal("cannot find cosign, which shows that the formats are the real ones; run: make tools (or set HOOKLINE_COSIGN)")
		}
		binary = found
	}
	c := &cosign{t: t, binary: binary, dir: t.TempDir()}
	if v := cosignVersion.FindStringSubmatch(c.run("version")); v != nil {
		t.Logf("cosign %s", v[1])
	}
	c.run("signing-config", "create", "--out", "sc.json")
	c.run("trusted-root", "create", "--out", "tr.json")
	return c
}

var cosignVersion = regexp.MustCompile(`GitVersion:\s*(\S+)`)

func (c *cosign) try(args ...string) (string, error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.binary, args...)
	cmd.Dir = c.dir
	cmd.Env = []string{"HOME=" + c.dir, "PATH=" + os.Getenv("PATH"), "COSIGN_PASSWORD=" + passphrase, "HTTPS_PROXY=http://127.0.0.1:9"}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stderr.String(), err
	}
	return stdout.String(), nil
}

func (c *cosign) run(args ...string) string {
	c.t.Helper()
	out, err := c.try(args...)
	if err != nil {
		c.t.Fatalf("cosign %v: %v\n%s", args, err, out)
	}
	return out
}

func (c *cosign) write(name string, b []byte) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, name), b, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cosign) read(name string) []byte {
	c.t.Helper()
	b, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

func (c *cosign) attest(key, statement, bundle string) {
	c.t.Helper()
	c.run("attest-blob", "--yes", "--signing-config", "sc.json", "--trusted-root", "tr.json",
		"--key", key, "--statement", statement, "--bundle", bundle)
}

func (c *cosign) verify(key, bundle, blob string) (string, error) {
	return c.try("verify-blob-attestation", "--trusted-root", "tr.json", "--insecure-ignore-tlog",
		"--key", key, "--bundle", bundle, "--type", hooks.PredicateType, blob)
}

// generated is our key for all tests: making one is slow on purpose.
var generated = sync.OnceValues(func() (pair [2][]byte, err error) {
	pair[0], pair[1], err = signer.Generate([]byte(passphrase))
	return pair, err
})

func generate(t *testing.T) (private, public []byte) {
	t.Helper()
	pair, err := generated()
	if err != nil {
		t.Fatal(err)
	}
	return pair[0], pair[1]
}

func TestCosignLoadsOurKey(t *testing.T) {
	c := newCosign(t)
	private, public := generate(t)
	c.write("ours.key", private)
	if got := c.run("public-key", "--key", "ours.key"); got != string(public) {
		t.Errorf("cosign reads our key as\n%s\nwant\n%s", got, public)
	}
}

// A team of one author with our keys and two reviewers, one of them with
// cosign alone: both programs accept what the other made.
func TestCosignAndWeAgree(t *testing.T) {
	c := newCosign(t)
	k := newTeam(t)
	private, public := generate(t)
	var err error
	if k.alice, err = signer.Load(private, []byte(passphrase)); err != nil {
		t.Fatal(err)
	}
	c.run("generate-key-pair", "--output-key-prefix", "bob")
	if k.bob, err = signer.Load(c.read("bob.key"), []byte(passphrase)); err != nil {
		t.Fatalf("a key that cosign made: %v", err)
	}
	bob, err := signing.ParsePublicKey(c.read("bob.pub"))
	if err != nil || bob.ID != k.bob.Public().ID {
		t.Fatalf("a public key that cosign wrote: %v", err)
	}
	k.policy.Persons[0].Keys[0], k.policy.Persons[1].Keys[0] = k.alice.Public(), bob

	st := k.statement(t, nil)
	ours := sign(t, st, k.alice, k.carol)
	c.write("alice.pub", public)
	c.write("carol.pub", k.carol.Public().PEM())
	c.write("hook.lua", []byte(script))
	c.write("other.lua", []byte(script+"\n"))
	c.write("statement.json", st)
	c.write("alice.sigstore.json", ours[0])
	c.write("carol.sigstore.json", ours[1])
	c.attest("bob.key", "statement.json", "bob.sigstore.json")

	t.Run("cosign accepts ours", func(t *testing.T) {
		for _, who := range []string{"alice", "carol"} { // P-256 and Ed25519
			if out, err := c.verify(who+".pub", who+".sigstore.json", "hook.lua"); err != nil {
				t.Errorf("%s: %v\n%s", who, err, out)
			}
		}
		if _, err := c.verify("alice.pub", "alice.sigstore.json", "other.lua"); err == nil {
			t.Error("cosign accepts our signature for another script")
		}
		if _, err := c.verify("bob.pub", "alice.sigstore.json", "hook.lua"); err == nil {
			t.Error("cosign accepts our signature for another key")
		}
	})
	t.Run("we accept cosign's", func(t *testing.T) {
		v, err := verify(k.load(t), []byte(script), st, append(ours, c.read("bob.sigstore.json")))
		if err != nil {
			t.Fatal(err)
		}
		if got := reviewers(v.Standing()); len(got) != 2 || got[0] != "bob" || got[1] != "carol" {
			t.Errorf("reviewers %v", got)
		}
	})
	t.Run("cosign opens our private key and signs with it", func(t *testing.T) {
		c.write("alice.key", private)
		c.attest("alice.key", "statement.json", "again.sigstore.json")
		if _, err := verify(k.load(t), []byte(script), st, [][]byte{c.read("again.sigstore.json"), ours[1], c.read("bob.sigstore.json")}); err != nil {
			t.Error(err)
		}
	})
}

// A key of another tool, imported by cosign: Ed25519 in our signer is pure
// Ed25519, which cosign verifies.
func TestImportedEd25519(t *testing.T) {
	c := newCosign(t)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	c.write("plain.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	c.run("import-key-pair", "--key", "plain.pem", "--output-key-prefix", "carol")
	carol, err := signer.Load(c.read("carol.key"), []byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	k := newTeam(t)
	st := k.statement(t, func(p *hooks.Predicate) { p.Author = string(carol.Public().ID) })
	c.write("hook.lua", []byte(script))
	c.write("carol.sigstore.json", sign(t, st, carol)[0])
	if out, err := c.verify("carol.pub", "carol.sigstore.json", "hook.lua"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// Keys that stay in an ssh-agent: cosign verifies what it signs, of both kinds.
func TestCosignVerifiesAgentKeys(t *testing.T) {
	c := newCosign(t)
	c.write("hook.lua", []byte(script))
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ring := agent.NewKeyring()
	for name, key := range map[string]any{"ed25519": &ed, "p256": p256} {
		if err := ring.Add(agent.AddedKey{PrivateKey: key, Comment: name}); err != nil {
			t.Fatal(err)
		}
	}
	socket := filepath.Join(c.dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			go func() { _, _ = agent.ServeAgent(ring, conn), conn.Close() }()
		}
	}()
	for _, name := range []string{"ed25519", "p256"} {
		s, err := signer.FromAgent(signer.Agent{Socket: socket}, name)
		if err != nil {
			t.Fatal(err)
		}
		k := newTeam(t)
		st := k.statement(t, func(p *hooks.Predicate) { p.Author = string(s.Public().ID) })
		c.write(name+".pub", s.Public().PEM())
		c.write(name+".sigstore.json", sign(t, st, s)[0])
		if out, err := c.verify(name+".pub", name+".sigstore.json", "hook.lua"); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
