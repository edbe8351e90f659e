package jobserver_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobpb"
	"hookline/internal/jobs"
	"hookline/internal/jobserver"
	"hookline/review"
	"hookline/store/sqlite"
)

const (
	deployment = "d-0123456789abcdef0123456789abcdef"
	serverName = "test-server"
	patience   = 20 * time.Second
)

// rig is a real job server over a real store, on loopback.
type rig struct {
	*testing.T
	dir     string
	ca      *enroll.CA
	key     string // setup key
	feed    *feed
	times   jobserver.Times
	address string
	wrap    func(jobserver.Peers) jobserver.Peers         // nil: none
	between func(jobserver.Collector) jobserver.Collector // nil: none

	db     *sqlite.DB
	hub    *jobserver.Hub
	c      *collector.Collector
	server *jobserver.Server
	stop   func() // ends the server and waits; what peers see is up to times.Stop
}

func newRig(t *testing.T, times jobserver.Times) *rig {
	t.Helper()
	r := &rig{T: t, dir: t.TempDir(), key: enroll.NewSetupKey(), times: times, address: "127.0.0.1:0", feed: newFeed(t)}
	ca, err := enroll.LoadOrCreateCA(r.dir, deployment, time.Now())
	r.ok(err)
	r.ca = ca
	r.start()
	t.Cleanup(func() { r.stop() })
	return r
}

func (r *rig) ok(err error) {
	r.Helper()
	if err != nil {
		r.Fatalf("%v (%s)", err, errs.CodeOf(err))
	}
}

// start opens the store and serves; after stop it may be called again.
func (r *rig) start() {
	r.Helper()
	var err error
	r.db, err = sqlite.Open(r.Context(), filepath.Join(r.dir, "hookline.db"), sqlite.Options{})
	r.ok(err)
	hashes, err := enroll.ParseHashes([]byte(enroll.HashSetupKey(r.key)))
	r.ok(err)
	db, hub := r.db, jobserver.NewHub()
	r.hub = hub
	r.c = &collector.Collector{
		Activations: db, Jobs: db, Queries: db, Repairs: db, Peers: db, Sender: hub, Now: time.Now,
		Signed: func(ctx context.Context, version string) (collector.Signed, error) {
			l, err := db.Life(ctx, version)
			return collector.Signed{Statement: l.Version.Statement, Script: l.Version.Script, Signatures: l.Version.Signatures}, err
		},
	}
	r.server = &jobserver.Server{
		Hub: hub, Collector: r.c, Uploads: r.c, Peers: db, Enroller: enroll.NewService(db, r.ca, hashes, time.Now),
		Trust: r.feed, Name: serverName, Version: "test", Times: r.times,
	}
	if r.wrap != nil {
		r.server.Peers = r.wrap(db)
	}
	if r.between != nil {
		r.server.Collector = r.between(r.c)
	}
	l, err := (&net.ListenConfig{}).Listen(r.Context(), "tcp", r.address)
	r.ok(err)
	r.address = l.Addr().String()
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	served, collected := make(chan error, 1), make(chan error, 1)
	go func() { served <- r.server.Serve(ctx, l, r.ca.ServerTLS(time.Now)) }()
	go func() { collected <- r.c.Run(ctx) }()
	r.stop = func() {
		cancel()
		for _, c := range []chan error{served, collected} {
			if err := <-c; err != nil && !errors.Is(err, context.Canceled) {
				r.Errorf("the server ended with %v", err)
			}
		}
		if err := db.Close(); err != nil {
			r.Error(err)
		}
		r.stop = func() {}
	}
}

// dial connects with a client certificate, or none.
func (r *rig) dial(cert *tls.Certificate) jobpb.PeersClient {
	r.Helper()
	config := enroll.PinnedTLS(deployment, r.ca.Digest(), time.Now)
	if cert != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	conn, err := grpc.NewClient("passthrough:///"+r.address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	r.ok(err)
	r.Cleanup(func() { _ = conn.Close() })
	return jobpb.NewPeersClient(conn)
}

func newKey(t *testing.T) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, k)
	if err != nil {
		t.Fatal(err)
	}
	return k, csr
}

