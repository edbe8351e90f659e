package source

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/guardwire"
)

// Guard is the guard's unix socket as the owner's commands and the sources
// reach it.
type Guard struct {
	Socket string // path
}

const askTimeout = 30 * time.Second

// Ask does one request. Its error is coded: what the guard refused, or
// errs.CodeGuardNotRunning where nobody answers.
func (g Guard) Ask(ctx context.Context, req guardwire.Request) (guardwire.Reply, error) {
	conn, err := g.dial(ctx)
	if err != nil {
		return guardwire.Reply{}, dialError(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(askTimeout)); err != nil {
		return guardwire.Reply{}, errs.Wrap(errs.CodeInternal, err, "cannot talk to the guard")
	}
	if err := guardwire.WriteFrame(conn, req); err != nil {
		return guardwire.Reply{}, errs.Wrap(errs.CodeOf(err), err, "cannot ask the guard")
	}
	var reply guardwire.Reply
	if err := guardwire.ReadFrame(conn, &reply); err != nil {
		return guardwire.Reply{}, errs.Wrap(errs.CodeUnavailable, errs.Plain(err), "cannot read the guard's answer").
			WithHint("try again; hookline-peer run may have ended meanwhile")
	}
	return reply, ReplyError(reply)
}

func (g Guard) dial(ctx context.Context) (net.Conn, error) {
	path, release, err := guardwire.OwnerSocket(filepath.Dir(g.Socket), filepath.Base(g.Socket))
	if err != nil {
		return nil, err
	}
	defer release()
	return (&net.Dialer{}).DialContext(ctx, "unix", path)
}

func dialError(err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return errs.New(errs.CodeGuardNotRunning, "cannot reach the guard: hookline-peer is not running here").
			WithHint("start it: hookline-peer run")
	case errors.Is(err, os.ErrPermission):
		return errs.Wrap(errs.CodeForbidden, errs.Plain(err), "cannot reach the guard").
			WithHint("it belongs to another user: run this as root or as that user")
	}
	return errs.Wrap(errs.CodeUnavailable, errs.Plain(err), "cannot reach the guard")
}

// ReplyError is a reply's refusal as an error, nil where it was done.
func ReplyError(r guardwire.Reply) error {
	if r.Code == "" {
		return nil
	}
	e := errs.New(errs.Code(r.Code), "%s", r.Message)
	e.Field, e.Hint = r.Field, r.Hint
	return e
}

// File files a report and returns the id under which the guard keeps it.
func (g Guard) File(ctx context.Context, source string, r hooks.Report) (string, error) {
	if err := r.Validate(); err != nil {
		return "", err
	}
	reply, err := g.Ask(ctx, guardwire.Request{Op: guardwire.OpFile, Source: source, Report: r})
	return reply.ID, err
}
