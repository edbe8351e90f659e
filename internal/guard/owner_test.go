package guard

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/guardwire"
	"hookline/signing"
)

const stranger = 54321 // a uid that is neither root nor ours

func TestEverythingIsOffAtFirst(t *testing.T) {
	g := newKit(t).enroll().open()
	s := owner(t, g, guardwire.Request{Op: guardwire.OpStatus}).Status
	if s.SendReports || s.AllowHooks != HooksNo || s.Running || s.Connected || !s.RecordIntact || s.Deployment != deployment {
		t.Errorf("status %+v", s)
	}
	reply := g.Handle(Caller{UID: os.Geteuid()}, guardwire.Request{Op: guardwire.OpFile, Report: crashReport()})
	if reply.Code != string(errs.CodeNotOptedIn) || reply.Hint != "hookline-peer allow --send-reports=yes" {
		t.Errorf("reply %+v", reply)
	}
}

func TestWhoMayAsk(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksAsk)
	g.setChild(4711)
	for _, tc := range []struct {
		caller Caller
		op     guardwire.Op
		code   errs.Code
	}{
		{Caller{UID: 0}, guardwire.OpStatus, ""},
		{Caller{UID: os.Geteuid()}, guardwire.OpLog, ""},
		{Caller{UID: stranger}, guardwire.OpFile, ""},
		{Caller{UID: stranger}, guardwire.OpStatus, errs.CodeForbidden},
		{Caller{UID: stranger}, guardwire.OpAllow, errs.CodeForbidden},
		{Caller{UID: stranger}, guardwire.OpAllowOnce, errs.CodeForbidden},
		{Caller{UID: stranger}, guardwire.OpDeny, errs.CodeForbidden},
		{Caller{UID: stranger}, guardwire.OpPending, errs.CodeForbidden},
		{Caller{UID: stranger}, guardwire.OpLog, errs.CodeForbidden},
		{Caller{UID: os.Geteuid(), PID: 4711}, guardwire.OpAllow, errs.CodeForbidden}, // the network side
		{Caller{UID: os.Geteuid(), PID: 4711}, guardwire.OpFile, errs.CodeForbidden},
		{Caller{UID: 0}, "shutdown", errs.CodeBadInput},
	} {
		reply := g.Handle(tc.caller, guardwire.Request{Op: tc.op, Report: crashReport()})
		if reply.Code != string(tc.code) {
			t.Errorf("%+v asks %s: %q %s, want %q", tc.caller, tc.op, reply.Code, reply.Message, tc.code)
		}
	}
}

func TestFiledReportIsKeptWithItsOwner(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksNo)
	reply := g.Handle(Caller{UID: stranger}, guardwire.Request{Op: guardwire.OpFile, Source: "exec", Report: crashReport()})
	if reply.Code != "" {
		t.Fatal(reply.Message)
	}
	kept, err := g.shelf.get(reply.ID)
	if err != nil || kept.UID != stranger || kept.Source != "exec" || !kept.FiledAt.Equal(k.clock.Now()) {
		t.Errorf("kept %+v, %v", kept, err)
	}
	e := lastEntry(t, g, KindReport)
	if e.JobID != reply.ID || *e.UID != stranger || !strings.Contains(string(e.Fields), `"ExecutablePath"`) || strings.Contains(string(e.Fields), "/usr/sbin") {
		t.Errorf("entry %+v", e)
	}
	for _, bad := range []hooks.Report{nil, {"": "x"}, {"A B": "x"}, {"Package": "\xff"}} {
		if reply := g.Handle(Caller{UID: stranger}, guardwire.Request{Op: guardwire.OpFile, Report: bad}); reply.Code != string(errs.CodeBadReport) {
			t.Errorf("%v: %q", bad, reply.Code)
		}
	}
}

