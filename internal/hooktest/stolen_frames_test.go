package hooktest_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/jobpb"
	"hookline/signing/trust"
)

// frameTry is what a thief says over the stream that is no job for the guard.
// Nothing of it may stand in the machine's record as a decision.
type frameTry struct {
	does string
	ends bool // the machine hangs up, and comes back
	// greets: the same at the beginning of a stream
	greets bool
	code   errs.Code // how the machine answers the job, where it does
	say    func(t *testing.T, h *heist, m *target) (job string)
}

// brokenFrames end the stream.
func brokenFrames() []frameTry {
	frame := func(does string, message func() any) frameTry {
		return frameTry{does: does, ends: true, say: func(t *testing.T, _ *heist, m *target) string {
			m.say(t, message())
			return ""
		}}
	}
	return []frameTry{
		frame("garbage in place of a message", func() any { return garbage("\xff\xff\xff\xff\x07 no message") }),
		frame("a message that promises more than it has", func() any { return garbage("\x12\xff\xff\xff\xff\x0f{") }),
		frame("a message of 16 MiB", func() any { return trustMessage(bytes.Repeat([]byte("x"), 16<<20)) }),
		frame("a second welcome", func() any { return welcomes() }),
		{does: "a message of 32 MiB, packed into 32 KiB", ends: true, say: func(t *testing.T, _ *heist, m *target) string {
			m.pack(true)
			streams := m.opened()
			m.hangUp(t)
			m.reconnects(t, streams)
			m.pack(false)
			m.say(t, trustMessage(make([]byte, 32<<20)))
			m.reconnects(t, streams+1)
			return ""
		}},
		{does: "an end of the stream whose reason would steer the owner's terminal", ends: true, say: func(t *testing.T, _ *heist, m *target) string {
			m.say(t, status.Error(codes.Internal, "\x1b[2J\x07\u202eall is well\r"+strings.Repeat("x", 10_000)))
			eventually(t, patience, func() error {
				out, err := m.Do(t.Context(), "status")
				if err == nil && !strings.Contains(out, "all is well") {
					err = fmt.Errorf("the status does not say why:\n%s", out)
				}
				if strings.ContainsAny(out, "\x1b\x07\u202e\r") {
					t.Fatalf("the status has controls in it: %q", out)
				}
				return err
			})
			return ""
		}},
	}
}

// brokenGreetings are streams that begin with something else than a welcome.
func brokenGreetings() []frameTry {
	greeting := func(does string, messages func(t *testing.T, h *heist, m *target, job string) []any) frameTry {
		return frameTry{does: does, greets: true, say: func(t *testing.T, h *heist, m *target) string {
			job := newID(t)
			m.greet(messages(t, h, m, job)...)
			streams := m.opened()
			m.hangUp(t)
			m.met(t, streams)
			m.greet()
			m.reconnects(t, streams+1) // it hung up on the greeting, and came again
			return ""
		}}
	}
	return []frameTry{
		greeting("a job before the welcome", func(_ *testing.T, h *heist, m *target, job string) []any {
			return []any{jobMessage(job, h.stolen(m.original)), welcomes()}
		}),
		greeting("trust metadata before the welcome", func(_ *testing.T, h *heist, _ *target, _ string) []any {
			return []any{trustMessage(h.loot.trust), welcomes()}
		}),
		greeting("a welcome to another version of the protocol", func(*testing.T, *heist, *target, string) []any {
			return []any{&jobpb.ServerMessage{Body: &jobpb.ServerMessage_Welcome{Welcome: &jobpb.Welcome{Protocol: 99}}}}
		}),
	}
}

