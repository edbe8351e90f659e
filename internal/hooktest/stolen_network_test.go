package hooktest_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/guard"
	"hookline/internal/guardwire"
	"hookline/internal/onebox"
	"hookline/signing"
)

// captive is one network side of a real guard, in the thief's hands: its end
// of the guard's socket, and a process through which to ask as it.
type captive struct {
	t       *testing.T
	control *net.UnixConn
	raw     net.Conn // the guard's socket
	wire    *guardwire.Conn
}

// ambush waits for the network sides that a guard starts.
type ambush struct {
	t *testing.T
	l *net.UnixListener
}

// takeOver puts the thief's program in place of a machine's own, and ends the
// network side that runs: the guard starts the thief's.
func takeOver(t *testing.T, h *heist, m *target) *ambush {
	t.Helper()
	bin := t.TempDir()
	must(t, os.Chmod(bin, 0o755))
	for _, name := range []string{"hookline", "hooklined", "hookline-peer", "hookline-sandbox"} {
		copyProgram(t, binaries.Path(name), filepath.Join(bin, name))
	}
	m.Kill()
	d, err := onebox.New(h.d.Dir, onebox.Binaries(bin))
	must(t, err)
	again := d.Peer(m.Name)
	must(t, again.Start(t.Context()))
	m.Process = again.Process // the owner's commands stay those of the real program
	real := childrenOf(t, m.PID())
	if len(real) != 1 {
		t.Fatalf("the guard has the processes %v, want its network side alone", real)
	}
	a := &ambush{t: t, l: listenIn(t, filepath.Join(m.State(), "net"))}
	next := filepath.Join(bin, "next")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", next, "hookline/internal/hooktest/stolenside")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the thief's program: %v\n%s", err, out)
	}
	must(t, os.Rename(next, filepath.Join(bin, "hookline-peer")))
	must(t, syscall.Kill(real[0], syscall.SIGKILL))
	return a
}

func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, b, 0o755)) //nolint:gosec // a program
}

