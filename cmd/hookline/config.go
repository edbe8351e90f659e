package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"hookline/internal/client"
	"hookline/internal/durable"
	"hookline/internal/errs"
	"hookline/internal/strict"
	"hookline/signing/trust"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

const (
	maxConfigBytes = 16 << 10
	maxTokenBytes  = 4096
)

// savedConfig is ~/.config/hookline/config.yaml, which login writes. The
// deployment and a root of its trust metadata are pinned then: what a server
// says later must lead from there.
type savedConfig struct {
	Server     string `yaml:"server"`
	Token      string `yaml:"token"`
	Deployment string `yaml:"deployment"`
	RootDigest string `yaml:"root_digest"`
}

// settings merges flags, environment and the saved file.
func (a *app) settings() (savedConfig, error) {
	s, err := a.savedConfig()
	if err != nil {
		return s, err
	}
	chosen := a.server
	if chosen == "" {
		chosen = a.getenv("HOOKLINE_SERVER")
	}
	if chosen != "" && strings.TrimRight(chosen, "/") != s.Server {
		s = savedConfig{Server: strings.TrimRight(chosen, "/")} // the saved token is for the saved server only
	}
	token, err := a.givenToken()
	if err != nil {
		return s, err
	}
	if token != "" {
		s.Token = token
	}
	return s, nil
}

// givenToken is the token of --token-file or HOOKLINE_TOKEN.
func (a *app) givenToken() (string, error) {
	if a.tokenFile == "" {
		return strings.TrimSpace(a.getenv("HOOKLINE_TOKEN")), nil
	}
	b, err := readFile(a.tokenFile, maxTokenBytes)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(b)), nil
}

func (a *app) savedConfig() (savedConfig, error) {
	var s savedConfig
	path, err := a.configPath()
	if err != nil {
		return s, nil //nolint:nilerr // without a home there is no saved configuration
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, errs.Wrap(errs.CodeBadInput, err, "cannot read the configuration")
	}
	return s, strict.Decode(path, b, maxConfigBytes, &s)
}

func (a *app) configPath() (string, error) {
	dir := a.getenv("XDG_CONFIG_HOME")
	if dir == "" {
		home := a.getenv("HOME")
		if home == "" {
			return "", errs.New(errs.CodeBadInput, "cannot find the configuration folder: HOME is not set")
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "hookline", "config.yaml"), nil
}

// writePrivate replaces a file that only its owner may read.
func writePrivate(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fileError(err, "cannot make "+filepath.Dir(path))
	}
	return written(durable.WriteFile(path, b, 0o600), path)
}

// writeNew makes a file that must not exist yet.
func writeNew(path string, b []byte, mode os.FileMode) error {
	return written(durable.Create(path, b, mode), path)
}

func written(err error, path string) error {
	if err == nil {
		return nil
	}
	return fileError(err, "cannot write "+path)
}

// readFile reads a file of at most limit bytes.
func readFile(path string, limit int) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fileError(err, "cannot read "+path)
	}
	if info.Size() > int64(limit) {
		return nil, errs.New(errs.CodeTooLarge, "cannot read %s: it is longer than %d bytes", path, limit)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fileError(err, "cannot read "+path)
	}
	if len(b) > limit {
		return nil, errs.New(errs.CodeTooLarge, "cannot read %s: it is longer than %d bytes", path, limit)
	}
	return b, nil
}

// fileError drops the path that os repeats, and codes what scripts tell apart.
func fileError(err error, doing string) error {
	code, hint := errs.CodeBadInput, ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		code, hint = errs.CodeNotFound, "check the path"
	case errors.Is(err, fs.ErrExist):
		code, hint = errs.CodeConflict, "nothing is overwritten: choose another name, or move the old file away"
	case errors.Is(err, fs.ErrPermission):
		code, hint = errs.CodeForbidden, "check the permissions of the file"
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return errs.Wrap(code, err, "%s", doing).WithHint("%s", hint)
}

func newLoginCommand(a *app) *cobra.Command {
	var root, dir string
	c := &cobra.Command{
		Use:   "login --server URL --token-file FILE",
		Short: "Check a token, remember server, token and the root of trust",
		Long: `Checks a token and remembers it with the server. It also remembers a root of the
deployment's trust metadata: from then on policy and revocations count only where they
were signed by the people whom that root leads to, whatever the server says.

Give the root's digest, as hookline trust show prints it for whoever has the offline
folder, or that folder; without either the first one that the server shows is remembered.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.login(c, root, dir)
		},
	}
	c.Flags().StringVar(&root, "trust-root", "", "hex SHA-256 of a root of the deployment's trust metadata")
	c.Flags().StringVar(&dir, "dir", "", "instead: the offline folder")
	c.MarkFlagsMutuallyExclusive("trust-root", "dir")
	return c
}

func (a *app) login(c *cobra.Command, root, dir string) error {
	s, err := a.settings()
	if err != nil {
		return err
	}
	if s.Server == "" || s.Token == "" {
		return usagef("it needs --server (or HOOKLINE_SERVER) and --token-file (or HOOKLINE_TOKEN)")
	}
	cl, err := client.New(client.Config{Server: s.Server, Token: s.Token, AllowHTTP: a.allowHTTP})
	if err != nil {
		return err
	}
	me, err := cl.Me(c.Context())
	if err != nil {
		return err
	}
	anchor, err := a.loginAnchor(s, root, dir)
	if err != nil {
		return err
	}
	b, err := fetchTrust(c.Context(), cl)
	if err != nil {
		return err
	}
	first := anchor.RootDigest == ""
	t, err := a.verifyTrust(anchor, b)
	if err != nil {
		return err
	}
	path, err := a.saveLogin(s, t)
	if err != nil {
		return err
	}
	return a.show(me, func() {
		fmt.Fprintf(a.out, "signed in to %s as %s (%s)\n", safe(s.Server), safe(me.User), safe(strings.Join(me.Roles, ", ")))
		fmt.Fprintf(a.out, "deployment %s, root %s, saved in %s\n", t.Anchor().Deployment, t.Anchor().RootDigest, safe(path))
		if first {
			fmt.Fprintln(a.err, "this root is the server's word, believed this once: compare it with the one that `hookline trust show` prints for whoever has the offline folder")
		}
	})
}

// saveLogin remembers server, token and root, and keeps the metadata.
func (a *app) saveLogin(s savedConfig, t *trust.Trusted) (path string, err error) {
	if path, err = a.configPath(); err != nil {
		return "", err
	}
	b, err := yaml.Marshal(savedConfig{Server: s.Server, Token: s.Token, Deployment: t.Anchor().Deployment, RootDigest: t.Anchor().RootDigest})
	if err != nil {
		return "", errs.Wrap(errs.CodeInternal, err, "cannot encode the configuration")
	}
	if err := a.keepTrust(t); err != nil {
		return "", err
	}
	return path, writePrivate(path, b)
}
