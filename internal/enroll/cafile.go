package enroll

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"hookline/internal/durable"
	"hookline/internal/errs"
)

// The files of the CA in a server's data folder.
const (
	CACertFile = "ca.crt"
	CAKeyFile  = "ca.key"

	maxPEMBytes = 64 << 10
)

// LoadOrCreateCA opens the CA in dir, or makes it where there is none. It
// never overwrites a file, and a CA of another deployment is refused. The key
// is written first: a key alone (a crash came between) gets its certificate,
// whose digest nobody can have pinned yet.
func LoadOrCreateCA(dir, deployment string, now time.Time) (*CA, error) {
	if !isDeployment(deployment) {
		return nil, errs.New(errs.CodeBadInput, "cannot make a CA for a deployment that is not %q and hex digits", deploymentMark).At("deployment")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot create the CA's folder: %w", err)
	}
	key, err := loadOrCreateKey(filepath.Join(dir, CAKeyFile), filepath.Join(dir, CACertFile))
	if err != nil {
		return nil, err
	}
	cert, err := loadOrCreateCert(filepath.Join(dir, CACertFile), deployment, key, now)
	if err != nil {
		return nil, err
	}
	ca := &CA{Deployment: deployment, cert: cert, key: key}
	return ca, ca.check(now)
}

func (ca *CA) check(now time.Time) error {
	domains := ca.cert.PermittedDNSDomains
	switch {
	case !ca.key.PublicKey.Equal(ca.cert.PublicKey):
		return errs.New(errs.CodeKeyInvalid, "cannot use the CA: %s and %s do not belong together", CAKeyFile, CACertFile)
	case !ca.cert.IsCA || len(domains) != 1 || domains[0] != ServerName(ca.Deployment):
		return errs.New(errs.CodeWrongDeployment, "cannot use the CA: %s is not the CA of deployment %s", CACertFile, ca.Deployment).
			WithHint("each deployment needs a data folder of its own")
	case now.After(ca.cert.NotAfter):
		return errs.New(errs.CodeExpired, "cannot use the CA: %s expired at %s", CACertFile, ca.cert.NotAfter.Format(time.DateOnly))
	}
	return nil
}

func loadOrCreateKey(path, certPath string) (*ecdsa.PrivateKey, error) {
	key, err := loadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if _, err := os.Lstat(certPath); err == nil {
		return nil, errs.New(errs.CodeKeyInvalid, "cannot use the CA: there is %s but no %s", CACertFile, CAKeyFile).
			WithHint("restore %s from the backup; a new CA would lock out every enrolled peer", CAKeyFile)
	}
	key, err = createKey(path)
	if errors.Is(err, fs.ErrExist) { // another process was faster
		return loadKey(path)
	}
	return key, err
}

func loadKey(path string) (*ecdsa.PrivateKey, error) {
	b, err := readPEM(path, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
		return nil, errs.New(errs.CodeKeyInvalid, "cannot use %s: others may read it", path).WithHint("chmod 600 %s", path)
	}
	k, err := x509.ParsePKCS8PrivateKey(b)
	key, ok := k.(*ecdsa.PrivateKey)
	if err != nil || !ok || key.Curve != elliptic.P256() {
		return nil, errs.New(errs.CodeKeyInvalid, "cannot use %s: it is not a P-256 key", path)
	}
	return key, nil
}

func createKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, errs.Wrap(errs.CodeInternal, err, "cannot make the CA's key")
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, errs.Wrap(errs.CodeInternal, err, "cannot encode the CA's key")
	}
	return key, durable.Create(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

func loadOrCreateCert(path, deployment string, key *ecdsa.PrivateKey, now time.Time) (*x509.Certificate, error) {
	der, err := readPEM(path, "CERTIFICATE")
	if errors.Is(err, fs.ErrNotExist) {
		t := caTemplate(deployment, now)
		der, err = x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
		if err != nil {
			return nil, errs.Wrap(errs.CodeInternal, err, "cannot sign the CA's certificate")
		}
		err = durable.Create(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
		if errors.Is(err, fs.ErrExist) {
			der, err = readPEM(path, "CERTIFICATE")
		}
	}
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, errs.Wrap(errs.CodeKeyInvalid, err, "cannot use %s", path)
	}
	return cert, nil
}

// readPEM reads a file with exactly one PEM block of a type.
func readPEM(path, kind string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxPEMBytes {
		return nil, errs.New(errs.CodeKeyInvalid, "cannot use %s: not a file of at most %d bytes", path, maxPEMBytes)
	}
	b, err := os.ReadFile(path) //nolint:gosec // the server's own data folder
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	block, rest := pem.Decode(b)
	if block == nil || block.Type != kind || len(rest) > 0 {
		return nil, errs.New(errs.CodeKeyInvalid, "cannot use %s: it must have one PEM block of type %s", path, kind)
	}
	return block.Bytes, nil
}