// machine is an enrolled peer that speaks the bare protocol.
type machine struct {
	*rig
	id     string
	client jobpb.PeersClient
}

func (r *rig) machine() *machine {
	r.Helper()
	k, csr := newKey(r.T)
	reply, err := r.dial(nil).Enroll(r.Context(), &jobpb.EnrollRequest{Protocol: jobpb.Protocol, SetupKey: r.key, Csr: csr, Name: "m"})
	r.ok(err)
	return &machine{rig: r, id: reply.GetPeerId(), client: r.dial(&tls.Certificate{Certificate: [][]byte{reply.GetCertificate()}, PrivateKey: k})}
}

func hello() *jobpb.PeerMessage {
	return &jobpb.PeerMessage{Body: &jobpb.PeerMessage_Hello{Hello: &jobpb.Hello{
		Protocol: jobpb.Protocol, PredicateLevel: hooks.PredicateLevel, Version: "test",
		State: &jobpb.State{Facts: &jobpb.Facts{Os: "linux"}, SendReports: true, AllowHooks: "yes"},
	}}}
}

// talk is one stream of a machine.
type talk struct {
	*machine
	grpc.BidiStreamingClient[jobpb.PeerMessage, jobpb.ServerMessage]
	cancel context.CancelFunc
}

func (m *machine) raw() *talk {
	m.Helper()
	ctx, cancel := context.WithTimeout(m.Context(), patience)
	m.Cleanup(cancel)
	s, err := m.client.Stream(ctx)
	m.ok(err)
	return &talk{m, s, cancel}
}

// open says hello, gets the welcome and waits until the server knows the stream.
func (m *machine) open() *talk {
	m.Helper()
	t := m.raw()
	m.ok(t.Send(hello()))
	if t.next().GetWelcome().GetProtocol() != jobpb.Protocol || len(t.next().GetTrust().GetBundle()) == 0 {
		m.Fatal("no welcome with trust metadata")
	}
	m.until("the stream is known", func() bool { return m.hub.Connected(m.id) })
	return t
}

func (t *talk) next() *jobpb.ServerMessage {
	t.Helper()
	msg, err := t.Recv()
	t.ok(jobpb.FromStatus(err))
	return msg
}

// until waits for a condition.
func (r *rig) until(what string, done func() bool) {
	r.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			r.Fatalf("waited too long until %s", what)
		}
	}
}

