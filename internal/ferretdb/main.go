// Command ferretdb is a server that speaks MongoDB's wire protocol, for tests:
// FerretDB with its SQLite back end, on the loopback device.
//
//	ferretdb [-dir DIR] [-listen 127.0.0.1:0] [-until-eof]
//
// It prints its address on standard output once it listens. It ends on SIGTERM
// and SIGINT, and with -until-eof when its standard input ends too: with the
// process that started it, however that one ends. Nothing is synced to disk.
// It has no accounts, and is no server for anybody's data: FerretDB applies
// conditional updates one after the other only for a client with one
// connection (maxPoolSize=1).
//
// It is a module of its own because its tree of dependencies is large and of
// another age, among it a second SQLite: no binary of Hookline may link it,
// and no version in it may decide one of ours.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/FerretDB/FerretDB/build/version"
	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "ferretdb:", err)
		os.Exit(1)
	}
}

type config struct {
	dir, listen string
	untilEOF    bool
}

func run(args []string, in io.Reader, out, log io.Writer) error {
	c, err := parse(args, log)
	if err != nil {
		return err
	}
	if c.dir == "" {
		if c.dir, err = os.MkdirTemp("", "hookline-ferretdb-"); err != nil {
			return err
		}
		defer os.RemoveAll(c.dir)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if c.untilEOF {
		go func() {
			_, _ = io.Copy(io.Discard, in)
			stop()
		}()
	}
	return serve(ctx, c, out, log)
}

func parse(args []string, log io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("ferretdb", flag.ContinueOnError)
	flags.SetOutput(log)
	flags.StringVar(&c.dir, "dir", "", "existing folder for the data; none is a temporary one")
	flags.StringVar(&c.listen, "listen", "127.0.0.1:0", "address and port, on the loopback device")
	flags.BoolVar(&c.untilEOF, "until-eof", false, "end when standard input ends")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	if flags.NArg() > 0 {
		return c, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	host, _, err := net.SplitHostPort(c.listen)
	if err != nil {
		return c, err
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		return c, fmt.Errorf("cannot listen on %s: only loopback addresses, such as 127.0.0.1:0", c.listen)
	}
	return c, nil
}

// ownVersion is the version of FerretDB in this program, which an embedded one
// does not know of itself.
func ownVersion() string {
	const path = "github.com/FerretDB/FerretDB"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == path {
				return dep.Version
			}
		}
	}
	return "of unknown version"
}

// serve runs until ctx ends.
func serve(ctx context.Context, c config, out, log io.Writer) error {
	version.Get().Version = ownVersion()
	f, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: c.listen},
		Handler:   "sqlite",
		SQLiteURL: "file:" + c.dir + "/?_pragma=synchronous(off)",
		Logger:    slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return err
	}
	go fmt.Fprintln(out, f.MongoDBURI()) // waits until it listens
	if err := f.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
