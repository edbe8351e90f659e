// Package wiretest gives tests a server that speaks MongoDB's wire protocol.
//
//	d, err := mongo.Open(t.Context(), wiretest.Address(t), mongo.Options{})
//
// It is FerretDB (see internal/ferretdb), one process for each call, which
// takes a few milliseconds and ends with the test. Its addresses say
// maxPoolSize=1, for it applies conditional updates one after the other only
// for one connection. With HOOKLINE_TEST_MONGODB_URI set, the tests use that
// server instead, with full concurrency: a replica set or a cluster that holds
// nobody's data. Each of its databases is named hookline_test_… and dropped
// when its test ends.
//
// What FerretDB cannot show calls NeedsMongoDB first, and is skipped without
// such a server.
package wiretest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const (
	// VariableURI names the environment variable with the address of a real server.
	VariableURI = "HOOKLINE_TEST_MONGODB_URI"
	// VariableBinary names the one with the path of the FerretDB binary.
	VariableBinary = "HOOKLINE_FERRETDB"
)

const (
	prefix    = "hookline_test_"
	startTime = 30 * time.Second
)

// Real reports whether the tests use a real server, with full concurrency.
func Real() bool { return os.Getenv(VariableURI) != "" }

// NeedsMongoDB skips a test that FerretDB cannot pass, with the reason why.
func NeedsMongoDB(t testing.TB, reason string) {
	t.Helper()
	if !Real() {
		t.Skipf("gated: %s; set %s", reason, VariableURI)
	}
}

// Server returns the address of a server, without a database. See In.
func Server(t testing.TB) string {
	t.Helper()
	if uri := os.Getenv(VariableURI); uri != "" {
		return uri
	}
	return start(t, binary(t)) + "?maxPoolSize=1"
}

// Address returns the address of a database that is empty and the test's own.
func Address(t testing.TB) string {
	t.Helper()
	random := make([]byte, 8)
	_, _ = rand.Read(random) // never fails
	return In(t, Server(t), hex.EncodeToString(random))
}

// In returns the address of a database on a server, for names of letters,
// digits and "_". The same name is the same database; a real server drops it
// when the test ends.
func In(t testing.TB, server, name string) string {
	t.Helper()
	scheme, rest, ok := strings.Cut(server, "://")
	if !ok {
		t.Fatalf("cannot read the address of the test server, see %s", VariableURI) // without it: it may hold a password
	}
	rest, query, _ := strings.Cut(rest, "?")
	hosts, _, _ := strings.Cut(rest, "/")
	address := scheme + "://" + hosts + "/" + prefix + name + "?" + query
	if Real() {
		t.Cleanup(func() { drop(t, address, prefix+name) })
	}
	return address
}

// With returns an address with one more option.
func With(address, option, value string) string {
	if !strings.Contains(address, "?") {
		address += "?"
	} else if !strings.HasSuffix(address, "?") {
		address += "&"
	}
	return address + option + "=" + value
}

// Describe says what the server is, for reports: "FerretDB 1.24.2".
func Describe(t testing.TB, server string) string {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(server))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Disconnect(context.Background()) //nolint:errcheck // it was only asked
	var info struct {
		Version  string `bson:"version"`
		FerretDB string `bson:"ferretdbVersion"`
	}
	if err := client.Database("admin").RunCommand(t.Context(), bson.D{{Key: "buildInfo", Value: 1}}).Decode(&info); err != nil {
		t.Fatal(err)
	}
	if info.FerretDB != "" {
		return "FerretDB " + strings.TrimPrefix(info.FerretDB, "v")
	}
	return "MongoDB " + info.Version
}

func drop(t testing.TB, address, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	client, err := mongo.Connect(options.Client().ApplyURI(address))
	if err != nil {
		t.Errorf("cannot drop the test database %s: %v", name, err)
		return
	}
	defer client.Disconnect(ctx) //nolint:errcheck // the test is over
	if err := client.Database(name).Drop(ctx); err != nil {
		t.Errorf("cannot drop the test database %s: %v", name, err)
	}
}

// binary finds FerretDB in VariableBinary and in .bin of the module.
func binary(t testing.TB) string {
	t.Helper()
	path := os.Getenv(VariableBinary)
	if path == "" {
		path = filepath.Join(root(), ".bin", "ferretdb")
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("cannot find FerretDB, which the MongoDB store is tested with; run: make tools (or set %s)", VariableBinary)
	}
	return path
}

// root is the first folder above the working directory with a go.mod.
func root() string {
	dir, err := os.Getwd()
	for err == nil && dir != "/" {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	return "."
}

// start runs FerretDB until the test ends, and returns its address. Should
// the test binary be killed, the server sees the end of its standard input.
func start(t testing.TB, path string) string {
	t.Helper()
	cmd := exec.Command(path, "-until-eof") //nolint:noctx // Cleanup ends it
	var log bytes.Buffer
	cmd.Stderr = &log
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("cannot start FerretDB: %v", err)
	}
	late := time.AfterFunc(startTime, func() { _ = cmd.Process.Kill() })
	address, err := bufio.NewReader(out).ReadString('\n')
	late.Stop()
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil || t.Failed() && log.Len() > 0 {
			t.Logf("FerretDB ended: %v\n%s", err, &log)
		}
	})
	if err != nil {
		in.Close()
		_ = cmd.Wait()
		t.Fatalf("FerretDB did not start: %v\n%s", err, &log)
	}
	return strings.TrimSpace(address)
}