func TestSettingsAreKeptAndRecorded(t *testing.T) {
	k := newKit(t).enroll()
	if err := os.WriteFile(filepath.Join(k.dir, configFile), []byte("allow_hooks: no\nceilings: {classes: [technical], raw: no, max_runtime: 2s, commands: no, syslog: yes}\n"+
		"sandbox: {allow_without: [landlock]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := k.open()
	owner(t, g, guardwire.Request{Op: guardwire.OpAllow, AllowHooks: ptr(HooksAsk)})
	if e := lastEntry(t, g, KindSettings); e.Reason != "send_reports: no, allow_hooks: ask" || *e.UID != os.Geteuid() {
		t.Errorf("entry %+v", e)
	}
	if reply := g.Handle(Caller{}, guardwire.Request{Op: guardwire.OpAllow, AllowHooks: ptr("maybe")}); reply.Code != string(errs.CodeBadInput) || reply.Field != "allow_hooks" {
		t.Errorf("reply %+v", reply)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	c := k.open().config
	if c.AllowHooks != HooksAsk || c.SendReports || c.Ceilings.Raw == nil || *c.Ceilings.Raw || c.Ceilings.MaxRuntime != 2e9 || len(c.Ceilings.Classes) != 1 ||
		c.Ceilings.Commands == nil || *c.Ceilings.Commands || !c.Ceilings.Syslog || c.Ceilings.Root || len(c.Sandbox.AllowWithout) != 1 {
		t.Errorf("config %+v", c)
	}
}

func TestConfigIsStrict(t *testing.T) {
	for _, tc := range []struct{ text, field string }{
		{"send_report: yes\n", "config.yaml:1:1"},
		{"allow_hooks: sometimes\n", "allow_hooks"},
		{"allow_hooks: [yes]\n", "config.yaml:1:14"},
		{"ceilings: {classes: [secret]}\n", "ceilings.classes"},
		{"ceilings: {max_runtime: soon}\n", "config.yaml:1:25"},
		{"ceilings: {commands: ask}\n", "config.yaml:1:22"},
		{"sandbox: {allow_without: [seccomp]}\n", "sandbox.allow_without"},
		{"sandbox: {allow_without: [landlock, landlock]}\n", "sandbox.allow_without"},
		{"sandbox: {allow_without: landlock}\n", "config.yaml:1:26"},
		{"sandbox: {without: [landlock]}\n", "config.yaml:1:11"},
	} {
		_, err := ParseConfig([]byte(tc.text))
		e, ok := errs.As(err)
		if !ok || e.Field != tc.field {
			t.Errorf("%q: %v", tc.text, err)
		}
	}
	for _, text := range []string{"", "# nothing\n", "{}\n"} {
		if c, err := ParseConfig([]byte(text)); err != nil || c.AllowHooks != HooksNo || c.SendReports {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
}

// One user cannot fill the owner's record with reports.
func TestStrangersFileAtALimitedRate(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksNo)
	req := guardwire.Request{Op: guardwire.OpFile, Report: crashReport()}
	for i := range filingsBurst + 1 {
		reply := g.Handle(Caller{UID: stranger}, req)
		if limited := reply.Code == string(errs.CodeRateLimited); limited != (i == filingsBurst) {
			t.Fatalf("report %d: %q", i+1, reply.Code)
		}
	}
	if reply := g.Handle(Caller{UID: stranger + 1}, req); reply.Code != "" {
		t.Errorf("another user: %q", reply.Code)
	}
	k.clock.advance(6 * time.Second)
	if reply := g.Handle(Caller{UID: stranger}, req); reply.Code != "" {
		t.Errorf("later: %q", reply.Code)
	}
}

// The socket itself: the kernel says who asks, and junk is answered or cut.
func TestSocket(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksNo)
	l, err := g.Listen()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- g.Answer(t.Context(), l) }()
	ask := func(frame []byte) (guardwire.Reply, error) {
		conn, err := net.Dial("unix", filepath.Join(k.dir, SocketName))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write(frame); err != nil {
			return guardwire.Reply{}, err
		}
		if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
			return guardwire.Reply{}, err
		}
		var reply guardwire.Reply
		return reply, guardwire.ReadFrame(conn, &reply)
	}
	frame := func(v any) []byte {
		var b bytes.Buffer
		if err := guardwire.WriteFrame(&b, v); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	reply, err := ask(frame(guardwire.Request{Op: guardwire.OpFile, Report: crashReport()}))
	if err != nil || reply.Code != "" {
		t.Fatalf("reply %+v, %v", reply, err)
	}
	if kept, err := g.shelf.get(reply.ID); err != nil || kept.UID != os.Geteuid() {
		t.Errorf("kept %+v, %v", kept, err)
	}
	for _, junk := range [][]byte{
		{0xff, 0xff, 0xff, 0xff},
		{0, 0, 0, 0},
		{0, 0, 1},
		[]byte("GET / HTTP/1.1\r\n\r\n"),
		frame(map[string]any{"op": "status", "and": 1}), frame([]int{1}),
	} {
		if reply, err := ask(junk); err != nil || reply.Code == "" {
			t.Errorf("%q: %+v, %v", junk, reply, err)
		}
	}
	_ = l.Close()
	if err := <-done; err == nil {
		t.Error("a closed socket is no error")
	}
}

func FuzzOwnerRequest(f *testing.F) {
	for _, op := range []guardwire.Op{guardwire.OpFile, guardwire.OpStatus, guardwire.OpAllow, guardwire.OpAllowOnce, guardwire.OpDeny, guardwire.OpLog, guardwire.OpPending} {
		b, err := json.Marshal(guardwire.Request{Op: op, ID: "ab", Report: crashReport(), AllowHooks: ptr("ask")})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, 0)
		f.Add(b, stranger)
	}
	g := newKit(f).optedIn(HooksNo)
	f.Fuzz(func(t *testing.T, body []byte, uid int) {
		if uid != 0 {
			uid = stranger
		}
		var b bytes.Buffer
		b.Write([]byte{byte(len(body) >> 24), byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))})
		b.Write(body)
		var req guardwire.Request
		if guardwire.ReadFrame(&b, &req) != nil {
			return
		}
		reply := g.Handle(Caller{UID: uid}, req)
		if uid == stranger && reply.Code == "" && req.Op != guardwire.OpFile {
			t.Fatalf("a stranger may %s", req.Op)
		}
		if reply.Code == string(errs.CodeInternal) {
			t.Fatalf("%s: %s", body, reply.Message)
		}
		var out bytes.Buffer
		if err := guardwire.WriteFrame(&out, reply); err != nil {
			t.Fatal(err)
		}
		var again guardwire.Reply
		if err := guardwire.ReadFrame(&out, &again); err != nil {
			t.Fatalf("the reply cannot be read back: %v", err)
		}
	})
}

