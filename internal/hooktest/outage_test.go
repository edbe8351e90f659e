package hooktest_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/connstring"

	"hookline/internal/client"
	"hookline/internal/onebox"
	"hookline/internal/server"
	"hookline/internal/wiretest"
)

// far is a deployment whose server reaches its store over a way that breaks.
// The server is in this process, for its clock and the race detector; people
// and peers are the real programs.
type far struct {
	*onebox.Deployment

	t      *testing.T
	proxy  *toxiproxy.Proxy // nil: nothing stands between
	store  string           // the address past the proxy
	log    *screen
	ahead  atomic.Int64 // of the server's clock, in nanoseconds
	random *rand.Rand
}

func newFar(t *testing.T, proxied bool) *far {
	t.Helper()
	f := &far{Deployment: deployment(t), t: t, store: wiretest.Address(t), log: &screen{}, random: chance(t)}
	address := f.store
	if proxied {
		address = f.proxyFor(f.store)
	}
	plan := onebox.Team()
	must(t, f.MakeKeys(t.Context(), plan))
	must(t, f.MakePolicy(t.Context(), plan))
	must(t, f.MakeTrust(t.Context(), plan))
	f.serve(address)
	must(t, f.MakeTokens(t.Context(), plan))
	return f
}

// proxyFor puts a proxy in front of the store's one server.
func (f *far) proxyFor(address string) string {
	f.t.Helper()
	named, err := connstring.Parse(address)
	must(f.t, err)
	if wiretest.Real() && (len(named.Hosts) != 1 || named.SSL) {
		f.t.Skipf("gated: a proxy can stand before one server without TLS; %s names others", wiretest.VariableURI)
	}
	zerolog.SetGlobalLevel(zerolog.Disabled) // a toxic has a log of its own
	api := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	f.proxy = toxiproxy.NewProxy(api, "store", "127.0.0.2:0", named.Hosts[0]) // whose ports no outgoing connection takes
	must(f.t, f.proxy.Start())
	f.t.Cleanup(f.proxy.Stop)
	return wiretest.With(strings.Replace(address, named.Hosts[0], f.proxy.Listen, 1), "directConnection", "true")
}

// serve runs the server until the test ends.
func (f *far) serve(store string) {
	f.t.Helper()
	s, err := server.New(f.t.Context(), server.Config{
		Data: f.Path("server"), Trust: f.TrustFile(), SetupKeys: f.Path("offline", "setup-keys.txt"),
		GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0", Pages: server.PagesWithAPI, Sandbox: binaries.Path("hookline-sandbox"),
		Store: store, StoreTime: 1500 * time.Millisecond,
		Now: func() time.Time { return time.Now().Add(time.Duration(f.ahead.Load())) },
		Log: slog.New(slog.NewTextHandler(f.log, nil)),
	})
	must(f.t, err)
	f.HTTP, f.GRPC = s.HTTPURL(), s.GRPCAddress()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	f.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Errorf("the server ended with %v", err)
		}
		if f.t.Failed() {
			f.t.Logf("the server's log:\n%s", f.log)
		}
	})
}

// epochs are those of the peers' streams, by peer.
func (f *far) epochs() map[string]int64 {
	f.t.Helper()
	named, err := connstring.Parse(f.store)
	must(f.t, err)
	c, err := mongo.Connect(options.Client().ApplyURI(f.store))
	must(f.t, err)
	defer c.Disconnect(context.Background()) //nolint:errcheck // it only read
	cursor, err := c.Database(named.Database).Collection("peers").Find(f.t.Context(), bson.D{})
	must(f.t, err)
	var rows []struct {
		ID     string `bson:"_id"`
		Server string `bson:"server"`
		Epoch  int64  `bson:"epoch"`
	}
	must(f.t, cursor.All(f.t.Context(), &rows))
	all := map[string]int64{}
	for _, r := range rows {
		all[r.ID+" at "+r.Server] = r.Epoch
	}
	return all
}

// fault is something that happens on the way to the store.
type fault struct {
	name  string
	toxic string // of toxiproxy, JSON; "" is none
	cut   bool   // nothing listens
	away  bool   // nothing gets through: people must hear so
	cuts  int    // connections that are broken off, one after the other
}

