package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hookline/internal/cli"
)

// envName is the variable of a flag: --setup-keys is HOOKLINE_SETUP_KEYS.
func envName(flag string) string {
	return "HOOKLINE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// fromEnv sets the flags that the command line left out, and refuses a
// required one that is in neither place.
func fromEnv(cmd *cobra.Command, required ...string) error {
	var err error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		value, ok := os.LookupEnv(envName(f.Name))
		if f.Changed || !ok || value == "" || err != nil {
			return
		}
		if e := cmd.Flags().Set(f.Name, value); e != nil {
			err = cli.Usagef("%s: %w", envName(f.Name), e)
		}
	})
	if err != nil {
		return err
	}
	for _, name := range required {
		if cmd.Flag(name).Value.String() == "" {
			return cli.Usagef("it needs --%s (or %s)", name, envName(name))
		}
	}
	return nil
}
