package hooks_test

import (
	"testing"

	"hookline/hooks"
	"hookline/internal/errs"
)

// failures places every code: what the end of a run that failed with it is.
var failures = map[hooks.Ending][]errs.Code{
	hooks.EndingHookError: {
		errs.CodeHookError, errs.CodeBadScript, errs.CodeCallFailed,
		errs.CodeResultFieldExists, errs.CodeResultUndeclared, errs.CodeResultFieldType,
	},
	hooks.EndingLimit: {
		errs.CodeLimitTime, errs.CodeLimitMemory, errs.CodeLimitCalls, errs.CodeLimitResult, errs.CodeLimitRead,
		errs.CodeLimitOutput, errs.CodeResultTooBig,
	},
	hooks.EndingDenied:  {errs.CodeDenied},
	hooks.EndingKilled:  {errs.CodeSandboxCrash, errs.CodeSandboxKilled},
	hooks.EndingRefused: {errs.CodeSandboxUnconfined},
	hooks.EndingCancelled: {
		errs.CodeRunCancelled, errs.CodeNotOptedIn, errs.CodeRevoked, errs.CodeKeyWindow, errs.CodeThresholdNotMet,
		errs.CodeSignerUnknown, errs.CodeSignerRole, errs.CodeCapabilityForbidden, errs.CodeLifetimeTooLong,
	},
	hooks.EndingFailed: {
		// What the hook brought could not be kept.
		errs.CodeStorageFull, errs.CodeTooLarge,
		errs.CodeInternal, errs.CodeRunInterrupted, errs.CodeBadInput, errs.CodeUnavailable, errs.CodeRateLimited,
		// These do not come with a run that failed.
		errs.CodeNotFound, errs.CodeConflict, errs.CodeUnauthenticated, errs.CodeForbidden, errs.CodeBadManifest, errs.CodeBadReport,
		errs.CodeStatementMalformed, errs.CodeStatementUnknown, errs.CodeStatementLimit, errs.CodeVersionTaken,
		errs.CodeTransitionNotAllowed, errs.CodeBoundExceeded, errs.CodePolicyInvalid, errs.CodePolicyDigest, errs.CodeKeyInvalid,
		errs.CodeSignatureMalformed, errs.CodeSignatureInvalid, errs.CodeAuthorMissing, errs.CodeScriptDigest, errs.CodeWrongDeployment, errs.CodeNotYetValid, errs.CodeExpired,
		errs.CodeWaitsForOwner, errs.CodeOriginalUnknown, errs.CodeNoMatch,
		errs.CodeNotInRollout, errs.CodeRunLimit, errs.CodeVersionRollback, errs.CodeOwnerCeiling, errs.CodeWorkloadUnknown,
		errs.CodeJobDeadline, errs.CodeEnrollRefused, errs.CodeEnrollLine, errs.CodeServerIdentity, errs.CodeNotEnrolled,
		errs.CodeOwnerDenied, errs.CodeGuardNotRunning, errs.CodeStateHeld, errs.CodeRecordDamaged, errs.CodeProtocolUnsupported,
		errs.CodePeerNotConnected, errs.CodeTimedOut, errs.CodeLostLease, errs.CodeHookNotActive, errs.CodeQuantityReached,
		errs.CodeDeadlineReached, errs.CodeBytesReached, errs.CodeErrorRate, errs.CodeAlreadyAsked, errs.CodePeerBusy,
		errs.CodeLeasesOut, errs.CodeJobDecided, errs.CodePeerOptOut,
		errs.CodeTrustRoot, errs.CodeTrustInvalid, errs.CodeTrustSigned, errs.CodeTrustRollback, errs.CodeTrustMixed, errs.CodeTrustWeak,
		errs.CodeTrustMissing, errs.CodeTrustStale,
	},
}

// A new code must be placed here, and in EndingOf where it is not failed.
func TestEndingOfEveryCode(t *testing.T) {
	placed := map[errs.Code]hooks.Ending{}
	for ending, codes := range failures {
		for _, code := range codes {
			if was, twice := placed[code]; twice {
				t.Errorf("%s is placed twice: %s, %s", code, was, ending)
			}
			placed[code] = ending
		}
	}
	for _, info := range errs.Table() {
		want, ok := placed[info.Code]
		if !ok {
			t.Errorf("%s is not placed: how does a run end that fails with it?", info.Code)
		} else if got := hooks.EndingOf(hooks.OutcomeFailed, info.Code); got != want {
			t.Errorf("failed with %s: %q, want %q", info.Code, got, want)
		}
		delete(placed, info.Code)
		// Only for a failure does the code matter.
		for outcome, want := range map[hooks.Outcome]hooks.Ending{
			"": "", hooks.OutcomeReceived: hooks.EndingSucceeded, hooks.OutcomeEmpty: hooks.EndingEmpty,
			hooks.OutcomeRefused: hooks.EndingRefused, hooks.OutcomeDeferred: hooks.EndingDeferred,
			hooks.OutcomeCancelled: hooks.EndingCancelled, hooks.OutcomeTimedOut: hooks.EndingTimedOut, "newer": hooks.EndingFailed,
		} {
			if got := hooks.EndingOf(outcome, info.Code); got != want {
				t.Errorf("%q with %s: %q, want %q", outcome, info.Code, got, want)
			}
		}
	}
	for code := range placed {
		t.Errorf("%s is no code", code)
	}
}

func TestEndingWords(t *testing.T) {
	for _, tc := range []struct {
		ending hooks.Ending
		denied int64
		want   string
	}{
		{hooks.EndingSucceeded, 0, "succeeded"},
		{hooks.EndingSucceeded, 1, "succeeded, 1 call denied"},
		{hooks.EndingEmpty, 2, "empty, 2 calls denied"},
		{hooks.EndingLimit, -1, "limit"},
		{"", 3, ""},
	} {
		if got := tc.ending.Words(tc.denied); got != tc.want {
			t.Errorf("%s with %d denied: %q, want %q", tc.ending, tc.denied, got, tc.want)
		}
	}
}