func faults() []fault {
	return []fault{
		{name: "nothing listens", cut: true, away: true},
		{name: "black hole", toxic: `{"type":"timeout","attributes":{"timeout":0}}`, away: true},
		{name: "connections are reset", toxic: `{"type":"reset_peer","attributes":{"timeout":0}}`, away: true},
		{name: "connections are broken off", cuts: 5},
		{name: "answers end in the middle", toxic: `{"type":"limit_data","attributes":{"bytes":9000}}`},
		{name: "a slow server", toxic: `{"type":"latency","attributes":{"latency":150,"jitter":100}}`},
		{name: "a narrow line", toxic: `{"type":"bandwidth","attributes":{"rate":100}}`},
	}
}

// strike lets the fault happen for a while.
func (f *far) strike(x fault) {
	f.t.Helper()
	name := ""
	if x.toxic != "" {
		toxic, err := f.proxy.Toxics.AddToxicJson(strings.NewReader(x.toxic))
		must(f.t, err)
		name = toxic.Name
	}
	if x.cut {
		f.proxy.Stop()
	}
	if x.away {
		f.tellsPeople()
	}
	for range x.cuts {
		f.pause(300 * time.Millisecond)
		f.proxy.Stop()
		f.listenAgain()
	}
	f.pause(1500 * time.Millisecond)
	if x.cut {
		f.listenAgain()
	}
	if name != "" {
		must(f.t, f.proxy.Toxics.RemoveToxic(context.Background(), name))
	}
	f.comesBack(x)
}

// listenAgain opens the way. A program that was just being started may still
// hold the old listener: it inherits it until it runs.
func (f *far) listenAgain() {
	f.t.Helper()
	eventually(f.t, 10*time.Second, f.proxy.Start)
}

// pause lets a random time pass in which things go on, from half of most to most.
func (f *far) pause(most time.Duration) {
	moment := time.NewTimer(most/2 + time.Duration(f.random.Int64N(int64(most/2))))
	<-moment.C // the length of a fault, not a wait for anything
}

// tellsPeople checks what people and programs hear while the store is away.
func (f *far) tellsPeople() {
	f.t.Helper()
	for _, path := range []string{"/api/jobs", "/metrics"} {
		eventually(f.t, 20*time.Second, func() error {
			a := f.get(path)
			if a.status != http.StatusServiceUnavailable || a.retryAfter == "" || !strings.Contains(a.text, `"code":"unavailable"`) {
				return fmt.Errorf("%s answers %+v", path, a)
			}
			return leaks(a.text, f)
		})
	}
	eventually(f.t, 20*time.Second, func() error {
		a := f.get("/readyz")
		if a.status != http.StatusServiceUnavailable || !strings.Contains(a.text, "not ready: store: ") {
			return fmt.Errorf("/readyz answers %+v", a)
		}
		return leaks(a.text, f)
	})
	// Whoever has a session's cookie gets a page.
	f.sessionPage()
	if a, err := f.Try(f.t.Context(), "alice", "job", "list"); err != nil || a.Code != 5 || !strings.Contains(a.Stderr, "[unavailable]") {
		f.t.Errorf("the command line: %v, exit %d\n%s", err, a.Code, a.Stderr)
	}
	if a := f.get("/livez"); a.status != http.StatusOK {
		f.t.Errorf("/livez answers %+v: the process must not be started anew for its store", a)
	}
}

func (f *far) sessionPage() {
	f.t.Helper()
	request, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, f.HTTP+"/problems", nil)
	must(f.t, err)
	request.AddCookie(&http.Cookie{Name: "hookline", Value: "hkls_" + strings.Repeat("x", 43)})
	response, err := http.DefaultClient.Do(request)
	must(f.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(f.t, err)
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" || !strings.Contains(string(text), "Not available now") {
		f.t.Errorf("a page answers %d %v\n%s", response.StatusCode, response.Header, text)
	}
	must(f.t, leaks(string(text), f))
}

// leaks reports words about the store that are for the log alone.
func leaks(text string, f *far) error {
	for _, word := range []string{f.proxy.Listen, "mongodb://", "topology", "hookline_test"} {
		if strings.Contains(text, word) {
			return fmt.Errorf("strangers read %q: %s", word, text)
		}
	}
	return nil
}

func (f *far) comesBack(x fault) {
	f.t.Helper()
	eventually(f.t, 20*time.Second, func() error {
		if a := f.get("/readyz"); a.status != http.StatusOK {
			return fmt.Errorf("after %q /readyz answers %+v", x.name, a)
		}
		if a := f.get("/api/jobs"); a.status != http.StatusOK {
			return fmt.Errorf("after %q /api/jobs answers %+v", x.name, a)
		}
		return nil
	})
}

