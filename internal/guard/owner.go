package guard

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"hookline/internal/errs"
	"hookline/internal/guardwire"

	"golang.org/x/sys/unix"
)

const (
	maxOwnerConns  = 32
	maxSharedConns = 24 // of all users who may only file reports
	maxUserConns   = 4  // of each of them
	ownerTimeout   = 20 * time.Second
	maxLogReply    = 1 << 20
)

// Caller is who asks, as the kernel says.
type Caller struct {
	UID int
	PID int
}

// Listen opens the owner's socket. Where the guard is root's, every local user
// may knock, to file reports; who may do what is decided by the kernel's word
// about the caller, not by the socket's mode.
func (g *Guard) Listen() (*net.UnixListener, error) {
	path, release, err := guardwire.OwnerSocket(g.opts.Dir, SocketName)
	if err != nil {
		return nil, readError(err)
	}
	defer release()
	// The lock is ours: a socket that is left is a dead guard's.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, writeError(err, SocketName)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, errs.Wrap(errs.CodeUnavailable, err, "cannot open the owner's socket")
	}
	// The path may be gone by then; the next guard removes what is left.
	l.SetUnlinkOnClose(false)
	mode := os.FileMode(0o600)
	if os.Geteuid() == 0 {
		mode = 0o666
	}
	if err := os.Chmod(path, mode); err != nil {
		_ = l.Close()
		return nil, writeError(err, SocketName)
	}
	return l, nil
}

// Answer serves the owner's socket until ctx ends.
func (g *Guard) Answer(ctx context.Context, l *net.UnixListener) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	defer os.Remove(filepath.Join(g.opts.Dir, SocketName))
	places := newSeats()
	for {
		conn, err := l.AcceptUnix()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return errs.Wrap(errs.CodeInternal, err, "cannot take the owner's requests")
		}
		caller, err := peerOf(conn)
		owner := isOwner(caller) && !g.isChild(caller)
		if err != nil || !places.take(caller.UID, owner) {
			_ = conn.Close() // too many at a time: the caller tries again
			continue
		}
		go func() {
			defer places.leave(caller.UID, owner)
			g.answer(conn, caller)
		}()
	}
}

// seats bound the connections to the owner's socket, so that users who only
// file reports, or let connections idle, cannot keep each other or the owner out.
type seats struct {
	mu            sync.Mutex
	owner, shared int
	users         map[int]int
}

func newSeats() *seats { return &seats{users: map[int]int{}} }

func (s *seats) take(uid int, owner bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case owner && s.owner < maxOwnerConns:
		s.owner++
	case !owner && s.shared < maxSharedConns && s.users[uid] < maxUserConns:
		s.shared++
		s.users[uid]++
	default:
		return false
	}
	return true
}

func (s *seats) leave(uid int, owner bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if owner {
		s.owner--
		return
	}
	s.shared--
	if s.users[uid]--; s.users[uid] == 0 {
		delete(s.users, uid)
	}
}

func (g *Guard) answer(conn *net.UnixConn, caller Caller) {
	defer func() { _ = conn.Close() }()
	// A caller that does not read or write is let go.
	if err := conn.SetDeadline(time.Now().Add(ownerTimeout)); err != nil {
		return
	}
	var req guardwire.Request
	var reply guardwire.Reply
	if err := guardwire.ReadFrame(conn, &req); err != nil {
		reply = errorReply(err)
	} else {
		reply = g.Handle(caller, req)
	}
	// The caller may have gone away.
	_ = guardwire.WriteFrame(conn, reply)
}

func peerOf(conn *net.UnixConn) (Caller, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Caller{}, err
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, credErr); err != nil {
		return Caller{}, err
	}
	return Caller{UID: int(cred.Uid), PID: int(cred.Pid)}, nil
}

// Handle does one owner's request; the reply carries a code where it was
// refused.
func (g *Guard) Handle(caller Caller, req guardwire.Request) guardwire.Reply {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.mayAsk(caller, req.Op); err != nil {
		return errorReply(err)
	}
	reply, err := g.perform(caller, req)
	if err != nil {
		if errs.CodeOf(err) == errs.CodeInternal {
			g.opts.Log.Error("cannot do the owner's request", "op", string(req.Op), "error", err)
		}
		return errorReply(err)
	}
	return reply
}

// mayAsk lets root and the guard's own user ask everything, others file
// reports, and the network side nothing, though it may run as the same user.
func (g *Guard) mayAsk(caller Caller, op guardwire.Op) error {
	if g.childPID != 0 && caller.PID == g.childPID {
		return errs.New(errs.CodeForbidden, "the network side may not ask")
	}
	if isOwner(caller) || op == guardwire.OpFile {
		return nil
	}
	return errs.New(errs.CodeForbidden, "cannot do this as user %d: it is for the owner of the peer", caller.UID).
		WithHint("run it as root or as user %d", os.Geteuid())
}

// isChild reports whether the network side asks.
func (g *Guard) isChild(c Caller) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.childPID != 0 && c.PID == g.childPID
}

func isOwner(c Caller) bool { return c.UID == 0 || c.UID == os.Geteuid() }

func (g *Guard) perform(caller Caller, req guardwire.Request) (guardwire.Reply, error) {
	switch req.Op {
	case guardwire.OpFile:
		return g.fileReport(caller, req)
	case guardwire.OpStatus:
		return guardwire.Reply{Status: g.status()}, nil
	case guardwire.OpPending:
		return guardwire.Reply{Pending: g.ledger.now.sortedPending(), Allowed: g.allowed()}, nil
	case guardwire.OpAllowOnce, guardwire.OpDeny:
		return g.answerPending(caller, req)
	case guardwire.OpAllow:
		return g.allow(caller, req)
	case guardwire.OpLog:
		if err := g.record.SumUp(sumPause); err != nil { // what is there can still be read
			g.opts.Log.Error("cannot write to the record", "error", err)
		}
		lines, more, err := g.record.Lines(req.After, req.JobID, maxLogReply)
		return guardwire.Reply{Lines: lines, More: more}, err
	}
	return guardwire.Reply{}, errs.New(errs.CodeBadInput, "unknown request %.40q", string(req.Op)).At("op")
}

