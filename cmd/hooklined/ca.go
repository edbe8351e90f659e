package main

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"hookline/internal/enroll"
	"hookline/internal/server"
)

func newCA() *cobra.Command {
	var data, policy string
	cmd := &cobra.Command{
		Use:   "ca",
		Short: "Make the deployment's CA if there is none, and print its digest",
		Long: "Make the deployment's CA if there is none, and print where its certificate is\n" +
			"and its digest, so that an enroll line can be printed before the first start.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := fromEnv(cmd, "data", "policy"); err != nil {
				return err
			}
			p, err := server.LoadPolicy(policy)
			if err != nil {
				return err
			}
			if err := server.MakeData(data); err != nil {
				return err
			}
			ca, err := enroll.LoadOrCreateCA(data, p.Deployment, time.Now())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "certificate  %s\ndigest       %s\n", filepath.Join(data, enroll.CACertFile), ca.Digest())
			return err
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "folder of the server's own files")
	cmd.Flags().StringVar(&policy, "policy", "", "policy file")
	return cmd
}