// listenIn listens in a folder, however long its path is.
func listenIn(t *testing.T, dir string) *net.UnixListener {
	t.Helper()
	path, release, err := guardwire.OwnerSocket(dir, "stolenside.sock")
	must(t, err)
	defer release()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	l.SetUnlinkOnClose(false)
	must(t, os.Chmod(path, 0o777)) //nolint:gosec // the network side's user connects
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// next is the next network side that the guard starts.
func (a *ambush) next() *captive {
	a.t.Helper()
	must(a.t, a.l.SetDeadline(time.Now().Add(2*patience)))
	control, err := a.l.AcceptUnix()
	must(a.t, err)
	a.t.Cleanup(func() { _ = control.Close() })
	b, oob := make([]byte, 1), make([]byte, syscall.CmsgSpace(4))
	_, n, _, _, err := control.ReadMsgUnix(b, oob)
	must(a.t, err)
	messages, err := syscall.ParseSocketControlMessage(oob[:n])
	must(a.t, err)
	fds, err := syscall.ParseUnixRights(&messages[0])
	must(a.t, err)
	f := os.NewFile(uintptr(fds[0]), "guard")
	defer f.Close()
	raw, err := net.FileConn(f)
	must(a.t, err)
	a.t.Cleanup(func() { _ = raw.Close() })
	must(a.t, raw.SetDeadline(time.Now().Add(2*patience)))
	return &captive{t: a.t, control: control, raw: raw, wire: guardwire.NewConn(raw)}
}

// leave ends the network side.
func (c *captive) leave() {
	_ = c.raw.Close()
	_ = c.control.Close()
}

// ended waits until the guard has hung up.
func (c *captive) ended() error {
	_, err := io.Copy(io.Discard, c.raw)
	if errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	return err
}

func (c *captive) write(m guardwire.Message) {
	c.t.Helper()
	must(c.t, c.wire.Write(m))
}

// finish waits for how a job ended.
func (c *captive) finish(job string) guardwire.Message {
	c.t.Helper()
	for {
		m, err := c.wire.Read()
		must(c.t, err)
		if m.Kind == guardwire.KindFinish && m.JobID == job {
			c.write(guardwire.Message{Kind: guardwire.KindFinished, JobID: job})
			return m
		}
	}
}

// ask puts a request of the owner's to the guard, as the network side.
func (c *captive) ask(socket string, req guardwire.Request) (guardwire.Reply, error) {
	c.t.Helper()
	var b bytes.Buffer
	must(c.t, guardwire.WriteFrame(&b, req))
	must(c.t, json.NewEncoder(c.control).Encode(struct {
		Path  string
		Bytes []byte
	}{socket, b.Bytes()}))
	var answer struct {
		Bytes []byte
		Error string
	}
	must(c.t, json.NewDecoder(c.control).Decode(&answer))
	if answer.Error != "" {
		return guardwire.Reply{}, errors.New(answer.Error)
	}
	var reply guardwire.Reply
	err := guardwire.ReadFrame(bytes.NewReader(answer.Bytes), &reply)
	return reply, err
}

// sideTry is a frame that a compromised network side sends; the guard hangs
// up, and starts another.
type sideTry struct {
	does  string
	frame string // after its length; "" where raw is the whole
	raw   []byte
}

func sideTries() []sideTry {
	const id = "01935b1e-0000-7000-8000-000000000000"
	return []sideTry{
		{does: "garbage", raw: []byte("GET / HTTP/1.1\r\n\r\n")},
		{does: "a frame of 4 GiB", raw: []byte{0xff, 0xff, 0xff, 0xff, '{'}},
		{does: "a kind of message that there is not", frame: `{"kind":"exec"}`},
		{does: "a result for a job", frame: `{"kind":"finish","job_id":"` + id + `","finish":{"outcome":"received","fields":"e30="}}`},
		{does: "that the owner allows hooks", frame: `{"kind":"state","state":{"facts":{"os":"","release":"","kernel":"","arch":""},"send_reports":true,"allow_hooks":"yes"}}`},
		{does: "a job whose id is a path", frame: `{"kind":"run","job_id":"../../pin","run":{"original_id":"x","deadline":"2026-11-02T09:00:00Z","statement":"","script":"","signatures":null}}`},
	}
}

func (s sideTry) bytes() []byte {
	if s.frame == "" {
		return s.raw
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(s.frame))), s.frame...) //nolint:gosec // short
}

// A network side that somebody took over, of a real guard: what it says is
// judged as if it came from anywhere, and it may not ask for what the owner may.
func stolenNetworkSide(t *testing.T, h *heist, m *target) {
	a := takeOver(t, h, m)
	before := len(ran(m.records(t)))
	kept := m.kept(t)
	for _, try := range sideTries() {
		t.Run(try.does, func(t *testing.T) {
			c := a.next()
			defer c.leave()
			_, err := c.raw.Write(try.bytes())
			must(t, err)
			must(t, c.ended())
			c.leave()
			eventually(t, patience, func() error {
				all := m.records(t)
				if last := all[len(all)-1]; last.Kind != "network" || !strings.Contains(last.Reason, "was stopped") {
					return fmt.Errorf("the last line of the record is %+v", last)
				}
				return nil
			})
		})
	}
	c := a.next()
	defer c.leave()
	c.write(guardwire.Message{Kind: guardwire.KindConnected})
	t.Run("the owner's requests", func(t *testing.T) { ownersRequests(t, c, m) })
	t.Run("jobs", func(t *testing.T) { sideJobs(t, h, m, c) })
	t.Run("metadata", func(t *testing.T) { sideMetadata(t, h, m, c) })
	t.Run("answers to nothing", func(t *testing.T) {
		for _, kind := range []guardwire.Kind{guardwire.KindCancel, guardwire.KindFiled, guardwire.KindFinished} {
			for _, id := range []string{"x", "../pin", m.original, newID(t)} {
				c.write(guardwire.Message{Kind: kind, JobID: id, Code: "internal"})
			}
		}
	})
	if !bytes.Equal(m.kept(t), kept) {
		t.Error("the network side changed the trust metadata")
	}
	id := newID(t)
	run := h.stolen(m.original)
	c.write(guardwire.Message{Kind: guardwire.KindRun, JobID: id, Run: &guardwire.Run{
		OriginalID: m.original, Deadline: time.Now().Add(time.Minute).UTC(), Statement: run.Statement, Script: run.Script, Signatures: run.Signatures,
	}})
	if e := c.finish(id); e.Finish.Outcome != hooks.OutcomeReceived {
		t.Errorf("after all that the real hook ended %+v", e)
	}
	m.nothingElseRan(t, before, id)
}

