package hooks

import (
	"fmt"

	"hookline/internal/errs"
)

// Ending tells in one word how a hook job ended, finer than Outcome, which is
// what the ledger counts. It is derived wherever it is shown, and never sent.
type Ending string

// The endings. A job that has not ended has none.
const (
	EndingSucceeded Ending = "succeeded"  // new fields came
	EndingEmpty     Ending = "empty"      // it ran and found nothing to add
	EndingHookError Ending = "hook-error" // the script is wrong, raised an error, or set a field that it may not set so
	EndingLimit     Ending = "limit"      // it reached a limit; the reason says which and how much
	EndingDenied    Ending = "denied"     // it asked for what was not signed; the reason says what
	EndingKilled    Ending = "killed"     // its processes died or were ended from outside
	EndingRefused   Ending = "refused"    // it did not run; the reason says why
	EndingDeferred  Ending = "deferred"   // it waits for the owner of the machine
	EndingCancelled Ending = "cancelled"  // it was called off
	EndingTimedOut  Ending = "timed-out"  // the peer did not answer in time
	EndingFailed    Ending = "failed"     // anything else, such as a full disk
)

// EndingOf classifies the end of a hook job; code is that of its refusal or
// failure. It is "" for a job that has not ended.
func EndingOf(o Outcome, code errs.Code) Ending {
	switch o {
	case "":
		return ""
	case OutcomeReceived:
		return EndingSucceeded
	case OutcomeEmpty:
		return EndingEmpty
	case OutcomeRefused:
		return EndingRefused
	case OutcomeDeferred:
		return EndingDeferred
	case OutcomeCancelled:
		return EndingCancelled
	case OutcomeTimedOut:
		return EndingTimedOut
	case OutcomeFailed:
		return endingOfFailure(code)
	}
	return EndingFailed // of a newer version
}

// endingOfFailure tells failures apart by their code.
func endingOfFailure(code errs.Code) Ending {
	switch code { //nolint:exhaustive // the others come with no run, or are failures and no more
	case errs.CodeHookError, errs.CodeBadScript, errs.CodeCallFailed,
		errs.CodeResultUndeclared, errs.CodeResultFieldExists, errs.CodeResultFieldType:
		return EndingHookError
	case errs.CodeLimitTime, errs.CodeLimitMemory, errs.CodeLimitCalls, errs.CodeLimitResult, errs.CodeLimitRead,
		errs.CodeLimitOutput, errs.CodeResultTooBig:
		return EndingLimit
	case errs.CodeDenied:
		return EndingDenied
	case errs.CodeSandboxCrash, errs.CodeSandboxKilled:
		return EndingKilled
	case errs.CodeSandboxUnconfined: // no Lua ran
		return EndingRefused
	case errs.CodeRunCancelled, errs.CodeNotOptedIn, // by the server; by an owner who said no meanwhile
		// By people, who took back what it stood on while it ran.
		errs.CodeRevoked, errs.CodeKeyWindow, errs.CodeThresholdNotMet, errs.CodeSignerUnknown, errs.CodeSignerRole,
		errs.CodeCapabilityForbidden, errs.CodeLifetimeTooLong:
		return EndingCancelled
	}
	return EndingFailed
}

// Words are the ending with the calls that were refused on the way, which a
// hook can catch: "succeeded, 2 calls denied".
func (e Ending) Words(denied int64) string {
	switch {
	case denied <= 0 || e == "":
		return string(e)
	case denied == 1:
		return string(e) + ", 1 call denied"
	}
	return fmt.Sprintf("%s, %d calls denied", e, denied)
}