type heard struct {
	status     int
	retryAfter string
	text       string
}

func (f *far) get(path string) heard {
	f.t.Helper()
	status, header, text := request(f.t, f.Deployment, http.MethodGet, path, "")
	return heard{status, header.Get("Retry-After"), text}
}

// However the way to the store breaks: people hear it, peers keep their
// streams, what was acknowledged is there, the ledger is exact, and all goes
// on by itself.
func TestTheStoreIsInTrouble(t *testing.T) {
	f := newFar(t, true)
	f.loseNothing(func(filed *filer) {
		for _, x := range faults() {
			start := time.Now()
			f.strike(x)
			t.Logf("%s: %.1f s, %d reports filed so far", x.name, time.Since(start).Seconds(), len(filed.acknowledged()))
		}
	})
}

// The same where another server of a replica set becomes the primary.
func TestThePrimaryStepsDown(t *testing.T) {
	wiretest.NeedsMongoDB(t, "only a replica set has a primary that can step down")
	f := newFar(t, false)
	c, err := mongo.Connect(options.Client().ApplyURI(f.store))
	must(t, err)
	defer c.Disconnect(context.Background()) //nolint:errcheck // the test is over
	f.loseNothing(func(*filer) {
		for range 3 {
			// The connection may end before the answer.
			err := c.Database("admin").RunCommand(t.Context(), bson.D{{Key: "replSetStepDown", Value: 5}, {Key: "force", Value: true}}).Err()
			t.Logf("stepping down: %v", err)
			f.pause(10 * time.Second)
			f.comesBack(fault{name: "a step-down"})
		}
	})
}

// loseNothing files reports, each of which asks for a run, while trouble comes,
// and waits until the activation has all that it may have; then it counts.
func (f *far) loseNothing(trouble func(filed *filer)) {
	t := f.t
	t.Helper()
	p := addPeer(t, f.Deployment, "peer", "--send-reports=yes", "--hooks=yes")
	const quantity = 30
	v := live(t, f.Deployment, hookFolder(t, f.Deployment, "taint", taintScript, 10_000), quantity)
	eventually(t, 10*time.Second, f.connected)
	before := f.epochs()
	c := as(t, f.Deployment, "alice")

	ctx, stop := context.WithCancel(t.Context())
	var filed filer
	var filing sync.WaitGroup
	filing.Go(func() { filed.run(ctx, f.Deployment, p, "w", 300*time.Millisecond) })
	trouble(&filed)
	eventually(t, 60*time.Second, func() error {
		if n := len(filed.acknowledged()); n < quantity+10 {
			return fmt.Errorf("%d reports are filed, want more than can be answered", n)
		}
		return nil
	})
	stop()
	filing.Wait()
	f.ahead.Store(int64(2 * time.Minute)) // what was left half done is old enough now
	f.quantityMet(c, v.Digest, quantity)

	reportsArrive(t, c, filed.acknowledged())
	nothingWaits(t, p)
	resultsStand(t, c, p, v, quantity)
	if now := f.epochs(); !maps.Equal(now, before) {
		t.Errorf("the streams were %v and are %v: want the same", before, now)
	}
	t.Logf("%d reports acknowledged, ledger %+v", len(filed.acknowledged()), checkLedger(t, c, v.Digest))
}

func (f *far) connected() error {
	for at := range f.epochs() {
		if !strings.HasSuffix(at, " at hooklined") {
			return fmt.Errorf("not connected: %s", at)
		}
	}
	return nil
}

// quantityMet waits until the activation has exactly what it may have, and
// nothing is out.
func (f *far) quantityMet(c *client.Client, digest string, quantity int64) {
	f.t.Helper()
	eventually(f.t, 60*time.Second, func() error {
		v, err := c.Version(f.t.Context(), digest)
		if err != nil {
			return err
		}
		l := v.Activation.Ledger
		if l.Received != quantity || l.Leased != 0 || v.State != "expired" || v.Activation.Reason != "quantity" {
			return fmt.Errorf("%s, reason %q, ledger %+v, want %d received and nothing leased", v.State, v.Activation.Reason, l, quantity)
		}
		return nil
	})
}