// ownersRequests asks for what only the owner may have.
func ownersRequests(t *testing.T, c *captive, m *target) {
	t.Helper()
	yes := "yes"
	socket := filepath.Join("..", "guard", guard.SocketName) // from the network side's folder
	if _, err := os.Lstat(filepath.Join(m.State(), "net", socket)); err != nil {
		t.Fatalf("the owner's socket is somewhere else: %v", err)
	}
	for _, req := range []guardwire.Request{
		{Op: guardwire.OpAllow, AllowHooks: &yes},
		{Op: guardwire.OpAllowOnce, ID: "0123456789ab"},
		{Op: guardwire.OpPending},
		{Op: guardwire.OpStatus},
		{Op: guardwire.OpLog},
		{Op: guardwire.OpFile, Source: "report", Report: hooks.Report{hooks.FieldPackage: "hooktest", "Mark": "forged"}},
	} {
		reply, err := c.ask(socket, req)
		must(t, err)
		if reply.Code != string(errs.CodeForbidden) {
			t.Errorf("%s: the guard answered %q %s, want %s", req.Op, reply.Code, reply.Message, errs.CodeForbidden)
		}
	}
}

// sideJobs hands in jobs as no server sent them.
func sideJobs(t *testing.T, h *heist, m *target, c *captive) {
	t.Helper()
	for _, try := range slices.Concat(otherScripts(), otherOriginals()) {
		run := try.run(t, h, m)
		id := newID(t)
		c.write(guardwire.Message{Kind: guardwire.KindRun, JobID: id, Run: &guardwire.Run{
			OriginalID: run.OriginalId, Deadline: time.Now().Add(time.Hour).UTC(),
			Statement: run.Statement, Script: run.Script, Signatures: run.Signatures,
		}})
		if e := c.finish(id); e.Code != string(try.code) {
			t.Errorf("%s: ended %+v, want %s", try.does, e, try.code)
		}
		refusedIn(t, m.records(t), id, try.code)
	}
}

// sideMetadata hands in trust metadata of the thief's.
func sideMetadata(t *testing.T, h *heist, m *target, c *captive) {
	t.Helper()
	b := h.loot.trusted.Bundle()
	forged := b
	forged.Pushed = revoking(t, b, h.mallory, signing.RevokeHook, h.loot.predicate(t).Hook)
	for code, bundle := range map[errs.Code][]byte{
		errs.CodeTrustRoot: encoded(t, ownMetadata(t, h.mallory, b)), errs.CodeTrustSigned: encoded(t, forged),
	} {
		c.write(guardwire.Message{Kind: guardwire.KindTrust, Trust: &guardwire.Trust{Bundle: bundle}})
		eventually(t, patience, func() error {
			l, ok := m.trustLine(t, bundle)
			if !ok || l.Decision != "refused" || l.Code != string(code) {
				return fmt.Errorf("the record says of the metadata %+v", l)
			}
			return nil
		})
	}
}