func TestEnroll(t *testing.T) {
	k := newKit(t)
	e := k.enrolment()
	_, err := Open(k.options())
	wantCode(t, err, errs.CodeNotEnrolled)
	forged := e
	forged.Anchor.RootDigest = strings.Repeat("ab", 32)
	wantCode(t, Enroll(k.dir, forged), errs.CodeTrustRoot)
	if Enrolled(k.dir) {
		t.Fatal("a refused enrolment left a pin")
	}
	k.ok(Enroll(k.dir, e))
	g := k.open()
	wantCode(t, Enroll(k.dir, e), errs.CodeStateHeld) // the guard runs
	k.ok(g.Close())
	k.ok(Enroll(k.dir, e)) // the same root: it goes on
	all := entries(t, k.open(), KindEnrolled)
	if len(all) != 2 || all[0].Decision != "pinned" || all[1].Decision != "continued" || all[1].UID == nil {
		t.Errorf("in the record: %+v", all)
	}
}

func TestSoloNeedsTheOwnersAcceptance(t *testing.T) {
	k := newKit(t)
	k.policy.Profile, k.policy.Reviewers = signing.ProfileSolo, 0
	e := k.enrolment()
	e.AcceptSolo = false
	wantCode(t, Enroll(k.dir, e), errs.CodeEnrollRefused)
	e.AcceptSolo = true
	k.ok(Enroll(k.dir, e))
}

func TestOwnCopiesAreBounded(t *testing.T) {
	k := newKit(t)
	g := k.optedIn(HooksNo)
	g.shelf.maxFiles, g.shelf.maxPerUser = 10, 4
	var ids []string
	for range 10 {
		ids = append(ids, file(t, g))
	}
	// All wait for the server: none may go, and no more can come.
	full := guardwire.Request{Op: guardwire.OpFile, Report: crashReport()}
	if reply := g.Handle(Caller{}, full); reply.Code != string(errs.CodeStorageFull) {
		t.Fatalf("the eleventh: %q", reply.Code)
	}
	s := connect(t, g)
	for _, id := range ids[1:] {
		s.write(guardwire.Message{Kind: guardwire.KindFiled, JobID: id})
	}
	eventually(t, "the server has nine", func() bool { return owner(t, g, guardwire.Request{Op: guardwire.OpStatus}).Status.Outbox == 1 })
	// The second pins one for a run that waits for the owner.
	k.change(g, func(st *State) {
		st.Pending = []guardwire.Pending{{ID: "x", OriginalID: ids[1], NotAfter: start.AddDate(1, 0, 0)}}
	})
	for range 3 {
		file(t, g)
	}
	for i, id := range ids[:6] {
		_, err := g.shelf.get(id)
		if gone := err != nil; gone != (i >= 2 && i <= 4) {
			t.Errorf("copy %d: gone %v", i, gone)
		}
	}
	for i := range 6 {
		reply := g.Handle(Caller{UID: stranger}, full)
		if i >= 4 && reply.Code != string(errs.CodeStorageFull) {
			t.Errorf("the stranger's report %d: %q", i, reply.Code)
		}
	}
	again, err := openShelf(k.dir)
	if err != nil || len(again.index) != len(g.shelf.index) || again.bytes != g.shelf.bytes {
		t.Errorf("read back %d copies of %d bytes, want %d of %d; %v", len(again.index), again.bytes, len(g.shelf.index), g.shelf.bytes, err)
	}
}