func errorReply(err error) guardwire.Reply {
	e, ok := errs.As(err)
	if !ok {
		return guardwire.Reply{Code: string(errs.CodeInternal), Message: "internal error; see the log of hookline-peer run"}
	}
	plain := *e
	plain.Field = ""
	return guardwire.Reply{Code: string(e.Code), Message: plain.Error(), Field: e.Field, Hint: e.Hint}
}

func (g *Guard) status() *guardwire.Status {
	head := g.record.Head()
	return &guardwire.Status{
		Deployment: g.pin.Anchor.Deployment, PeerID: g.pin.PeerID(), Profile: string(g.pin.Profile),
		EnrolledAt: g.pin.EnrolledAt, Trust: g.trusting(),
		Running: g.serving, Connected: g.connected, Trouble: g.trouble,
		SendReports: g.config.SendReports, AllowHooks: g.config.AllowHooks,
		Outbox: g.outbox.len(), Reports: len(g.shelf.index), Pending: len(g.ledger.now.Pending), Runs: len(g.running),
		Allowed:     len(g.allowed()),
		RecordLines: head.Seq, RecordIntact: g.record.Intact(),
	}
}

// answerPending takes the owner's yes or no to a run that waits.
func (g *Guard) answerPending(caller Caller, req guardwire.Request) (guardwire.Reply, error) {
	i := slices.IndexFunc(g.ledger.now.Pending, func(p guardwire.Pending) bool { return p.ID == req.ID })
	if i < 0 {
		return guardwire.Reply{}, errs.New(errs.CodeNotFound, "no run with the id %.40q waits", req.ID).WithHint("hookline-peer pending")
	}
	p := g.ledger.now.Pending[i]
	pair := Pair{Digest: p.Digest, OriginalID: p.OriginalID}
	yes := req.Op == guardwire.OpAllowOnce
	if yes && g.config.AllowHooks == HooksNo {
		return guardwire.Reply{}, errs.New(errs.CodeNotOptedIn, "cannot allow the run: hooks are not allowed on this machine").
			WithHint("hookline-peer allow --hooks=ask")
	}
	e := Entry{
		Kind: KindOwner, JobID: p.JobID, Ask: p.ID, OriginalID: p.OriginalID, Hook: p.Hook, Version: p.Version, Digest: p.Digest,
		Decision: map[bool]string{true: "allow-once", false: "deny"}[yes], UID: &caller.UID,
	}
	if err := g.record.Append(e); err != nil {
		return guardwire.Reply{}, err
	}
	err := g.ledger.update(func(s *State) {
		s.Pending = slices.Delete(s.Pending, i, i+1)
		if !yes {
			s.Denied = append(s.Denied, pair)
			return
		}
		s.Grants = append(s.Grants, Grant{Pair: pair, At: g.now(), NotAfter: p.NotAfter, Hook: p.Hook, Version: p.Version, Keys: p.Keys})
	})
	if err != nil {
		return guardwire.Reply{}, err
	}
	if yes && g.connected {
		g.claims.said(pair, g.now())
		g.sendLocked(claim(pair))
	}
	return guardwire.Reply{ID: p.ID, Pending: []guardwire.Pending{p}}, nil
}

// allow changes the opt-ins. A no to hooks stops the runs under way.
func (g *Guard) allow(caller Caller, req guardwire.Request) (guardwire.Reply, error) {
	next := g.config
	if req.SendReports != nil {
		next.SendReports = *req.SendReports
	}
	if req.AllowHooks != nil {
		next.AllowHooks = *req.AllowHooks
	}
	if err := next.validate(); err != nil {
		return guardwire.Reply{}, err
	}
	if !g.unsaved && next.SendReports == g.config.SendReports && next.AllowHooks == g.config.AllowHooks {
		return guardwire.Reply{Status: g.status()}, nil
	}
	defer func() { g.sendLocked(g.stateMessage()) }()
	g.narrow(next)
	if err := g.saveConfig(caller, next); err != nil {
		return guardwire.Reply{}, err
	}
	g.config, g.unsaved = next, false
	return guardwire.Reply{Status: g.status()}, nil
}

// narrow lets a no count at once: it must hold also where a full disk keeps it
// from being written, until the guard ends.
func (g *Guard) narrow(next Config) {
	g.unsaved = true
	g.config.SendReports = g.config.SendReports && next.SendReports
	if next.AllowHooks != HooksNo {
		return
	}
	g.config.AllowHooks = HooksNo
	for _, r := range g.running {
		r.cancel(errOptedOut)
	}
}

// saveConfig records and writes the settings. A no to hooks takes back every
// yes to one run that was not used: it must not come back with the next yes.
func (g *Guard) saveConfig(caller Caller, next Config) error {
	e := Entry{Kind: KindSettings, UID: &caller.UID, Reason: "send_reports: " + yesNo(next.SendReports) + ", allow_hooks: " + next.AllowHooks}
	if err := g.record.Append(e); err != nil {
		return err
	}
	if next.AllowHooks == HooksNo {
		if err := g.ledger.update(func(s *State) { s.Grants = nil }); err != nil {
			return err
		}
	}
	return writeAtomic(g.opts.Dir, configFile, next.YAML())
}
