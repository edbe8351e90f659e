package guard

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/guardwire"
	"hookline/internal/waitfor"
	"hookline/sandbox"
	"hookline/signing"
	"hookline/signing/signer"
	"hookline/signing/trust/keeper"

	"github.com/google/uuid"
)

const (
	deployment = "d-00112233445566778899aabbccddeeff"
	script     = `report.set("Answer", "42")`
	ownSPKI    = "5f3c9b1f0d5a4f6c8b7e2a1d9c0e3f4b5a6978d7c6b5a4f3e2d1c0b9a8978685"
)

var start = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// newSigner makes the key of a name, the same in every process.
func newSigner(t testing.TB, name string) *signer.Signer {
	t.Helper()
	seed := sha256.Sum256([]byte(name))
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
	if err != nil {
		t.Fatal(err)
	}
	s, err := signer.New(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// kit is an enrolled machine of a deployment where alice writes and bob and
// carol review, dave operates and revokes; mallory is a stranger.
type kit struct {
	t                                testing.TB
	dir                              string
	clock                            *clock
	boot                             *uptime
	offline                          *keeper.Keeper // of the deployment's people, nil until it is asked for
	alice, bob, carol, dave, mallory *signer.Signer
	policy                           signing.Policy
	notAfter                         time.Duration // of hooks, after start; 7 days where 0
	sandbox                          sandboxFunc
	setting                          Setting // of the last run
	real                             *sandbox.Runner
	starts                           func() // called when a real sandbox is made
}

// sandboxFunc ends runs as a test wants, also in ways that the real one never would.
type sandboxFunc func(ctx context.Context, t sandbox.Task) (sandbox.Outcome, error)

func (f sandboxFunc) Run(ctx context.Context, t sandbox.Task) (sandbox.Outcome, error) {
	return f(ctx, t)
}

func answers(fields hooks.Fields) sandboxFunc {
	return func(context.Context, sandbox.Task) (sandbox.Outcome, error) {
		return sandbox.Outcome{Fields: fields, Calls: []sandbox.Call{{Name: "fs.read", Arg: "/proc/meminfo", Bytes: 12}}}, nil
	}
}

func newKit(t testing.TB) *kit {
	t.Helper()
	k := &kit{
		t: t, dir: t.TempDir(), clock: &clock{now: start.Add(time.Hour)}, boot: &uptime{Boot: Boot{ID: "boot 1", Since: time.Hour}},
		alice: newSigner(t, "alice"), bob: newSigner(t, "bob"), carol: newSigner(t, "carol"),
		dave: newSigner(t, "dave"), mallory: newSigner(t, "mallory"), sandbox: answers(hooks.Fields{"Answer": "42"}),
	}
	person := func(name string, s *signer.Signer, roles ...signing.Role) signing.Person {
		return signing.Person{Name: name, Roles: roles, Keys: []signing.PublicKey{s.Public()}}
	}
	k.policy = signing.Policy{
		Deployment: deployment, Profile: signing.ProfileTeam, Reviewers: 2, MaxLifetime: 7 * 24 * time.Hour,
		Needs: map[string]int{}, Forbidden: []string{signing.CapAsReporter},
		Persons: []signing.Person{
			person("alice", k.alice, signing.RoleAuthor, signing.RoleReviewer),
			person("bob", k.bob, signing.RoleReviewer),
			person("carol", k.carol, signing.RoleReviewer),
			person("dave", k.dave, signing.RoleOperator, signing.RoleRevoker),
		},
	}
	return k
}

// enroll pins the root of the kit's deployment.
func (k *kit) enroll() *kit {
	k.t.Helper()
	k.ok(Enroll(k.dir, k.enrolment()))
	return k
}

func (k *kit) options() Options {
	return Options{
		Dir: k.dir, Facts: hooks.Facts{OS: "linux", Release: "Debian 12", Kernel: "6.1", Arch: "amd64"},
		Sandbox: func(s Setting) Sandbox {
			k.setting = s
			if k.starts != nil {
				k.starts()
			}
			if k.real != nil {
				return k.real
			}
			return k.sandbox
		}, Now: k.clock.Now, Boot: k.boot.Now, Log: slog.New(slog.DiscardHandler),
	}
}

func (k *kit) open() *Guard {
	k.t.Helper()
	g, err := Open(k.options())
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { _ = g.Close() }) // again, where the test closed it
	return g
}

// optedIn is an enrolled guard whose owner said yes to all.
func (k *kit) optedIn(hooksAnswer string) *Guard {
	k.t.Helper()
	g := k.enroll().open()
	owner(k.t, g, guardwire.Request{Op: guardwire.OpAllow, SendReports: ptr(true), AllowHooks: ptr(hooksAnswer)})
	return g
}

func ptr[T any](v T) *T { return &v }

// owner does a request that must succeed, as the guard's own user.
func owner(t testing.TB, g *Guard, req guardwire.Request) guardwire.Reply {
	t.Helper()
	reply := g.Handle(Caller{UID: os.Geteuid()}, req)
	if reply.Code != "" {
		t.Fatalf("%s: %s %s", req.Op, reply.Code, reply.Message)
	}
	return reply
}

func crashReport() hooks.Report {
	return hooks.Report{
		hooks.FieldExecutablePath: "/usr/sbin/nginx", hooks.FieldPackage: "nginx", hooks.FieldPackageVersion: "1.22.1-9",
		hooks.FieldSignal: "11", hooks.FieldSignalName: "SIGSEGV", hooks.FieldProblemType: "Crash",
	}
}

// file files a crash of nginx and returns its id.
func file(t testing.TB, g *Guard) string {
	t.Helper()
	return owner(t, g, guardwire.Request{Op: guardwire.OpFile, Source: "report", Report: crashReport()}).ID
}

func (k *kit) predicate() hooks.Predicate {
	return hooks.Predicate{
		Deployment: deployment, Hook: "answer", Version: 1, Author: string(k.alice.Public().ID),
		Level: hooks.LevelPackage, Match: hooks.Match{Fingerprints: []string{}, Package: "nginx"},
		Capabilities: hooks.ReadingOnly("/proc/meminfo"), As: hooks.AsService,
		Fields: []hooks.DeclaredField{
			{Name: "Answer", Type: hooks.TypeText, Class: hooks.ClassTechnical, MaxBytes: 64},
			{Name: "Package", Type: hooks.TypeText, Class: hooks.ClassTechnical, MaxBytes: 64},
		},
		NotBefore: start.Unix(), NotAfter: start.Add(7 * 24 * time.Hour).Unix(), MaxReports: 3, MaxRunsPerPeer: 1,
		MaxPercent: 100, MaxBytes: 4096, MaxResultBytes: 1024, MaxRuntimeMS: 1000,
	}
}

// run is a hook job that change makes different before people sign it.
func (k *kit) run(original string, change func(*hooks.Predicate), signers ...*signer.Signer) *guardwire.Run {
	k.t.Helper()
	return k.runScript(original, script, change, signers...)
}

func (k *kit) runScript(original, lua string, change func(*hooks.Predicate), signers ...*signer.Signer) *guardwire.Run {
	k.t.Helper()
	p := k.predicate()
	if k.notAfter != 0 {
		p.NotAfter = start.Add(k.notAfter).Unix()
	}
	if change != nil {
		change(&p)
	}
	st, err := hooks.Statement{
		Type: hooks.StatementType, PredicateType: hooks.PredicateType, Predicate: p,
		Subject: []hooks.Subject{{Name: hooks.ScriptName, Digest: hooks.SubjectDigest{SHA256: hooks.Digest([]byte(lua))}}},
	}.Canonical()
	if err != nil {
		k.t.Fatal(err)
	}
	r := &guardwire.Run{OriginalID: original, Deadline: k.clock.Now().Add(5 * time.Minute), Statement: st, Script: []byte(lua)}
	if len(signers) == 0 {
		signers = []*signer.Signer{k.alice, k.bob, k.carol}
	}
	for _, s := range signers {
		f, err := s.Sign(st)
		if err != nil {
			k.t.Fatal(err)
		}
		r.Signatures = append(r.Signatures, f)
	}
	return r
}

func newID(t testing.TB) string {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}

// side plays the network side of one guard.
type side struct {
	t     testing.TB
	conn  *guardwire.Conn
	got   chan guardwire.Message
	ended chan error // what Serve returned
}

// connect starts a network side whose stream is open.
func connect(t testing.TB, g *Guard) *side {
	t.Helper()
	s := attach(t, g)
	s.write(guardwire.Message{Kind: guardwire.KindConnected})
	return s
}

func attach(t testing.TB, g *Guard) *side {
	t.Helper()
	ours, theirs := net.Pipe()
	s := &side{t: t, conn: guardwire.NewConn(theirs), got: make(chan guardwire.Message, 1000), ended: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { s.ended <- g.Serve(ctx, guardwire.NewConn(ours)) }()
	read := make(chan struct{})
	go func() {
		defer close(read)
		for {
			m, err := s.conn.Read()
			if err != nil {
				return
			}
			s.got <- m
		}
	}()
	t.Cleanup(func() {
		cancel()
		_ = s.conn.Close()
		<-read
	})
	return s
}

func (s *side) write(m guardwire.Message) {
	s.t.Helper()
	if err := s.conn.Write(m); err != nil {
		s.t.Fatalf("cannot write %s: %v", m.Kind, err)
	}
}

// await returns the next message of a kind.
func (s *side) await(kind guardwire.Kind) guardwire.Message {
	s.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case m := <-s.got:
			if m.Kind == kind {
				return m
			}
		case <-deadline:
			s.t.Fatalf("no %s came", kind)
		}
	}
}

