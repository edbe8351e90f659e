package jobserver_test

import (
	"bytes"
	"context"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"hookline/hooks"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobpb"
	"hookline/internal/jobs"
	"hookline/internal/jobserver"
	"hookline/store/sqlite"
)

func newStore(t *testing.T) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "x.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestEnrollCall(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	client := r.dial(nil)
	_, csr := newKey(t)
	good := func() *jobpb.EnrollRequest {
		return &jobpb.EnrollRequest{Protocol: jobpb.Protocol, SetupKey: r.key, Csr: csr, Name: "m"}
	}
	change := func(f func(*jobpb.EnrollRequest)) *jobpb.EnrollRequest {
		e := good()
		f(e)
		return e
	}
	for _, c := range []struct {
		name string
		in   *jobpb.EnrollRequest
		code errs.Code
		text string
	}{
		{"a newer protocol", change(func(e *jobpb.EnrollRequest) { e.Protocol = 2 }), errs.CodeProtocolUnsupported, "protocol 2"},
		{"a wrong setup key", change(func(e *jobpb.EnrollRequest) { e.SetupKey = enroll.NewSetupKey() }), errs.CodeEnrollRefused, "setup key"},
		{"a huge setup key", change(func(e *jobpb.EnrollRequest) { e.SetupKey = strings.Repeat("k", 10_000) }), errs.CodeTooLarge, "setup_key"},
		{"no request", change(func(e *jobpb.EnrollRequest) { e.Csr = nil }), errs.CodeBadInput, "csr"},
		{"a huge request", change(func(e *jobpb.EnrollRequest) { e.Csr = make([]byte, 100_000) }), errs.CodeTooLarge, "csr"},
	} {
		t.Run(c.name, func(*testing.T) {
			_, err := client.Enroll(t.Context(), c.in)
			r.refused(err, c.code, c.text)
		})
	}
	first, err := client.Enroll(t.Context(), good())
	r.ok(err)
	second, err := client.Enroll(t.Context(), good()) // also what a replay would do: nothing without the private key
	r.ok(err)
	if first.GetPeerId() != second.GetPeerId() || !bytes.Equal(first.GetTrust(), r.feed.newest()) {
		t.Error("the same key is another peer")
	}
	all, err := r.db.Peers(t.Context(), "", 100)
	r.ok(err)
	if len(all) != 1 {
		t.Errorf("%d peers are stored", len(all))
	}
}

func TestFileRefusals(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	m := r.machine()
	for _, c := range []struct {
		name, id, report string
		code             errs.Code
		text             string
	}{
		{"not UTF-8", newID(), "{\"Title\":\"a\xffb\"}", errs.CodeBadReport, ""},
		{"not JSON", newID(), "Title: x", errs.CodeBadReport, ""},
		{"nothing", newID(), "", errs.CodeBadReport, ""},
		{"a number", newID(), `{"Title":1}`, errs.CodeBadReport, "Title"},
		{"a key twice", newID(), `{"Title":"1","Title":"2"}`, errs.CodeBadReport, "Title"},
		{"a space in a name", newID(), `{"Ti tle":"1"}`, errs.CodeBadReport, "Ti tle"},
		{"too deep", newID(), strings.Repeat(`{"a":`, 10_000), errs.CodeBadReport, ""},
		{"too big", newID(), `{"Title":"` + strings.Repeat("x", hooks.MaxReportBytes) + `"}`, errs.CodeBadReport, "larger"},
		{"far too big", newID(), strings.Repeat("x", 3*hooks.MaxReportBytes), errs.CodeRateLimited, "larger than max"},
		{"no id", "", `{"Title":"1"}`, errs.CodeBadReport, "id"},
		{"a path as id", "../../x", `{"Title":"1"}`, errs.CodeBadReport, "id"},
		{"an id in capitals", strings.ToUpper(newID()), `{"Title":"1"}`, errs.CodeBadReport, "id"},
	} {
		t.Run(c.name, func(*testing.T) {
			_, err := m.client.File(t.Context(), &jobpb.FileRequest{Id: c.id, Report: []byte(c.report)})
			r.refused(err, c.code, c.text)
		})
	}
	all, err := r.db.Jobs(t.Context(), jobs.Filter{Limit: 10})
	r.ok(err)
	if len(all) != 0 {
		t.Error("a refused report was stored")
	}
}

func TestFileIsIdempotent(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	m := r.machine()
	id := m.file()
	again, err := m.client.File(t.Context(), &jobpb.FileRequest{Id: id, Report: report().Canonical()}, grpc.UseCompressor(jobpb.Compression))
	r.ok(jobpb.FromStatus(err))
	if again.GetCreated() || again.GetFingerprint() == "" {
		t.Errorf("the second time: %v", again)
	}
	other := report()
	other["More"] = "x"
	_, err = m.client.File(t.Context(), &jobpb.FileRequest{Id: id, Report: other.Canonical()})
	r.refused(err, errs.CodeConflict, "")
}

// The refusal is one after which the peer comes again.
func TestOnePeerCannotFillTheStore(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	m, other := r.machine(), r.machine()
	for n := 0; ; n++ {
		_, err := m.client.File(t.Context(), &jobpb.FileRequest{Id: newID()}) // counts, though it is none
		if errs.Is(jobpb.FromStatus(err), errs.CodeRateLimited) && n >= 500 && !jobpb.Final(err) {
			break
		}
		r.refused(err, errs.CodeBadReport, "")
		if n > 900 {
			t.Fatal("there is no limit")
		}
	}
	other.file()
}

