package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"hookline/internal/cli"
	"hookline/internal/errs"
	"hookline/store/open"
)

// embedded is the value of --store for the store in --data.
const embedded = "sqlite"

// maxAddress is longer than any address of a store, in bytes.
const maxAddress = 8 << 10

// storeFlags are the two ways to name the store.
type storeFlags struct {
	address, file       string
	addressTyped, typed bool // on the command line: the address, one of the two
}

func (s *storeFlags) define(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.address, "store", embedded, "where everything is kept: sqlite (DATA/hookline.db), a path, or mongodb://…")
	f.StringVar(&s.file, "store-file", "", "file with that on its one line, for an address with a password; only this user may read it")
}

// beforeEnv sees what was typed. Of --store and --store-file the typed one
// wins over the other's variable.
func (s *storeFlags) beforeEnv(cmd *cobra.Command) error {
	store, file := cmd.Flag("store"), cmd.Flag("store-file")
	s.addressTyped, s.typed = store.Changed, store.Changed || file.Changed
	switch {
	case store.Changed && file.Changed:
		return cli.Usagef("--store and --store-file name the same thing: give one of them")
	case file.Changed:
		store.Changed = true // as far as the environment is concerned
	case store.Changed:
		file.Changed = true
	}
	return nil
}

// read is the address, "" for the embedded store, and whether people were able
// to see its password.
func (s *storeFlags) read() (address string, exposed bool, err error) {
	address = s.address
	if s.file != "" && !s.typed && os.Getenv(envName("store")) != "" {
		return "", false, cli.Usagef("%s and %s name the same thing: set one of them", envName("store"), envName("store-file"))
	}
	if s.file != "" {
		if address, err = readStoreFile(s.file); err != nil {
			return "", false, err
		}
	}
	if address == embedded {
		return "", false, nil
	}
	return address, s.addressTyped && open.HasPassword(address), nil
}

// readStoreFile reads the one line of a file that nobody else may read.
func readStoreFile(path string) (string, error) {
	refuse := func(cause error, hint string) (string, error) {
		return "", errs.Wrap(errs.CodeBadInput, errs.Plain(cause), "cannot use %s", path).At("--store-file").WithHint("%s", hint)
	}
	f, err := os.Open(path)
	if err != nil {
		return refuse(err, "give it the path of a file that hooklined may read, with the store's address on its one line")
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return refuse(err, "see whether the file can be read")
	}
	if readableByOthers(info) {
		return refuse(errors.New("others may read or write it, and an address can hold a password"), "chmod 600 "+path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxAddress+1))
	if err != nil {
		return refuse(err, "see whether the file can be read")
	}
	line := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if len(b) > maxAddress || line == "" || strings.TrimSpace(line) != line || bytes.ContainsAny([]byte(line), "\r\n\x00") {
		return refuse(errors.New("it must have one line with the store's address and nothing else"), "write mongodb://user:password@host/database into it")
	}
	return line, nil
}

// readableByOthers also holds for the group, but for a file of root's: so
// service managers hand secrets to a service's group.
func readableByOthers(info os.FileInfo) bool {
	allowed := os.FileMode(0o700)
	if s, ok := info.Sys().(*syscall.Stat_t); ok && s.Uid == 0 {
		allowed |= 0o040
	}
	return info.Mode().Perm()&^allowed != 0 && info.Mode().IsRegular()
}