// end is how a job ends that this side hands in.
func (s *side) end(r *guardwire.Run) guardwire.Message {
	s.t.Helper()
	id := newID(s.t)
	s.write(guardwire.Message{Kind: guardwire.KindRun, JobID: id, Run: r})
	for {
		if m := s.await(guardwire.KindFinish); m.JobID == id {
			return m
		}
	}
}

// entries are the record's lines of a kind.
func entries(t testing.TB, g *Guard, kind string) []Entry {
	t.Helper()
	lines, more, err := g.record.Lines(0, "", 100<<20)
	if err != nil || more {
		t.Fatalf("lines: more %v, %v", more, err)
	}
	var out []Entry
	for _, line := range lines {
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

func lastEntry(t testing.TB, g *Guard, kind string) Entry {
	t.Helper()
	all := entries(t, g, kind)
	if len(all) == 0 {
		t.Fatalf("the record has no entry of kind %s", kind)
	}
	return all[len(all)-1]
}

// kill leaves a guard as kill -9 would: nothing is written, the lock is free.
func kill(t testing.TB, g *Guard) {
	t.Helper()
	if err := errors.Join(g.held.Close(), g.record.file.Close()); err != nil && !errors.Is(err, os.ErrClosed) {
		t.Fatal(err)
	}
}

func wantCode(t testing.TB, err error, code errs.Code) {
	t.Helper()
	if errs.CodeOf(err) != code {
		t.Fatalf("code %q (%v), want %q", errs.CodeOf(err), err, code)
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	waitfor.True(t, 10*time.Second, what, holds)
}

var _ io.Closer = (*Guard)(nil)
