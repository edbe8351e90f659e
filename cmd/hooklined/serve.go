package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"hookline/internal/server"
)

func newServe() *cobra.Command {
	var c server.Config
	var store storeFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve peers and people",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := store.beforeEnv(cmd); err != nil {
				return err
			}
			if err := fromEnv(cmd, "data", "trust", "setup-keys"); err != nil {
				return err
			}
			c.Log = slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), nil))
			address, exposed, err := store.read()
			if err != nil {
				return err
			}
			if exposed {
				c.Log.WarnContext(cmd.Context(), "every user of this machine can see the password in --store: use --store-file, or HOOKLINE_STORE")
			}
			c.Store, c.Version = address, version
			return serve(cmd, c)
		},
	}
	store.define(cmd)
	f := cmd.Flags()
	f.StringVar(&c.Data, "data", "", "folder of the server's own files: CA, admin.token, the embedded database")
	f.StringVar(&c.Trust, "trust", "", "the deployment's trust metadata: trust.json of the offline folder; newer metadata comes by hookline trust publish")
	f.StringVar(&c.SetupKeys, "setup-keys", "", "file with the hashes of setup keys")
	f.StringVar(&c.GRPC, "grpc", "127.0.0.1:7443", "address for peers")
	f.StringVar(&c.HTTP, "http", "127.0.0.1:7080", "address for people: REST API and pages; plain HTTP on loopback only")
	f.StringVar(&c.HTTPCert, "http-cert", "", "PEM file with the certificate of the address for people")
	f.StringVar(&c.HTTPKey, "http-key", "", "PEM file with its key")
	f.StringVar(&c.HTTPNames, "http-names", "", "instead of --http-cert: names and addresses, with commas, of a certificate that the server makes and keeps in --data")
	f.StringVar(&c.Pages, "pages", server.PagesWithAPI, "address of the pages for browsers: \"api\" is that of --http, empty is no pages")
	f.StringVar(&c.Sandbox, "sandbox", "", "path of hookline-sandbox, which checks scripts when they are submitted")
	return cmd
}

func serve(cmd *cobra.Command, c server.Config) error {
	s, err := server.New(cmd.Context(), c)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "hooklined ready http=%s grpc=%s\n", s.HTTPURL(), s.GRPCAddress()); err != nil {
		return errors.Join(err, s.Close())
	}
	return s.Run(cmd.Context())
}