func TestPackedBombIsRefused(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	m := r.machine()
	bomb := make([]byte, 8<<20) // packs to some 8 kB
	_, err := m.client.File(t.Context(), &jobpb.FileRequest{Id: newID(), Report: bomb},
		grpc.UseCompressor(jobpb.Compression), grpc.MaxCallSendMsgSize(1<<30))
	r.refused(err, errs.CodeRateLimited, "larger than max")
}

func TestUploadRefusals(t *testing.T) {
	r := newRig(t, jobserver.Times{})
	r.activate()
	m := r.machine()
	_, j := m.asked()
	id := j.GetId()
	big := make([]byte, jobpb.MaxChunk+1)
	_, err := m.upload(id, big)
	r.refused(err, errs.CodeTooLarge, "data")
	_, err = m.upload("", []byte("{}"))
	r.refused(err, errs.CodeNotFound, "")
	_, err = m.upload(id)
	r.refused(err, errs.CodeBadInput, "must start")
	up, err := m.client.Upload(t.Context())
	r.ok(err)
	r.ok(up.Send(&jobpb.UploadChunk{JobId: id, Data: []byte(`{"Ex`)}))
	r.ok(up.Send(&jobpb.UploadChunk{JobId: newID(), Data: []byte(`tra":"x"}`)}))
	_, err = up.CloseAndRecv()
	r.refused(err, errs.CodeBadInput, "job_id")
	if got := r.job(id); got.Status != jobs.Pending {
		t.Fatalf("a malformed upload decided the job: %+v", got)
	}
	if reply, err := m.upload(id, []byte("{\"Extra\":\"\xff\"}")); err != nil || reply.GetOutcome() != string(hooks.OutcomeFailed) || reply.GetCode() == "" {
		t.Errorf("not UTF-8: %v, %v", reply, err)
	}
	if len(r.results()) != 0 {
		t.Error("something of it is stored")
	}
}

// TestUploadOverTheSignedSize decides the job, also where the signed size is
// the largest of all.
func TestUploadOverTheSignedSize(t *testing.T) {
	for _, signed := range []int64{200_000, hooks.MaxResultBytes} {
		t.Run(strconv.FormatInt(signed, 10), func(t *testing.T) {
			r := newRig(t, jobserver.Times{})
			r.activateUpTo(signed)
			m := r.machine()
			_, j := m.asked()
			chunks := make([][]byte, signed/jobpb.MaxChunk+1)
			for i := range chunks {
				chunks[i] = make([]byte, jobpb.MaxChunk)
			}
			_, err := m.upload(j.GetId(), chunks...)
			r.refused(err, errs.CodeResultTooBig, strconv.FormatInt(signed, 10))
			if got := r.job(j.GetId()); got.Status != jobs.Failed || len(r.results()) != 0 {
				t.Errorf("job %+v, %d results", got, len(r.results()))
			}
			reply, err := m.upload(j.GetId(), chunks...) // in vain, and cut short
			r.ok(jobpb.FromStatus(err))
			if reply.GetCode() != string(errs.CodeResultTooBig) {
				t.Errorf("again: %v", reply)
			}
		})
	}
}

func TestUploadCutInTheMiddle(t *testing.T) {
	r := newRig(t, jobserver.Times{Idle: 300 * time.Millisecond})
	r.activate()
	m := r.machine()
	_, j := m.asked()
	fields := []byte(`{"Extra":"` + strings.Repeat("y", 100_000) + `"}`)
	begin := func(ctx context.Context) grpc.ClientStreamingClient[jobpb.UploadChunk, jobpb.UploadReply] {
		up, err := m.client.Upload(ctx)
		r.ok(err)
		r.ok(up.Send(&jobpb.UploadChunk{JobId: j.GetId(), Data: fields[:25_000]}))
		r.ok(up.Send(&jobpb.UploadChunk{Data: fields[25_000:50_000]}))
		return up
	}
	ctx, cut := context.WithCancel(t.Context())
	begin(ctx)
	r.until("the first bytes are reserved", func() bool {
		l, err := r.db.Leases(t.Context(), "", 10)
		return err == nil && len(l) == 1 && l[0].Reserved == 50_000
	})
	cut()

	// A peer that falls silent is cut by the server. Until the first upload
	// has gone, a second one is told to wait.
	r.until("an idle upload is cut", func() bool {
		err := begin(t.Context()).RecvMsg(&jobpb.UploadReply{})
		return err != nil && strings.Contains(err.Error(), "no chunk came")
	})
	if got := r.job(j.GetId()); got.Status != jobs.Pending || len(r.results()) != 0 {
		t.Fatalf("job %+v, %d results", got, len(r.results()))
	}
	reply, err := m.upload(j.GetId(), fields[:50_000], fields[50_000:])
	r.ok(err)
	if reply.GetOutcome() != string(hooks.OutcomeReceived) || string(r.results()[0].Fields) != string(fields) {
		t.Errorf("the whole upload: %v", reply)
	}
}
