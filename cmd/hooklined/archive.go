package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"hookline/internal/cli"
	"hookline/internal/durable"
	"hookline/internal/errs"
	"hookline/store/archive"
	"hookline/store/open"
)

// databaseFile is the embedded database in --data.
const databaseFile = "hookline.db"

func newExport() *cobra.Command {
	var store storeFlags
	var data, out string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the whole store to an archive: a backup, or to move it",
		Long: "Write the whole store to an archive, to back it up or to move it. A server may go\n" +
			"on with a store in a file; servers of one on MongoDB must be stopped. Who reads the\n" +
			"archive reads all reports, and the hashes of the tokens.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			address, err := store.named(cmd, &data, "out")
			if err != nil {
				return err
			}
			return export(cmd, address, out)
		},
	}
	store.define(cmd)
	cmd.Flags().StringVar(&data, "data", "", "folder of the server's own files, with the embedded database")
	cmd.Flags().StringVar(&out, "out", "", "file to write; - is standard output")
	return cmd
}

func newImport() *cobra.Command {
	var store storeFlags
	var data, in string
	var o archive.ImportOptions
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Bring an archive into a store",
		Long: "Bring an archive into a new store. The whole archive is checked before anything is\n" +
			"written. An import that was stopped goes on when it is started again; until it is\n" +
			"whole, no server starts on the store. The archive's users, roles and tokens are let\n" +
			"in as they are: import only what you have kept as safe as the store.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			address, err := store.named(cmd, &data, "in")
			if err != nil {
				return err
			}
			return doImport(cmd, address, in, o)
		},
	}
	store.define(cmd)
	cmd.Flags().StringVar(&data, "data", "", "folder of the server's own files, with the embedded database")
	cmd.Flags().StringVar(&in, "in", "", "archive")
	cmd.Flags().BoolVar(&o.Merge, "merge", false, "into a store that has records: add those that it lacks")
	return cmd
}

// named is the address of the store, which the flags and the environment name.
func (s *storeFlags) named(cmd *cobra.Command, data *string, required string) (string, error) {
	if err := s.beforeEnv(cmd); err != nil {
		return "", err
	}
	if err := fromEnv(cmd, required); err != nil {
		return "", err
	}
	address, exposed, err := s.read()
	if err != nil {
		return "", err
	}
	if exposed {
		fmt.Fprintln(cmd.ErrOrStderr(), "warning: every user of this machine can see the password in --store: use --store-file, or HOOKLINE_STORE")
	}
	switch {
	case address != "":
		return address, nil
	case *data == "":
		return "", cli.Usagef("it needs --store or --data (or %s or %s)", envName("store"), envName("data"))
	}
	return filepath.Join(*data, databaseFile), nil
}

func logTo(cmd *cobra.Command) *slog.Logger {
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func export(cmd *cobra.Command, address, out string) (err error) {
	if err := replaceable(out); err != nil {
		return err
	}
	src, err := open.Export(cmd.Context(), address, open.Options{Log: logTo(cmd)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	p := newProgress(cmd.ErrOrStderr())
	var s archive.Summary
	write := func(to io.Writer) error {
		buffered := bufio.NewWriterSize(to, 1<<20)
		if s, err = writeArchive(cmd.Context(), src, buffered, p); err != nil {
			return err
		}
		if err := buffered.Flush(); err != nil {
			return errs.Wrap(errs.CodeUnavailable, errs.Plain(err), "cannot write the archive").WithHint("make room, or write it elsewhere")
		}
		return nil
	}
	told := cmd.OutOrStdout()
	if out == "-" {
		err, told = write(told), cmd.ErrOrStderr()
	} else if err = durable.WriteFrom(out, write, 0o600); err != nil {
		if _, coded := errs.As(err); !coded && cmd.Context().Err() == nil {
			err = errs.Wrap(errs.CodeUnavailable, errs.Plain(err), "cannot write %s", out).At("--out").WithHint("give --out a file in a folder that you may write to, with room for it")
		}
	}
	p.end()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(told, "exported", summary(s))
	return err
}

// replaceable refuses what is there and is no file: the archive takes the place
// of its path, and for root that could be /dev/null.
func replaceable(out string) error {
	info, err := os.Stat(out)
	if out == "-" || err != nil || info.Mode().IsRegular() {
		return nil //nolint:nilerr // what cannot be written is told when it is tried
	}
	return errs.New(errs.CodeBadInput, "cannot write %s: it is there, and no regular file", out).At("--out").
		WithHint("give --out the path of a file; --out - writes to standard output, for a pipe")
}

// writeArchive refuses a store without records: whoever backs it up has named
// another one than they meant.
func writeArchive(ctx context.Context, src archive.Source, to io.Writer, p *progress) (archive.Summary, error) {
	s, err := archive.Export(ctx, src, to, p.show)
	if err == nil && s.Records == 0 {
		return s, errs.New(errs.CodeNotFound, "cannot export: the store has no records").WithHint("see whether this is the store that you mean")
	}
	return s, err
}

func doImport(cmd *cobra.Command, address, in string, o archive.ImportOptions) (err error) {
	info, err := os.Stat(in) // before it is opened: a pipe would wait for its other end
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no regular file")
	}
	if err != nil {
		return cannotReadArchive(in, err)
	}
	f, err := os.Open(in)
	if err != nil {
		return cannotReadArchive(in, err)
	}
	defer f.Close()
	dst, err := open.Import(cmd.Context(), address, open.Options{Log: logTo(cmd)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	p := newProgress(cmd.ErrOrStderr())
	o.Size = info.Size()
	s, err := archive.Import(cmd.Context(), dst, f, o, p.show)
	p.end()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), "imported", summary(s))
	return err
}

func cannotReadArchive(path string, err error) error {
	return errs.Wrap(errs.CodeBadInput, errs.Plain(err), "cannot read %s", path).At("--in").
		WithHint("give --in the path of an archive, a file: it is read several times")
}

// summary counts the records of an archive, and names its content.
func summary(s archive.Summary) string {
	kinds := make([]string, len(s.Kinds))
	for i, k := range s.Kinds {
		kinds[i] = fmt.Sprint(k.Kind, " ", k.Records)
	}
	return fmt.Sprintf("%d records (%s), SHA-256 of the content %s", s.Records, strings.Join(kinds, ", "), s.SHA256)
}
