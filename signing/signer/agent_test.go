package signer_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"hookline/internal/errs"
	"hookline/internal/sshtest"
	"hookline/signing"
	"hookline/signing/signer"
)

// served is an agent in this process on a socket of its own.
func served(t *testing.T, a agent.Agent) signer.Agent {
	t.Helper()
	// A socket's path is short, a test's folder may not be.
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = l.Close(), os.RemoveAll(dir) })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = agent.ServeAgent(a, conn), conn.Close() }()
		}
	}()
	return signer.Agent{Socket: l.Addr().String()}
}

// realAgent is OpenSSH's own agent, nil where it is not installed.
func realAgent(t *testing.T) *signer.Agent {
	t.Helper()
	socket := sshtest.Socket(t)
	if !sshtest.Agent(t, socket) {
		return nil
	}
	return &signer.Agent{Socket: socket}
}

type namedKey struct {
	comment string
	key     any
	public  crypto.PublicKey
}

// sshKeys are one key of each kind that matters.
func sshKeys(t *testing.T) map[string]namedKey {
	t.Helper()
	edPub, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]namedKey{"ed25519": {"alice@laptop", ed, edPub}}
	for name, curve := range map[string]elliptic.Curve{"p256": elliptic.P256(), "p384": elliptic.P384()} {
		k, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = namedKey{name, k, k.Public()}
	}
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	keys["rsa"] = namedKey{"rsa", k, k.Public()}
	return keys
}

