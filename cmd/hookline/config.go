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

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

const (
	maxConfigBytes = 16 << 10
	maxTokenBytes  = 4096
)

// savedConfig is ~/.config/hookline/config.yaml, which login writes. The
// deployment and policy that were seen then are pinned: a server that later
// speaks of another deployment gets no signature.
type savedConfig struct {
	Server       string `yaml:"server"`
	Token        string `yaml:"token"`
	Deployment   string `yaml:"deployment"`
	PolicyDigest string `yaml:"policy_digest"`
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
	return &cobra.Command{
		Use:   "login --server URL --token-file FILE",
		Short: "Check a token and remember server and token",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.login(c)
		},
	}
}

func (a *app) login(c *cobra.Command) error {
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
	info, err := cl.Info(c.Context())
	if err != nil {
		return err
	}
	if _, err := policyIn(info); err != nil {
		return err
	}
	path, err := a.configPath()
	if err != nil {
		return err
	}
	b, err := yaml.Marshal(savedConfig{Server: s.Server, Token: s.Token, Deployment: info.Deployment, PolicyDigest: info.PolicyDigest})
	if err != nil {
		return errs.Wrap(errs.CodeInternal, err, "cannot encode the configuration")
	}
	if err := writePrivate(path, b); err != nil {
		return err
	}
	return a.show(me, func() {
		fmt.Fprintf(a.out, "signed in to %s as %s (%s)\n", safe(s.Server), safe(me.User), safe(strings.Join(me.Roles, ", ")))
		fmt.Fprintf(a.out, "deployment %s, policy %s, saved in %s\n", safe(info.Deployment), safe(info.PolicyDigest), safe(path))
		fmt.Fprintln(a.err, "compare the policy digest with the one that `hookline policy check` prints offline")
	})
}
