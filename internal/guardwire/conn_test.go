package guardwire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hookline/hooks"
	"hookline/internal/errs"
)

func messages() []Message {
	return []Message{
		{Kind: KindConnected},
		{Kind: KindDisconnected, Code: "unavailable", Reason: "the server <stopped> & \u2028 went"},
		{Kind: KindRun, JobID: "j1", Run: &Run{
			OriginalID: "o1", Deadline: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC),
			Statement: []byte(`{"a":1}`), Script: []byte("return {}"), Signatures: [][]byte{[]byte("s1"), []byte("s2")},
		}},
		{Kind: KindRun, JobID: "j2", Run: &Run{}},
		{Kind: KindCancel, JobID: "j1", Reason: "disabled"},
		{Kind: KindFiled, JobID: "r1"},
		{Kind: KindFinished, JobID: "j1", Code: "job-already-decided"},
		{Kind: KindAck, JobID: "j1"},
		{Kind: KindState, State: &State{Facts: hooks.Facts{OS: "linux"}, SendReports: true, AllowHooks: "ask"}},
		{Kind: KindFile, File: &File{ID: "r1", Report: hooks.Report{"Signal": "6", "Stderr": "<a>\n\x01"}}},
		{Kind: KindFinish, JobID: "j1", Finish: &Finish{Outcome: hooks.OutcomeReceived, Fields: []byte(`{"K":"v"}`)}},
		{Kind: KindClaim, Claim: &Claim{Version: "v", OriginalID: "o"}},
		{Kind: KindTrust, Trust: &Trust{Bundle: []byte(`{"roots":[]}`)}},
		{Kind: KindState, State: &State{AllowHooks: "no", CA: []byte("-----BEGIN")}},
	}
}

func TestRoundTripOverPair(t *testing.T) {
	guard, file, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	network, err := FromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = guard.Close() }()
	go func() {
		for _, m := range messages() {
			if err := network.Write(m); err != nil {
				t.Errorf("write %s: %v", m.Kind, err)
			}
		}
		_ = network.Close()
	}()
	for _, want := range messages() {
		got, err := guard.Read()
		if err != nil {
			t.Fatalf("read %s: %v", want.Kind, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", want.Kind, d)
		}
	}
	if _, err := guard.Read(); !errors.Is(err, io.EOF) {
		t.Errorf("after close: %v", err)
	}
}

func TestWritesDoNotMix(t *testing.T) {
	guard, file, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	network, err := FromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	report := hooks.Report{"Text": strings.Repeat("x", 200_000)}
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for range 4 {
				if err := network.Write(Message{Kind: KindFile, File: &File{ID: "r", Report: report}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	go func() { writers.Wait(); _ = network.Close() }()
	n := 0
	for ; ; n++ {
		if _, err := guard.Read(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n != 32 {
		t.Errorf("%d messages of 32", n)
	}
	_ = guard.Close()
}

func frame(body string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

func TestBadFrames(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []byte
		code errs.Code
		text string
	}{
		{"empty frame", frame(""), errs.CodeTooLarge, "0 bytes"},
		{"huge length", []byte{0xff, 0xff, 0xff, 0xff}, errs.CodeTooLarge, "4294967295"},
		{"one over", binary.BigEndian.AppendUint32(nil, MaxFrame+1), errs.CodeTooLarge, ""},
		{"cut header", []byte{0, 0}, errs.CodeBadInput, "length"},
		{"cut body", frame(`{"kind":"connected"}`)[:9], errs.CodeBadInput, ""},
		{"unknown key", frame(`{"kind":"connected","x":1}`), errs.CodeBadInput, "x"},
		{"case variant", frame(`{"KIND":"connected"}`), errs.CodeBadInput, "canonical"},
		{"doubled key", frame(`{"kind":"x","kind":"connected"}`), errs.CodeBadInput, "canonical"},
		{"space", frame(`{"kind": "connected"}`), errs.CodeBadInput, "canonical"},
		{"trailing", frame(`{"kind":"connected"}{}`), errs.CodeBadInput, "canonical"},
		{"not UTF-8", frame("{\"kind\":\"\xff\"}"), errs.CodeBadInput, "UTF-8"},
		{"not JSON", frame(`kind`), errs.CodeBadInput, "decode"},
		{"null", frame(`null`), errs.CodeBadInput, ""},
		{"unknown kind", frame(`{"kind":"shutdown"}`), errs.CodeBadInput, "shutdown"},
		{"run without run", frame(`{"kind":"run","job_id":"j"}`), errs.CodeBadInput, "members"},
		{"ack without job", frame(`{"kind":"ack"}`), errs.CodeBadInput, "members"},
		{"ack with claim", frame(`{"kind":"ack","job_id":"j","claim":{"version":"","original_id":""}}`), errs.CodeBadInput, "members"},
		{"long id", frame(`{"kind":"ack","job_id":"` + strings.Repeat("j", 65) + `"}`), errs.CodeTooLarge, "job_id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := NewConn(nopCloser{bytes.NewBuffer(c.in)}).Read()
			if !errs.Is(err, c.code) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v (%s), want %s with %q", err, errs.CodeOf(err), c.code, c.text)
			}
		})
	}
}

func TestWriteRefusesBeforeTheFirstByte(t *testing.T) {
	big := Message{Kind: KindRun, JobID: "j", Run: &Run{Script: make([]byte, hooks.MaxScriptBytes+1)}}
	wide := Message{Kind: KindFile, File: &File{ID: "r", Report: hooks.Report{"T": strings.Repeat("x", MaxFrame)}}}
	for _, m := range []Message{big, wide, {Kind: KindRun}, {}} {
		var out bytes.Buffer
		if err := NewConn(nopCloser{&out}).Write(m); err == nil || out.Len() != 0 {
			t.Errorf("%s: error %v, %d bytes written", m.Kind, err, out.Len())
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, m := range messages() {
		var b bytes.Buffer
		if err := WriteFrame(&b, m); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := NewConn(nopCloser{bytes.NewBuffer(bytes.Clone(in))}).Read()
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := NewConn(nopCloser{&again}).Write(m); err != nil {
			t.Fatalf("accepted but not writable: %v", err)
		}
		if !bytes.HasPrefix(in, again.Bytes()) {
			t.Fatalf("accepted a second form of %q", again.Bytes())
		}
	})
}

type nopCloser struct{ io.ReadWriter }

func (nopCloser) Close() error { return nil }
