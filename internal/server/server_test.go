package server

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"

	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/errs"
)

// The clock of the expressions that color scripts goes on for a moment after them.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/dlclark/regexp2/v2.runClock"))
}

func TestMetricsCount(t *testing.T) {
	r := newRig(t)
	r.sample()
	a := r.send(auth.RoleOperator, "GET", "/metrics", nil)
	for _, want := range []string{
		`hookline_reports_total 0`, // the sample goes past the collector
		`hookline_hook_jobs_total{outcome="received"} 1`,
		`hookline_hook_jobs_total{outcome="failed"} 1`,
		`hookline_leases 0`,
		`hookline_leases_settled_total{outcome="received"} 1`,
		`hookline_streams 0`,
		`hookline_http_request_seconds_count{method="POST",route="/api/versions",status="201"} 2`,
	} {
		if !strings.Contains(string(a.Body), want+"\n") {
			t.Errorf("no %s in\n%s", want, a.Body)
		}
	}
	if strings.Contains(string(a.Body), "01960000") {
		t.Error("an id is a label")
	}
}

// TestStopsGracefully: a request that is under way when the server is told to
// stop is answered, new ones are not, and the same folder starts again.
func TestStopsGracefully(t *testing.T) {
	r := newRig(t)
	defer r.http.CloseIdleConnections()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.HTTPURL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	head := "POST /api/login-links HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + r.tokens[auth.RoleViewer] + "\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
	if _, err := conn.Write([]byte(head)); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	for deadline := time.Now().Add(5 * time.Second); !r.stopping.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not begin to stop")
		}
	}
	if _, err := conn.Write([]byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := <-stopped; err != nil {
		t.Fatalf("stop: %v", err)
	}
	if _, err := http.Get(r.HTTPURL() + "/livez"); err == nil { //nolint:bodyclose // there is none
		t.Error("it still answers")
	}
	r.start()
	r.must(auth.RoleViewer, "GET", "/api/me", nil, 200, nil)
	if _, err := os.Stat(filepath.Join(r.cfg.Data, adminTokenFile)); err != nil {
		t.Error(err)
	}
}

// A data folder whose server gets another store keeps the admin's token of the
// first, of which that store has the hash only.
func TestAnotherStoreKeepsTheToken(t *testing.T) {
	r := newRig(t)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r.cfg.Store = filepath.Join(r.cfg.Data, "other.db")
	r.start()
	if a := r.send(auth.RoleAdmin, "GET", "/api/me", nil); a.Status != http.StatusUnauthorized {
		t.Errorf("the other store knows the token: %d", a.Status)
	}
	kept, err := filepath.Glob(filepath.Join(r.cfg.Data, adminTokenFile+".*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("%v, %v, want one token that is kept", kept, err)
	}
	b, err := os.ReadFile(kept[0])
	if err != nil || strings.TrimSpace(string(b)) != r.tokens[auth.RoleAdmin] {
		t.Errorf("it is another one: %v", err)
	}
}

func TestSecretsAreForTheOwnerOnly(t *testing.T) {
	r := newRig(t)
	entries, err := os.ReadDir(r.cfg.Data)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if e.Name() != enroll.CACertFile && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %o", e.Name(), info.Mode().Perm())
		}
		b, err := os.ReadFile(filepath.Join(r.cfg.Data, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for role, token := range r.tokens {
			if e.Name() != adminTokenFile && strings.Contains(string(b), token) {
				t.Errorf("%s has the token of %s in clear", e.Name(), role)
			}
		}
	}
	for role, token := range r.tokens {
		if strings.Contains(r.log.String(), token) {
			t.Errorf("the log has the token of %s", role)
		}
	}
}

func TestPeersPortSpeaksOnlyTLS13ForItsDeployment(t *testing.T) {
	r := newRig(t)
	dial := func(c *tls.Config) error {
		cc, err := grpc.NewClient(r.GRPCAddress(), grpc.WithTransportCredentials(credentials.NewTLS(c)))
		if err != nil {
			return err
		}
		defer func() { _ = cc.Close() }()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_, err = grpc_health_v1.NewHealthClient(cc).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
		return err
	}
	if err := dial(enroll.PinnedTLS(deployment, r.ca.Digest(), r.clock.now)); err != nil {
		t.Errorf("health: %v", err)
	}
	if err := dial(enroll.PinnedTLS(deployment, strings.Repeat("0", 64), r.clock.now)); err == nil {
		t.Error("another CA was accepted")
	}
	_, err := tls.Dial("tcp", r.GRPCAddress(), &tls.Config{MaxVersion: tls.VersionTLS12, InsecureSkipVerify: true}) //nolint:gosec // to see it refused
	if err == nil {
		t.Error("TLS 1.2 was accepted")
	}
}

// TestConfigErrorsNameTheFlag: each wrong setting is refused with its flag,
// and nothing stays open.
func TestConfigErrorsNameTheFlag(t *testing.T) {
	r := newRig(t)
	taken := r.GRPCAddress()
	for name, c := range map[string]struct {
		change func(*Config)
		field  string
	}{
		"no data":          {func(c *Config) { c.Data = "" }, "--data"},
		"no trust":         {func(c *Config) { c.Trust = "" }, "--trust"},
		"no such trust":    {func(c *Config) { c.Trust += ".not" }, "--trust"},
		"no keys":          {func(c *Config) { c.SetupKeys = "" }, "--setup-keys"},
		"no such keys":     {func(c *Config) { c.SetupKeys += ".not" }, "--setup-keys"},
		"open plain HTTP":  {func(c *Config) { c.HTTP = "0.0.0.0:0" }, "--http"},
		"all interfaces":   {func(c *Config) { c.HTTP = ":0" }, "--http"},
		"a name":           {func(c *Config) { c.HTTP = "example.org:80" }, "--http"},
		"no port":          {func(c *Config) { c.HTTP = "127.0.0.1" }, "--http"},
		"key without cert": {func(c *Config) { c.HTTPKey = c.Trust }, "--http-cert, --http-key"},
		"no certificate":   {func(c *Config) { c.HTTPKey, c.HTTPCert = c.Trust, c.Trust }, "--http-cert, --http-key"},
		"taken port":       {func(c *Config) { c.GRPC = taken }, "--grpc"},
		"no address":       {func(c *Config) { c.GRPC = "nowhere" }, "--grpc"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := r.config()
			c.change(&cfg)
			s, err := New(context.Background(), cfg)
			if err == nil {
				t.Fatal(s.Close())
			}
			e, ok := errs.As(err)
			if !ok || e.Field != c.field || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want an error about %s", err, c.field)
			}
		})
	}
}

func TestHTTPSServesOtherMachines(t *testing.T) {
	r := newRig(t)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r.cfg.HTTP, r.cfg.HTTPCert, r.cfg.HTTPKey = "127.0.0.1:0", filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	writeCertificate(t, r.cfg.HTTPCert, r.cfg.HTTPKey)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // a certificate of this test
	defer transport.CloseIdleConnections()
	r.http.Transport = transport
	r.start()
	me := r.signIn(auth.RoleViewer)
	if !strings.HasPrefix(r.HTTPURL(), "https://") || !me.Secure || !strings.HasPrefix(me.Name, "__Host-") {
		t.Errorf("%s: cookie %+v", r.HTTPURL(), me)
	}
}
