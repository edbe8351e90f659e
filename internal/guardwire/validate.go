package guardwire

import (
	"hookline/hooks"
	"hookline/internal/errs"
)

// Caps on the members of a message; the frame's own cap is MaxFrame.
const (
	MaxIDLength       = 64
	MaxReasonBytes    = 1000
	MaxSignatures     = 16
	MaxSignatureBytes = 128 << 10
	MaxDenied         = 5000 // as many calls as a run may make
	MaxCABytes        = 64 << 10
)

// members says which parts a kind must have; every other part must be absent.
type members struct {
	job, run, state, file, finish, claim, trust bool
}

func membersOf(k Kind) (members, bool) {
	switch k {
	case KindConnected, KindDisconnected:
		return members{}, true
	case KindRun:
		return members{job: true, run: true}, true
	case KindCancel, KindFiled, KindFinished, KindAck:
		return members{job: true}, true
	case KindState:
		return members{state: true}, true
	case KindFile:
		return members{file: true}, true
	case KindFinish:
		return members{job: true, finish: true}, true
	case KindClaim:
		return members{claim: true}, true
	case KindTrust:
		return members{trust: true}, true
	}
	return members{}, false
}

// Validate checks that a message has exactly the members of its kind, each
// within its cap. What they mean is for the receiver to judge.
func (m Message) Validate() error {
	want, known := membersOf(m.Kind)
	if !known {
		return errs.New(errs.CodeBadInput, "unknown kind of message %.40q", string(m.Kind)).At("kind")
	}
	have := members{
		job: m.JobID != "", run: m.Run != nil, state: m.State != nil,
		file: m.File != nil, finish: m.Finish != nil, claim: m.Claim != nil, trust: m.Trust != nil,
	}
	if have != want {
		return errs.New(errs.CodeBadInput, "a message of kind %s has the wrong members", m.Kind)
	}
	return m.checkSizes()
}

func (m Message) checkSizes() error {
	for _, c := range []struct {
		field     string
		size, max int
	}{
		{"job_id", len(m.JobID), MaxIDLength},
		{"code", len(m.Code), MaxIDLength},
		{"reason", len(m.Reason), MaxReasonBytes},
	} {
		if c.size > c.max {
			return tooLarge(c.field, c.size, c.max)
		}
	}
	switch {
	case m.Run != nil:
		return m.Run.Validate()
	case m.State != nil && len(m.State.CA) > MaxCABytes:
		return tooLarge("state.ca", len(m.State.CA), MaxCABytes)
	case m.File != nil && (m.File.ID == "" || len(m.File.ID) > MaxIDLength):
		return errs.New(errs.CodeBadInput, "must have 1 to %d bytes", MaxIDLength).At("file.id")
	case m.File != nil && len(m.File.Report) > hooks.MaxReportFields:
		return tooLarge("file.report", len(m.File.Report), hooks.MaxReportFields)
	case m.Finish != nil && (m.Finish.Denied < 0 || m.Finish.Denied > MaxDenied):
		return errs.New(errs.CodeBadInput, "must be 0 to %d", MaxDenied).At("finish.denied")
	case m.Finish != nil && len(m.Finish.Fields) > hooks.MaxResultBytes:
		return tooLarge("finish.fields", len(m.Finish.Fields), hooks.MaxResultBytes)
	}
	return nil
}

// Validate checks the caps of a hook job, before anything is decoded.
func (r Run) Validate() error {
	if len(r.Statement) > hooks.MaxStatementBytes {
		return tooLarge("run.statement", len(r.Statement), hooks.MaxStatementBytes)
	}
	if len(r.Script) > hooks.MaxScriptBytes {
		return tooLarge("run.script", len(r.Script), hooks.MaxScriptBytes)
	}
	if len(r.OriginalID) > MaxIDLength {
		return tooLarge("run.original_id", len(r.OriginalID), MaxIDLength)
	}
	if len(r.Signatures) > MaxSignatures {
		return tooLarge("run.signatures", len(r.Signatures), MaxSignatures)
	}
	for _, s := range r.Signatures {
		if len(s) > MaxSignatureBytes {
			return tooLarge("run.signatures", len(s), MaxSignatureBytes)
		}
	}
	return nil
}

func tooLarge(field string, size, limit int) error {
	return errs.New(errs.CodeTooLarge, "%d is over the limit of %d", size, limit).At(field)
}
