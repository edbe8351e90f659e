package server

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/api"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/signing"
	"hookline/signing/signer"
	"hookline/signing/trust/keeper"
)

const (
	deployment = "d-00112233445566778899aabbccddeeff"
	examples   = "../../examples/hooks"
)

// clock is a clock that tests set.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// safeBuffer is a log that goroutines may share.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// rig is a real server on loopback with a database in a temporary folder, an
// account of each role, and the keys of an author and a reviewer.
type rig struct {
	*Server
	t       *testing.T
	cfg     Config
	log     *safeBuffer
	clock   *clock
	offline string // folder of policy and trust metadata
	keys    map[string]*signer.Signer
	tokens  map[auth.Role]string
	http    *http.Client
	stop    func() error
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{
		t: t, log: &safeBuffer{}, keys: map[string]*signer.Signer{}, tokens: map[auth.Role]string{},
		clock: &clock{at: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)},
		http:  &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	r.cfg = r.config()
	r.start()
	return r
}

// config writes policy and setup keys and returns a configuration that works.
func (r *rig) config() Config {
	r.t.Helper()
	dir := r.t.TempDir()
	policy := &signing.Policy{
		Deployment: deployment, Profile: signing.ProfileTeam, Reviewers: 1, MaxLifetime: 14 * 24 * time.Hour,
		Persons: []signing.Person{r.person("alice", signing.RoleAuthor), r.person("bob", signing.RoleReviewer)},
	}
	r.offline = filepath.Join(dir, "offline")
	r.initTrust(policy.YAML())
	write(r.t, filepath.Join(dir, "setup-keys.txt"), []byte(enroll.HashSetupKey(enroll.NewSetupKey())+"\n"))
	return Config{
		Data: filepath.Join(dir, "data"), Trust: filepath.Join(r.offline, keeper.BundleName), SetupKeys: filepath.Join(dir, "setup-keys.txt"),
		GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0", Pages: PagesWithAPI, Version: "test", Now: r.clock.now,
		Log: slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) person(name string, role signing.Role) signing.Person {
	r.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		r.t.Fatal(err)
	}
	if r.keys[name], err = signer.New(key); err != nil {
		r.t.Fatal(err)
	}
	return signing.Person{Name: name, Roles: []signing.Role{role}, Keys: []signing.PublicKey{r.keys[name].Public()}}
}

// start runs the server and gives each role a token.
func (r *rig) start() {
	r.t.Helper()
	var err error
	if r.Server, err = New(context.Background(), r.cfg); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	r.t.Cleanup(func() {
		if err := r.stop(); err != nil {
			r.t.Errorf("server ended: %v", err)
		}
	})
	if len(r.tokens) > 0 {
		return
	}
	secret, err := os.ReadFile(filepath.Join(r.cfg.Data, adminTokenFile))
	if err != nil {
		r.t.Fatal(err)
	}
	r.tokens[auth.RoleAdmin] = strings.TrimSpace(string(secret))
	for _, role := range []auth.Role{auth.RoleAuthor, auth.RoleReviewer, auth.RoleOperator, auth.RoleViewer} {
		var token api.Token
		r.must(auth.RoleAdmin, "POST", "/api/tokens", api.NewToken{User: string(role) + "-1", Roles: []string{string(role)}, Days: 1}, 201, &token)
		r.tokens[role] = token.Secret
	}
}

// restart stops the server and starts it as its configuration says now.
func (r *rig) restart() {
	r.t.Helper()
	if err := r.stop(); err != nil {
		r.t.Fatal(err)
	}
	r.start()
}

// answer is what came back.
type answer struct {
	Status int
	Header http.Header
	Body   []byte
}

func (a answer) problem(t *testing.T) api.Problem {
	t.Helper()
	var p api.Problem
	if err := json.Unmarshal(a.Body, &p); err != nil || a.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("status %d: no problem+json but %s %q", a.Status, a.Header.Get("Content-Type"), a.Body)
	}
	return p
}

// send makes a request; body is bytes, or anything that becomes JSON.
func (r *rig) send(role auth.Role, method, path string, body any, headers ...string) answer {
	r.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case []byte:
		reader = bytes.NewReader(b)
	default:
		j, err := json.Marshal(b)
		if err != nil {
			r.t.Fatal(err)
		}
		reader = bytes.NewReader(j)
	}
	req, err := http.NewRequest(method, r.HTTPURL()+path, reader)
	if err != nil {
		r.t.Fatal(err)
	}
	if token := r.tokens[role]; token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := r.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		r.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, b}
}

// must is send for what has to work.
func (r *rig) must(role auth.Role, method, path string, body any, status int, into any) {
	r.t.Helper()
	a := r.send(role, method, path, body)
	if a.Status != status {
		r.t.Fatalf("%s %s: status %d, want %d\n%s", method, path, a.Status, status, a.Body)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(a.Body, into); err != nil {
		r.t.Fatalf("%s %s: %v\n%s", method, path, err, a.Body)
	}
}

// newVersion builds and signs the example hook as its author's machine does.
func (r *rig) newVersion(hook string, number int64) api.NewVersion {
	r.t.Helper()
	return r.signed(read(r.t, hook, "hook.yaml"), read(r.t, hook, "hook.lua"), number)
}

func (r *rig) signed(manifest, script []byte, number int64) api.NewVersion {
	r.t.Helper()
	m, err := hooks.ParseManifest(manifest)
	if err != nil {
		r.t.Fatal(err)
	}
	author := r.keys["alice"]
	st, err := m.Statement(hooks.Binding{Deployment: deployment, Author: string(author.Public().ID), Version: number, Now: r.clock.now()}, script)
	if err != nil {
		r.t.Fatal(err)
	}
	statement, err := st.Canonical()
	if err != nil {
		r.t.Fatal(err)
	}
	return api.NewVersion{Manifest: manifest, Script: script, Statement: statement, Signature: r.sign("alice", statement)}
}

func (r *rig) sign(name string, statement []byte) []byte {
	r.t.Helper()
	file, err := r.keys[name].Sign(statement)
	if err != nil {
		r.t.Fatal(err)
	}
	return file
}

// activate takes a hook from its author's folder to active, over the API.
func (r *rig) activate(hook string) api.Version {
	r.t.Helper()
	nv := r.newVersion(hook, 1)
	var v api.Version
	r.must(auth.RoleAuthor, "POST", "/api/versions", nv, 201, &v)
	r.must(auth.RoleReviewer, "POST", "/api/versions/"+v.Digest+"/reviews", api.NewReview{Verdict: "approve", Signature: r.sign("bob", nv.Statement)}, 200, &v)
	if v.State != "approved" || v.Approvals != 1 || v.Needed != 1 || v.Author != "alice" {
		r.t.Fatalf("after the approval: %+v", v)
	}
	r.must(auth.RoleOperator, "POST", "/api/versions/"+v.Digest+"/activation",
		api.NewActivation{Quantity: 3, Deadline: r.clock.now().Add(time.Hour)}, 200, &v)
	if v.State != "active" || v.Activation == nil || v.Activation.Quantity != 3 {
		r.t.Fatalf("after the activation: %+v", v)
	}
	return v
}

func read(t *testing.T, hook, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(examples, hook, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// writeCertificate makes a self-signed certificate of 127.0.0.1.
func writeCertificate(t *testing.T, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}
