package reviewpage

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// Limits of the little server.
const (
	maxBody     = 32 << 10 // of a form
	maxHeader   = 16 << 10
	maxClients  = 16
	maxHeld     = 16 // versions that were shown and can be signed
	headerTime  = 5 * time.Second
	bodyTime    = 10 * time.Second
	answerTime  = 2 * time.Minute
	signTime    = 10 * time.Minute // somebody types a passphrase
	closingTime = 3 * time.Second
	DefaultIdle = 30 * time.Minute
)

// Serve answers until ctx ends, or nobody used the page for p.Idle.
func (p *Page) Serve(ctx context.Context, l net.Listener) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	s := &http.Server{
		Handler: p.handler(), ReadHeaderTimeout: headerTime, WriteTimeout: answerTime, IdleTimeout: answerTime, MaxHeaderBytes: maxHeader,
		ErrorLog:    log.New(io.Discard, "", 0), // what a port scan says is nothing for a terminal
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(netutil.LimitListener(l, maxClients)) }()
	err := p.wait(ctx, failed)
	end()
	closing, cancel := context.WithTimeout(context.Background(), closingTime)
	defer cancel()
	if s.Shutdown(closing) != nil {
		_ = s.Close() // whoever does not end is cut off
	}
	return err
}

func (p *Page) wait(ctx context.Context, failed <-chan error) error {
	idle := time.NewTimer(p.Idle)
	defer idle.Stop()
	for {
		select {
		case err := <-failed:
			if errors.Is(err, http.ErrServerClosed) {
				return nil
			}
			return err
		case <-ctx.Done():
			return nil
		case <-idle.C:
			p.Say("nobody used the page for " + p.Idle.String() + ": it is closed")
			return nil
		case <-p.touched:
			idle.Reset(p.Idle)
		}
	}
}