func addKeys(t *testing.T, a signer.Agent, keys map[string]namedKey) {
	t.Helper()
	conn, err := net.Dial("unix", a.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	client := agent.NewClient(conn)
	for _, k := range keys {
		if err := client.Add(agent.AddedKey{PrivateKey: k.key, Comment: k.comment}); err != nil {
			t.Fatal(err)
		}
	}
}

// Keys of both kinds sign statements that our verifier reads, out of
// OpenSSH's agent and out of another.
func TestAgentSigns(t *testing.T) {
	agents := map[string]signer.Agent{"golang": served(t, agent.NewKeyring())}
	if a := realAgent(t); a != nil {
		agents["openssh"] = *a
	}
	for name, a := range agents {
		t.Run(name, func(t *testing.T) {
			keys := sshKeys(t)
			addKeys(t, a, keys)
			for _, kind := range []string{"ed25519", "p256"} {
				want, err := signing.NewPublicKey(keys[kind].public)
				if err != nil {
					t.Fatal(err)
				}
				fingerprint, err := ssh.NewPublicKey(keys[kind].public)
				if err != nil {
					t.Fatal(err)
				}
				for _, which := range []string{
					keys[kind].comment, string(want.ID), want.ID.Short(), strings.ToUpper(want.ID.Short()), ssh.FingerprintSHA256(fingerprint),
				} {
					s, err := signer.FromAgent(a, which)
					if err != nil || s.Public().ID != want.ID {
						t.Fatalf("%s: %v", which, err)
					}
					signsOneStatement(t, s)
				}
			}
			for _, kind := range []string{"p384", "rsa"} {
				_, err := signer.FromAgent(a, kind)
				if !errs.Is(err, errs.CodeKeyInvalid) || !strings.Contains(err.Error(), "cannot sign hooks") {
					t.Errorf("%s: %v", kind, err)
				}
			}
			listed, err := a.Keys()
			if err != nil || len(listed) != 4 {
				t.Fatalf("%d keys, %v", len(listed), err)
			}
			for _, k := range listed {
				if usable := k.Kind == ssh.KeyAlgoED25519 || k.Kind == ssh.KeyAlgoECDSA256; usable != (k.Refused == "") || k.Fingerprint == "" {
					t.Errorf("listed %+v", k)
				}
			}
		})
	}
}

// signsOneStatement signs as the only author of a policy and lets the one
// verifier decide.
func signsOneStatement(t *testing.T, s *signer.Signer) {
	t.Helper()
	st := statement(t, string(s.Public().ID))
	file, err := s.Sign(st)
	if err != nil {
		t.Fatal(err)
	}
	p := &signing.Policy{
		Deployment: "d-" + strings.Repeat("0", 32), Profile: signing.ProfileSolo, MaxLifetime: signing.MaxLifetime,
		Persons: []signing.Person{{Name: "me", Roles: []signing.Role{signing.RoleAuthor}, Keys: []signing.PublicKey{s.Public()}}},
	}
	if p, err = signing.ParsePolicy(p.YAML()); err != nil {
		t.Fatal(err)
	}
	if _, err := (signing.Rules{Policy: p}).Verify(nil, st, [][]byte{file}); err != nil {
		t.Fatalf("a signature out of the agent: %v", err)
	}
}

// A signature is asked of the agent long after the key was: what became of
// the agent in between is said.
func TestAgentErrors(t *testing.T) {
	ring := agent.NewKeyring()
	a := served(t, ring)
	wants := func(err error, code errs.Code, text string) {
		t.Helper()
		coded, ok := errs.As(err)
		if !ok || coded.Code != code || !strings.Contains(coded.Error(), text) || coded.Hint == "" {
			t.Errorf("%v (hint %q), want %s with %q and a hint", err, coded.Hint, code, text)
		}
	}
	of := func(a signer.Agent, which string) error {
		_, err := signer.FromAgent(a, which)
		return err
	}
	wants(of(signer.Agent{}, "x"), errs.CodeUnavailable, "SSH_AUTH_SOCK is not set")
	wants(of(signer.Agent{Socket: filepath.Join(t.TempDir(), "none")}, "x"), errs.CodeUnavailable, "cannot reach the ssh-agent")
	wants(of(a, "x"), errs.CodeNotFound, "shows no key")

	keys := sshKeys(t)
	addKeys(t, a, keys)
	id := func(kind string) string {
		pub, err := signing.NewPublicKey(keys[kind].public)
		if err != nil {
			t.Fatal(err)
		}
		return string(pub.ID)
	}
	for _, which := range []string{"", "nobody", id("p256")[:15], id("p256") + "0", "SHA256:", strings.Repeat("x", 1000)} {
		wants(of(a, which), errs.CodeNotFound, "has no key")
	}
	s, err := signer.FromAgent(a, id("p256"))
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.Lock([]byte("x")); err != nil {
		t.Fatal(err)
	}
	wants(of(a, "p256"), errs.CodeNotFound, "locked")
	_, err = s.SignBytes([]byte("x"))
	wants(err, errs.CodeUnavailable, "the ssh-agent refused")
	if err := ring.Unlock([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err = s.SignBytes([]byte("x")); err != nil {
		t.Error(err)
	}
	two := sshKeys(t)["p256"]
	addKeys(t, a, map[string]namedKey{"p256": two})
	wants(of(a, "p256"), errs.CodeConflict, "has 2 keys")
}

// wrongAgent holds keys and signs as it likes.
type wrongAgent struct {
	agent.Agent
	sign func(ssh.PublicKey, []byte) (*ssh.Signature, error)
}

func (w wrongAgent) Sign(k ssh.PublicKey, data []byte) (*ssh.Signature, error) {
	return w.sign(k, data)
}

// What an agent returns is verified before anybody else sees it.
func TestWrongSignatureOfAnAgent(t *testing.T) {
	ring := agent.NewKeyring()
	keys := sshKeys(t)
	for name, sign := range map[string]func(ssh.PublicKey, []byte) (*ssh.Signature, error){
		"over other bytes": func(k ssh.PublicKey, data []byte) (*ssh.Signature, error) { return ring.Sign(k, append(data, 0)) },
		"of another kind": func(k ssh.PublicKey, data []byte) (*ssh.Signature, error) {
			s, err := ring.Sign(k, data)
			if err == nil {
				s.Format = ssh.KeyAlgoRSA
			}
			return s, err
		},
		"cut short": func(k ssh.PublicKey, data []byte) (*ssh.Signature, error) {
			s, err := ring.Sign(k, data)
			if err == nil {
				s.Blob = s.Blob[:len(s.Blob)-1]
			}
			return s, err
		},
		"with more behind it": func(k ssh.PublicKey, data []byte) (*ssh.Signature, error) {
			s, err := ring.Sign(k, data)
			if err == nil {
				s.Blob = append(s.Blob, 1)
			}
			return s, err
		},
		"empty": func(k ssh.PublicKey, _ []byte) (*ssh.Signature, error) { return &ssh.Signature{Format: k.Type()}, nil },
		"none":  func(ssh.PublicKey, []byte) (*ssh.Signature, error) { return nil, errors.New("no") },
	} {
		a := served(t, wrongAgent{ring, sign})
		addKeys(t, a, map[string]namedKey{"ed25519": keys["ed25519"], "p256": keys["p256"]})
		for _, which := range []string{"alice@laptop", "p256"} {
			s, err := signer.FromAgent(a, which)
			if err != nil {
				t.Fatal(err)
			}
			if sig, err := s.SignBytes([]byte("message")); err == nil {
				t.Errorf("%s, %s: %x was passed on", name, which, sig)
			}
		}
	}
}

// A key that ssh-keygen made and ssh-add added, under its passphrase.
func TestKeysOfSSHKeygen(t *testing.T) {
	a := realAgent(t)
	if a == nil {
		t.Skip("ssh-agent is not installed")
	}
	dir := t.TempDir()
	for kind, flags := range map[string][]string{"ed25519": {"-t", "ed25519"}, "p256": {"-t", "ecdsa", "-b", "256"}} {
		file := filepath.Join(dir, kind)
		for _, args := range [][]string{append([]string{"ssh-keygen", "-q", "-N", "", "-C", kind + "@test", "-f", file}, flags...), {"ssh-add", file}} {
			cmd := exec.Command(args[0], args[1:]...)
			cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK="+a.Socket)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %v\n%s", args, err, out)
			}
		}
		s, err := signer.FromAgent(*a, kind+"@test")
		if err != nil {
			t.Fatal(err)
		}
		if block, _ := pem.Decode(s.Public().PEM()); block == nil {
			t.Fatal("no public key")
		}
		signsOneStatement(t, s)
	}
}
