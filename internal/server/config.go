package server

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"hookline/internal/errs"
	"hookline/signing"
)

// Config is what a server is started with. Paths and addresses come from
// flags; an error about one names its flag.
type Config struct {
	Data      string // folder: database, CA, admin.token
	Policy    string // policy file
	SetupKeys string // file with hashes of setup keys
	Store     string // database; "" is Data/hookline.db
	Sandbox   string // hookline-sandbox, for lint at submission; "" looks for it, and does without

	GRPC     string // address for peers
	HTTP     string // address for people; loopback unless HTTPCert and HTTPKey are set
	HTTPCert string // PEM file
	HTTPKey  string // PEM file

	GRPCListener net.Listener // instead of GRPC
	HTTPListener net.Listener // instead of HTTP

	Version string
	Now     func() time.Time // nil is the clock
	Log     *slog.Logger     // nil is no log
}

func (c Config) withDefaults() Config {
	if c.Store == "" {
		c.Store = filepath.Join(c.Data, "hookline.db")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// check refuses what could never work, before anything is opened.
func (c Config) check() error {
	for _, need := range []struct{ flag, value string }{
		{"--data", c.Data}, {"--policy", c.Policy}, {"--setup-keys", c.SetupKeys},
	} {
		if need.value == "" {
			return errs.New(errs.CodeBadInput, "it must be given").At(need.flag)
		}
	}
	if (c.HTTPCert == "") != (c.HTTPKey == "") {
		return errs.New(errs.CodeBadInput, "a certificate and its key go together").At("--http-cert, --http-key")
	}
	if c.HTTPListener == nil && c.HTTPCert == "" {
		return checkLoopback(c.HTTP)
	}
	return nil
}

// checkLoopback keeps tokens off the network: plain HTTP serves this machine
// only.
func checkLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return errs.Wrap(errs.CodeBadInput, err, "cannot listen on %q", address).At("--http")
	}
	ip := net.ParseIP(host)
	if host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return errs.New(errs.CodeBadInput, "cannot serve plain HTTP on %q: tokens would cross the network in clear", address).At("--http").
		WithHint("give --http-cert and --http-key, or listen on 127.0.0.1")
}

// readCapped reads a file that a flag names.
func readCapped(flag, path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, errs.Wrap(errs.CodeBadInput, err, "cannot read the file").At(flag)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, errs.Wrap(errs.CodeBadInput, err, "cannot read the file").At(flag)
	}
	if int64(len(b)) > limit {
		return nil, errs.New(errs.CodeTooLarge, "the file is longer than %d bytes", limit).At(flag)
	}
	return b, nil
}

// LoadPolicy reads the policy that --policy names, with its bytes.
func LoadPolicy(path string) (*signing.Policy, []byte, error) {
	b, err := readCapped("--policy", path, signing.MaxPolicyBytes)
	if err != nil {
		return nil, nil, err
	}
	p, err := signing.ParsePolicy(b)
	return p, b, err
}

// httpTLS is nil for plain HTTP.
func (c Config) httpTLS() (*tls.Config, error) {
	if c.HTTPCert == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(c.HTTPCert, c.HTTPKey)
	if err != nil {
		return nil, errs.Wrap(errs.CodeBadInput, err, "cannot use the certificate").At("--http-cert, --http-key")
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}, nil
}

func listen(ctx context.Context, flag, address string, given net.Listener) (net.Listener, error) {
	if given != nil {
		return given, nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, errs.Wrap(errs.CodeBadInput, err, "cannot listen").At(flag)
	}
	return l, nil
}