// strayMessages are well-formed, about things that there are not.
func strayMessages() []frameTry {
	ids := []string{"", "x", "../../guard/state", "01935B1E-0000-7000-8000-000000000000", "01935b1e-0000-7000-8000-000000000000", string(bytes.Repeat([]byte("9"), 1<<20))}
	each := func(does string, message func(id string, h *heist, m *target) any) frameTry {
		return frameTry{does: does, say: func(t *testing.T, h *heist, m *target) string {
			for _, id := range ids {
				m.say(t, message(id, h, m))
			}
			return ""
		}}
	}
	return []frameTry{
		each("cancels of jobs that are not this machine's, or none", func(id string, _ *heist, _ *target) any { return cancels(id) }),
		each("that a job was settled which never ended", func(id string, _ *heist, _ *target) any { return settles(id, "received") }),
		{does: "jobs whose ids are none: paths, capitals, a megabyte", say: func(t *testing.T, h *heist, m *target) string {
			for _, id := range slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == "01935b1e-0000-7000-8000-000000000000" }) {
				m.say(t, jobMessage(id, h.stolen(m.original)))
			}
			return ""
		}},
		{does: "trust metadata of more than 2 MiB, or of nothing", say: func(t *testing.T, _ *heist, m *target) string {
			m.say(t, trustMessage(bytes.Repeat([]byte("{"), trust.MaxBundleBytes+1)), trustMessage(nil))
			return ""
		}},
		{does: "empty messages, and those of a version to come", say: func(t *testing.T, _ *heist, m *target) string {
			m.say(t, &jobpb.ServerMessage{}, garbage("\xfa\x3e\x04next"))
			return ""
		}},
		{does: "1,500 messages without an end", say: func(t *testing.T, _ *heist, m *target) string {
			for i := range 1500 {
				m.say(t, cancels(fmt.Sprint(i)))
			}
			return ""
		}},
	}
}

// jobsThatAreNone are answered by the network side: the guard never sees them.
func jobsThatAreNone() []frameTry {
	job := func(does string, code errs.Code, change func(t *testing.T, run *jobpb.HookRun) *jobpb.HookRun) frameTry {
		return frameTry{does: does, code: code, say: func(t *testing.T, h *heist, m *target) string {
			return m.send(t, change(t, h.stolen(m.original)))
		}}
	}
	return []frameTry{
		{does: "a job of a kind that nobody knows", code: errs.CodeWorkloadUnknown, say: func(t *testing.T, _ *heist, m *target) string {
			id := newID(t)
			m.say(t, &jobpb.ServerMessage{Body: &jobpb.ServerMessage_Job{Job: &jobpb.Job{Id: id, TtlMs: 1000}}})
			return id
		}},
		job("a job with 17 signature files", errs.CodeTooLarge, func(_ *testing.T, run *jobpb.HookRun) *jobpb.HookRun {
			for len(run.Signatures) < 17 {
				run.Signatures = append(run.Signatures, run.Signatures[0])
			}
			return run
		}),
		job("a job with a script that is too long", errs.CodeTooLarge, func(_ *testing.T, run *jobpb.HookRun) *jobpb.HookRun {
			run.Script = bytes.Repeat([]byte("-"), hooks.MaxScriptBytes+1)
			return run
		}),
		job("a job with a report's id that is too long", errs.CodeTooLarge, func(_ *testing.T, run *jobpb.HookRun) *jobpb.HookRun {
			run.OriginalId = string(bytes.Repeat([]byte("0"), 65))
			return run
		}),
	}
}

func frameTries() []frameTry {
	return slices.Concat(brokenFrames(), brokenGreetings(), strayMessages(), jobsThatAreNone())
}

// Whatever comes over the stream, the network side drops it or hangs up, the
// guard decides about nothing, and the next job is served.
func stolenFrames(t *testing.T, h *heist, m *target) {
	before := m.records(t)
	for _, try := range frameTries() {
		t.Run(try.does, func(t *testing.T) {
			streams := m.opened()
			job := try.say(t, h, m)
			if try.ends {
				m.reconnects(t, streams)
			}
			if job == "" {
				return
			}
			if e := m.await(t, job); e.outcome != string(hooks.OutcomeRefused) || e.code != string(try.code) {
				t.Errorf("ended %+v, want a refusal with %s", e, try.code)
			}
		})
	}
	id := newID(t) // sent twice: it runs once
	m.say(t, jobMessage(id, h.stolen(m.original)), jobMessage(id, h.stolen(m.original)))
	e := m.await(t, id)
	if e.outcome != string(hooks.OutcomeReceived) {
		t.Errorf("after all that the real hook ended %+v", e)
	}
	for _, l := range m.records(t)[len(before):] {
		if l.Kind != "trust" && l.Kind != "answered" && l.JobID != id {
			t.Errorf("the record has a line of it: %+v", l)
		}
	}
	m.nothingElseRan(t, len(ran(before)), id)
}