func TestOwnCopiesAreBoundedInBytes(t *testing.T) {
	g := newKit(t).optedIn(HooksNo)
	g.shelf.maxBytes = 10_000
	for i := range 20 {
		k := Kept{ID: newID(t), Report: hooks.Report{"Text": strings.Repeat("x", 1000+i)}}
		if err := g.shelf.add(k, func(string) bool { return false }, false); err != nil {
			t.Fatal(err)
		}
		if g.shelf.bytes > g.shelf.maxBytes {
			t.Fatalf("%d bytes", g.shelf.bytes)
		}
	}
}

// One user who files large reports gets a share of the room, not all of it.
func TestOneUserCannotFillTheShelf(t *testing.T) {
	g := newKit(t).optedIn(HooksNo)
	g.shelf.maxBytes, g.shelf.maxUserBytes = 50_000, 10_000
	first := file(t, g)
	g.outbox.reports = map[string]bool{} // the server has it: it could go
	for i := range 20 {
		large := hooks.Report{"ProblemType": "Crash", "Text": strings.Repeat("x", 4000+i)}
		reply := g.Handle(Caller{UID: stranger}, guardwire.Request{Op: guardwire.OpFile, Report: large})
		if full := reply.Code == string(errs.CodeStorageFull); full != (i >= 2) {
			t.Fatalf("report %d: %q %s", i, reply.Code, reply.Message)
		}
	}
	if _, err := g.shelf.get(first); err != nil {
		t.Errorf("another user's report is gone: %v", err)
	}
}

// Connections that another user lets idle keep neither the owner nor a third
// user out.
func TestIdleConnectionsKeepNobodyOut(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs another user")
	}
	dir, err := os.MkdirTemp("", "hookline-idle")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	k := newKit(t)
	k.dir = filepath.Join(dir, "guard")
	g := k.optedIn(HooksNo)
	l, err := g.Listen()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- g.Answer(ctx, l) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	socket := filepath.Join(k.dir, SocketName)
	idle := exec.Command(testProgram(t, dir), idleArg, socket)
	idle.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
	out, err := idle.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	hold, err := idle.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := idle.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { hold.Close(); _ = idle.Wait() }()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var reply guardwire.Reply
	if err := guardwire.WriteFrame(conn, guardwire.Request{Op: guardwire.OpStatus}); err != nil {
		t.Fatal(err)
	}
	if err := guardwire.ReadFrame(conn, &reply); err != nil || reply.Status == nil {
		t.Errorf("the owner is kept out: %+v %v", reply, err)
	}
}

func TestSeats(t *testing.T) {
	s := newSeats()
	took := 0
	for uid := range 10 {
		for range 10 {
			if s.take(1000+uid, false) {
				took++
			}
		}
	}
	if took != maxSharedConns || s.users[1000] != maxUserConns || !s.take(0, true) {
		t.Errorf("%d places for others, %d for one", took, s.users[1000])
	}
	for uid := range 6 {
		for range maxUserConns {
			s.leave(1000+uid, false)
		}
	}
	if s.shared != 0 || len(s.users) != 0 || !s.take(1000, false) {
		t.Errorf("places are not given back: %+v", s.users)
	}
}

// Reports with many names take little of the owner's record.
func TestManyNamesTakeLittleOfTheRecord(t *testing.T) {
	g := newKit(t).optedIn(HooksNo)
	report := hooks.Report{"ProblemType": "Crash"}
	for i := range 900 {
		report[fmt.Sprintf("N%03d%s", i, strings.Repeat("n", 100))] = "x"
	}
	before := g.record.size
	if reply := g.Handle(Caller{UID: stranger}, guardwire.Request{Op: guardwire.OpFile, Report: report}); reply.Code != "" {
		t.Fatalf("%s %s", reply.Code, reply.Message)
	}
	if took := g.record.size - before; took > 2*maxRecordedNames {
		t.Errorf("the line has %d bytes", took)
	}
	var names []string
	if err := json.Unmarshal(lastEntry(t, g, KindReport).Fields, &names); err != nil || names[len(names)-1] != fmt.Sprintf("and %d more", 901-len(names)+1) {
		t.Errorf("%v %q", err, names)
	}
}
