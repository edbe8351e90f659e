// Package peer is the network side of hookline-peer: the process that holds
// the TLS key, speaks gRPC with the server and frames with the guard, and
// decides nothing. What the server sends is capped and handed on as raw bytes
// for the guard to judge; what the guard wants delivered is repeated until
// the server has confirmed it.
//
//	conn, err := guardwire.Inherited(3)
//	…
//	err = peer.Run(ctx, peer.Config{Dir: netDir, Guard: conn, Version: version, Log: log})
//
// Enroll is the other half: it trades an enroll line for a certificate.
package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"

	"hookline/internal/errs"
	"hookline/internal/guardwire"
	"hookline/internal/jobpb"
)

// Times of the connection.
const (
	welcomeTime  = 15 * time.Second // from dialling to the server's welcome
	callTime     = 2 * time.Minute  // one report or upload
	longestDrain = time.Minute      // that a server may ask for
	longestJob   = 10 * time.Minute // that a server may give a hook job; its own limit is 5 minutes
	oldServer    = 10 * time.Minute // until a server without streams is tried again
)

// maxReason is what the guard takes as a reason.
const maxReason = 500

// Config is what Run needs. Guard is closed when Run returns.
type Config struct {
	Dir     string // the network side's own folder, as Enroll filled it
	Guard   *guardwire.Conn
	Version string
	Now     func() time.Time       // nil is the clock
	Log     *slog.Logger           // nil is no log
	Backoff func() backoff.BackOff // between connections; nil is full jitter, 1 to 30 s
}

// network is one running network side.
type network struct {
	Config
	desk *desk
}

// Run keeps a stream to the server open until ctx ends or the guard goes
// away. It returns nil in both cases, and an error where the guard's end of
// the wire broke its rules.
func Run(ctx context.Context, c Config) error {
	n := &network{Config: c.withDefaults(), desk: newDesk()}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer func() { _ = c.Guard.Close() }()
	go func() { cancel(n.readGuard()) }()
	select {
	case <-n.desk.ready:
	case <-ctx.Done():
		return ended(ctx)
	}
	n.stayConnected(ctx)
	return ended(ctx)
}

func (c Config) withDefaults() Config {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Backoff == nil {
		c.Backoff = fullJitter
	}
	return c
}

// fullJitter waits a random time from 0 to 1 s, then 2 s, up to 30 s, so that
// peers of a restarted server do not come all at once.
func fullJitter() backoff.BackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = time.Second/2, 15*time.Second
	b.Multiplier, b.RandomizationFactor = 2, 1 // interval ± interval
	return b
}

func ended(ctx context.Context) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, io.EOF) || errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
		return nil
	}
	return cause
}

// readGuard takes what the guard says until it goes away.
func (n *network) readGuard() error {
	for {
		m, err := n.Guard.Read()
		if err != nil {
			return err
		}
		if m.Kind == guardwire.KindState {
			if err := keepSignedCAs(n.Dir, m.State.CA); err != nil {
				n.Log.Error("cannot keep the server's certificates that people signed", "error", err)
			}
		}
		if err := n.desk.take(m); err != nil {
			return err
		}
	}
}

// stayConnected opens one session after the other. A welcome starts the
// back-off anew: peers of a server that was restarted are back soon, however
// long it was away before.
func (n *network) stayConnected(ctx context.Context) {
	wait := n.Backoff()
	for ctx.Err() == nil {
		welcomed, err := n.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if welcomed {
			wait.Reset()
		}
		pause := wait.NextBackOff()
		var d *drained
		if errors.As(err, &d) {
			pause += d.after
		}
		n.Log.InfoContext(ctx, "not connected", "code", errs.CodeOf(err), "reason", err, "again_in", pause.Round(time.Millisecond))
		if !n.tell(ctx, disconnected(err)) || !sleep(ctx, pause) {
			return
		}
	}
}

func disconnected(err error) guardwire.Message {
	return guardwire.Message{
		Kind: guardwire.KindDisconnected, Code: string(errs.CodeOf(err)),
		Reason: jobpb.Printable(fmt.Sprint(err), maxReason),
	}
}

// tell writes to the guard; false where it is gone, which ends Run through
// readGuard.
func (n *network) tell(ctx context.Context, m guardwire.Message) bool {
	if err := n.Guard.Write(m); err != nil {
		if ctx.Err() == nil {
			n.Log.ErrorContext(ctx, "cannot speak to the guard", "kind", m.Kind, "error", err)
		}
		_ = n.Guard.Close()
		return false
	}
	return true
}

// sleep waits, and reports false where ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
