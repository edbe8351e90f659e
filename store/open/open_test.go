package open_test

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"hookline/internal/errs"
	"hookline/internal/wiretest"
	"hookline/store/open"
)

func TestStoreByItsAddress(t *testing.T) {
	for name, address := range map[string]string{
		"file":    filepath.Join(t.TempDir(), "x.db"),
		"MongoDB": wiretest.Address(t),
	} {
		t.Run(name, func(t *testing.T) {
			db, err := open.Store(t.Context(), address, open.Options{Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Ready(t.Context()); err != nil {
				t.Error(err)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestStoresThatDoNotOpen(t *testing.T) {
	const secret = "5ecr3t"
	for address, want := range map[string]struct {
		code errs.Code
		text string
	}{
		"":                                 {errs.CodeBadInput, "empty"},
		"postgres://u:" + secret + "@h/db": {errs.CodeBadInput, `kind "postgres"`},
		"MONGODB://u:" + secret + "@h/db":  {errs.CodeBadInput, `kind "MONGODB"`},
		"file:///x":                        {errs.CodeBadInput, `kind "file"`},
		"mongodb://u:" + secret + "@":      {errs.CodeBadInput, "host"},
		"mongodb://u:" + secret + "@127.0.0.1:1/db?serverSelectionTimeoutMS=50&connectTimeoutMS=50": {errs.CodeUnavailable, "127.0.0.1:1"},
		t.TempDir(): {errs.CodeUnavailable, "cannot open store /"},
	} {
		db, err := open.Store(t.Context(), address, open.Options{})
		if db != nil {
			t.Fatalf("%q opened", address)
		}
		e, ok := errs.As(err)
		if !ok || e.Code != want.code || !strings.Contains(err.Error(), want.text) || e.Hint == "" {
			t.Errorf("%q: %v (%s), want %s with %q and a hint", address, err, errs.CodeOf(err), want.code, want.text)
		}
		if ok && strings.Contains(err.Error()+e.Hint+e.LogValue().String(), secret) {
			t.Errorf("%q: the error shows the password: %v", address, err)
		}
	}
}

func TestHasPassword(t *testing.T) {
	for address, want := range map[string]bool{
		"/var/lib/x.db": false, "x:y@z": false, "mongodb://h/db": false, "mongodb://u@h/db": false, "mongodb://u:@h/db": false,
		"mongodb://u:p@h/db": true, "mongodb+srv://u:p@h": true, "mongodb://u:p@h1,h2/?appName=a@b": true, "mongodb://h/?appName=a:b@c": false,
		"mongodb://h/?authMechanism=MONGODB-AWS&authMechanismProperties=AWS_SESSION_TOKEN:x": true,
		"mongodb://h/?tlsCertificateKeyFile=f&TLSCertificateKeyFilePassword=x":               true, "mongodb://h/?sslClientCertificateKeyPassword=x": true,
	} {
		if got := open.HasPassword(address); got != want {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
	}
}
