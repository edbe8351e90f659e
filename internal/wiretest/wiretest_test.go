package wiretest

import (
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

func TestAddress(t *testing.T) {
	address := Address(t)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal("not an address")
	}
	name := strings.TrimPrefix(u.Path, "/")
	if !strings.HasPrefix(name, prefix) || !Real() && u.Query().Get("maxPoolSize") != "1" {
		t.Errorf("database %s, query %s", name, u.RawQuery)
	}
	client, err := mongo.Connect(options.Client().ApplyURI(address))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Disconnect(t.Context()) //nolint:errcheck // the test is over
	if _, err := client.Database(name).Collection("c").InsertOne(t.Context(), bson.D{{Key: "_id", Value: "x"}}); err != nil {
		t.Fatal(err)
	}
	if n, err := client.Database(name).Collection("c").CountDocuments(t.Context(), bson.D{}); n != 1 || err != nil {
		t.Errorf("%d documents, %v, want 1", n, err)
	}
}

func TestAddressesOfRealServers(t *testing.T) {
	t.Setenv(VariableURI, "") // so that nothing is dropped
	for server, want := range map[string]string{
		"mongodb://h":                          "mongodb://h/hookline_test_x?a=1",
		"mongodb://u:p@h:1,h2/y?replicaSet=rs": "mongodb://u:p@h:1,h2/hookline_test_x?replicaSet=rs&a=1",
		"mongodb+srv://h/?":                    "mongodb+srv://h/hookline_test_x?a=1",
	} {
		if got := With(In(t, server, "x"), "a", "1"); got != want {
			t.Errorf("%s becomes %s, want %s", server, got, want)
		}
	}
}

func TestDescribe(t *testing.T) {
	if got := Describe(t, Server(t)); !Real() && got != "FerretDB 1.24.2" {
		t.Errorf("the server is %s", got)
	}
}

func TestFerretDBListensOnLoopbackOnly(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "localhost:0", "x", "127.0.0.1"} {
		out, err := exec.CommandContext(t.Context(), binary(t), "-until-eof", "-listen", listen).CombinedOutput()
		if err == nil {
			t.Errorf("listens on %q: %s", listen, out)
		}
	}
}