func (r *rig) row(id string) enroll.Peer {
	r.Helper()
	p, err := r.db.Peer(r.Context(), id)
	r.ok(err)
	return p
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

func report() hooks.Report {
	return hooks.Report{hooks.FieldExecutablePath: "/usr/bin/crasher", hooks.FieldSignal: "6", hooks.FieldFrames: "a\nb\nc"}
}

// file files a report and returns its id.
func (m *machine) file() string {
	m.Helper()
	id := newID()
	reply, err := m.client.File(m.Context(), &jobpb.FileRequest{Id: id, Report: report().Canonical()})
	m.ok(jobpb.FromStatus(err))
	if !reply.GetCreated() || reply.GetFingerprint() != hooks.Fingerprint(report()) {
		m.Fatalf("reply %v", reply)
	}
	return id
}

// activate stores an approved version that matches report and activates it.
func (r *rig) activate() string {
	r.Helper()
	return r.activateUpTo(200_000)
}

// activateUpTo signs max_result_bytes.
func (r *rig) activateUpTo(maxResult int64) string {
	r.Helper()
	m, err := hooks.ParseManifest(hooks.Manifest{
		Hook: "extra", Description: "a test", Level: hooks.LevelProblem, As: hooks.AsService,
		Match: hooks.Match{Fingerprints: []string{hooks.Fingerprint(report())}},
		Fields: map[string]hooks.ManifestField{
			"Extra": {Type: hooks.TypeText, Class: hooks.ClassTechnical, MaxBytes: maxResult},
		},
		Limits: hooks.Limits{
			Lifetime: 24 * time.Hour, MaxReports: 1000, MaxRunsPerPeer: 1000, MaxPercent: 100,
			MaxBytes: 4 << 20, MaxResultBytes: maxResult, MaxRuntime: time.Second,
		},
	}.YAML())
	r.ok(err)
	now := time.Now().UTC().Truncate(time.Millisecond)
	st, err := m.Statement(hooks.Binding{Deployment: deployment, Author: hooks.Digest([]byte("a")), Version: 1, Now: now}, []byte("return {}"))
	r.ok(err)
	b, err := st.Canonical()
	r.ok(err)
	digest := hooks.Digest(b)
	r.ok(r.db.AddVersion(r.Context(), review.Version{
		Digest: digest, Hook: "extra", Number: 1, State: hooks.StateApproved, Statement: b, Script: []byte("return {}"),
		Manifest: m.YAML(), Signatures: [][]byte{[]byte("sig")}, SubmittedBy: "alice", SubmittedAt: now,
	}, r.grant(auth.HooksSubmit)))
	r.ok(r.db.Activate(r.Context(), hooks.Activation{
		Digest: digest, Hook: "extra", State: hooks.StateActive, Keys: st.Predicate.Match.Keys(), Quantity: 100,
		Deadline: now.Add(time.Hour), MaxBytes: st.Predicate.MaxBytes,
		Rollout: hooks.Rollout{Percent: 100, PerMinute: 6000}, CreatedAt: now, ChangedAt: now,
	}, hooks.StateApproved, r.grant(auth.HooksActivate)))
	return digest
}

func (r *rig) grant(p auth.Permission) auth.Grant {
	r.Helper()
	gate := &auth.Gate{Accounts: r.db, Log: r.db, Now: time.Now}
	g, err := gate.Authorize(r.Context(), auth.Principal{User: "admin", Roles: []auth.Role{auth.RoleAdmin}, Kind: auth.TokenAPI}, p, "test", "")
	r.ok(err)
	return g
}

// asked opens a stream, files a matching report and returns the job that comes.
func (m *machine) asked() (*talk, *jobpb.Job) {
	m.Helper()
	t := m.open()
	m.file()
	j := t.next().GetJob()
	if j.GetHook() == nil {
		m.Fatal("no hook job came")
	}
	return t, j
}

func (r *rig) job(id string) jobs.Job {
	r.Helper()
	j, err := r.db.Job(r.Context(), id)
	r.ok(err)
	return j
}

func (r *rig) results() []collector.Result {
	r.Helper()
	got, err := r.db.Results(r.Context(), collector.ResultFilter{Limit: 100})
	r.ok(err)
	return got
}

func (t *talk) finish(job string, o hooks.Outcome, code string) *jobpb.Settled {
	t.Helper()
	t.ok(t.Send(&jobpb.PeerMessage{Body: &jobpb.PeerMessage_Finished{
		Finished: &jobpb.Finished{JobId: job, Outcome: string(o), Code: code, Reason: "because"},
	}}))
	s := t.next().GetSettled()
	if s.GetJobId() != job {
		t.Fatalf("settled %v", s)
	}
	return s
}

// upload sends chunks, the first with the job's id.
func (m *machine) upload(job string, chunks ...[]byte) (*jobpb.UploadReply, error) {
	m.Helper()
	up, err := m.client.Upload(m.Context())
	m.ok(err)
	for i, data := range chunks {
		c := &jobpb.UploadChunk{Data: data}
		if i == 0 {
			c.JobId = job
		}
		if up.Send(c) != nil {
			break // CloseAndRecv has the reason
		}
	}
	reply, err := up.CloseAndRecv()
	return reply, jobpb.FromStatus(err)
}

func (r *rig) refused(err error, code errs.Code, text string) {
	r.Helper()
	err = jobpb.FromStatus(err)
	if !errs.Is(err, code) || !strings.Contains(err.Error(), text) {
		r.Errorf("got %v (%s), want %s with %q", err, errs.CodeOf(err), code, text)
	}
}
