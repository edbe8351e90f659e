package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/signing"
)

// Config is what a server is started with. Paths and addresses come from
// flags; an error about one names its flag.
type Config struct {
	Data      string        // folder: database, CA, admin.token, trust.json
	Trust     string        // file with trust metadata: offline/trust.json
	SetupKeys string        // file with hashes of setup keys
	Store     string        // path or mongodb:// address of the store, which may hold a password; "" is Data/hookline.db
	StoreTime time.Duration // of one operation on a database server; 0 means 10 s
	Sandbox   string        // hookline-sandbox, for lint at submission; "" looks for it, and does without

	GRPC     string // address for peers
	HTTP     string // address for people; loopback unless HTTPCert and HTTPKey are set
	HTTPCert string // PEM file
	HTTPKey  string // PEM file
	// HTTPNames are the names and addresses in a certificate that the server makes itself, with commas, instead of
	// HTTPCert and HTTPKey; "" is none.
	HTTPNames string
	// Pages is the address of the pages: PagesWithAPI is HTTP, "" turns them off. Any other is plain HTTP on loopback,
	// or has the certificate of HTTP.
	Pages string

	GRPCListener  net.Listener // instead of GRPC
	HTTPListener  net.Listener // instead of HTTP
	PagesListener net.Listener // instead of Pages, where that is an address

	Version string
	Now     func() time.Time // nil is the clock
	Log     *slog.Logger     // nil is no log
}

// PagesWithAPI is the value of Config.Pages for pages under the address of the
// REST API.
const PagesWithAPI = "api"

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
		{"--data", c.Data}, {"--trust", c.Trust}, {"--setup-keys", c.SetupKeys},
	} {
		if need.value == "" {
			return errs.New(errs.CodeBadInput, "it must be given").At(need.flag)
		}
	}
	if (c.HTTPCert == "") != (c.HTTPKey == "") {
		return errs.New(errs.CodeBadInput, "a certificate and its key go together").At("--http-cert, --http-key")
	}
	if c.HTTPCert != "" && c.HTTPNames != "" {
		return errs.New(errs.CodeBadInput, "a certificate is given, and names for another").At("--http-cert, --http-names").WithHint("give one of both")
	}
	if c.HTTPNames != "" {
		return checkNames(splitNames(c.HTTPNames))
	}
	if c.secure() {
		return nil
	}
	if c.HTTPListener == nil {
		if err := checkLoopback("--http", c.HTTP); err != nil {
			return err
		}
	}
	if c.ownPages() && c.PagesListener == nil {
		return checkLoopback("--pages", c.Pages)
	}
	return nil
}

// secure reports whether people are served over TLS.
func (c Config) secure() bool { return c.HTTPCert != "" || c.HTTPNames != "" }

// ownPages reports whether the pages have an address of their own.
func (c Config) ownPages() bool { return c.Pages != "" && c.Pages != PagesWithAPI }

// checkLoopback keeps tokens off the network: plain HTTP serves this machine
// only.
func checkLoopback(flag, address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return cannotListen(flag, address, err)
	}
	ip := net.ParseIP(host)
	if host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return errs.New(errs.CodeBadInput, "cannot serve plain HTTP on %q: tokens would cross the network in clear", address).At(flag).
		WithHint("give --http-cert and --http-key, or --http-names for a certificate that the server makes itself, or listen on 127.0.0.1")
}

// readCapped reads a file that a flag names.
func readCapped(flag, path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, cannotRead(flag, path, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, cannotRead(flag, path, err)
	}
	if int64(len(b)) > limit {
		return nil, errs.New(errs.CodeTooLarge, "%s is longer than %d bytes", path, limit).At(flag)
	}
	return b, nil
}

func cannotRead(flag, path string, err error) error {
	return errs.Wrap(errs.CodeBadInput, errs.Plain(err), "cannot read %s", path).At(flag).
		WithHint("give %s the path of a file that hooklined may read; hookline trust init makes the offline folder", flag)
}

// LoadPolicy reads the policy that --policy of the CA's command names.
func LoadPolicy(path string) (*signing.Policy, error) {
	b, err := readCapped("--policy", path, signing.MaxPolicyBytes)
	if err != nil {
		return nil, err
	}
	return signing.ParsePolicyFile(path, b)
}

// MakeData makes the folder that --data names where it is missing.
func MakeData(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return errs.Wrap(errs.CodeBadInput, errs.Plain(err), "cannot make %s", path).At("--data").
			WithHint("give --data a folder that hooklined may write to")
	}
	return nil
}

// loadSetupKeys reads the hashes that --setup-keys names.
func loadSetupKeys(path string) (enroll.KeyHashes, error) {
	b, err := readCapped("--setup-keys", path, maxSetupKeyBytes)
	if err != nil {
		return enroll.KeyHashes{}, err
	}
	hashes, err := enroll.ParseHashes(b)
	if e, ok := errs.As(err); ok {
		return hashes, e.At("--setup-keys " + path)
	}
	return hashes, err
}

// httpTLS is nil for plain HTTP.
func (c Config) httpTLS() (*tls.Config, error) {
	cert, err := c.httpCertificate()
	if cert == nil || err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*cert}}, nil
}

func (c Config) httpCertificate() (*tls.Certificate, error) {
	if c.HTTPNames != "" {
		if err := MakeData(c.Data); err != nil {
			return nil, err
		}
		cert, fingerprint, err := ownCertificate(c.Data, splitNames(c.HTTPNames), c.Now())
		if err != nil {
			return nil, err
		}
		c.Log.Info("people are served with a certificate that this server made; give it to browsers, and to the command line with SSL_CERT_FILE",
			"certificate", describeOwn(c.Data, fingerprint))
		return &cert, nil
	}
	if c.HTTPCert == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(c.HTTPCert, c.HTTPKey)
	if err != nil {
		return nil, errs.Wrap(errs.CodeBadInput, errs.Plain(err), "cannot use %s with %s", c.HTTPCert, c.HTTPKey).At("--http-cert, --http-key").
			WithHint("both are PEM files: the certificate with its chain, and its key")
	}
	return &cert, nil
}

func listen(ctx context.Context, flag, address string, given net.Listener) (net.Listener, error) {
	if given != nil {
		return given, nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, cannotListen(flag, address, err)
	}
	return l, nil
}

func cannotListen(flag, address string, err error) error {
	hint := "give %s an address of this machine with a port, like 127.0.0.1:7443"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		err = errors.New("the address is in use")
		hint = "another program listens there, perhaps another hooklined: stop it, or give another address with %s"
	case errors.Is(err, os.ErrPermission):
		hint = "ports below 1024 are root's: give another with %s"
	}
	return errs.Wrap(errs.CodeBadInput, errs.Plain(err), "cannot listen on %s", address).At(flag).WithHint(hint, flag)
}
