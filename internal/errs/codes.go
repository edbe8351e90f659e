package errs

// Code is a kebab-case refusal or outcome code.
type Code string

// Input and requests.
const (
	CodeInternal        Code = "internal"
	CodeBadInput        Code = "bad-input"
	CodeTooLarge        Code = "too-large"
	CodeNotFound        Code = "not-found"
	CodeConflict        Code = "conflict"
	CodeUnauthenticated Code = "unauthenticated"
	CodeForbidden       Code = "forbidden"
	CodeUnavailable     Code = "unavailable"
	CodeStorageFull     Code = "storage-full"
	CodeRateLimited     Code = "rate-limited"
)

// Hooks: manifest, script, statement, report.
const (
	CodeBadManifest          Code = "bad-manifest"
	CodeBadScript            Code = "bad-script"
	CodeBadReport            Code = "bad-report"
	CodeStatementMalformed   Code = "statement-malformed"
	CodeStatementUnknown     Code = "statement-version-unknown"
	CodeStatementLimit       Code = "statement-limit"
	CodeVersionTaken         Code = "version-taken"
	CodeTransitionNotAllowed Code = "transition-not-allowed"
	CodeBoundExceeded        Code = "bound-exceeded"
)

// Verification, on server and peer.
const (
	CodePolicyInvalid       Code = "policy-invalid"
	CodePolicyDigest        Code = "policy-digest-mismatch"
	CodeKeyInvalid          Code = "key-invalid"
	CodeSignatureMalformed  Code = "signature-malformed"
	CodeSignatureInvalid    Code = "signature-invalid"
	CodeSignerUnknown       Code = "signer-unknown"
	CodeSignerRole          Code = "signer-role"
	CodeAuthorMissing       Code = "author-signature-missing"
	CodeThresholdNotMet     Code = "threshold-not-met"
	CodeScriptDigest        Code = "script-digest-mismatch"
	CodeWrongDeployment     Code = "wrong-deployment"
	CodeNotYetValid         Code = "not-yet-valid"
	CodeExpired             Code = "expired"
	CodeLifetimeTooLong     Code = "lifetime-too-long"
	CodeCapabilityForbidden Code = "capability-forbidden"
	CodeRevoked             Code = "revoked"
	CodeKeyWindow           Code = "key-not-valid"
)

// Trust metadata, on server and peer.
const (
	CodeTrustRoot     Code = "trust-root-mismatch"
	CodeTrustInvalid  Code = "trust-metadata-invalid"
	CodeTrustSigned   Code = "trust-under-signed"
	CodeTrustRollback Code = "trust-rollback"
	CodeTrustMixed    Code = "trust-mixed"
	CodeTrustWeak     Code = "trust-weak"
	CodeTrustMissing  Code = "trust-missing"
	CodeTrustStale    Code = "trust-stale"
)

// The peer's own decisions.
const (
	CodeNotOptedIn          Code = "not-opted-in"
	CodeWaitsForOwner       Code = "waits-for-owner"
	CodeOriginalUnknown     Code = "original-unknown"
	CodeNoMatch             Code = "no-match"
	CodeNotInRollout        Code = "not-in-rollout"
	CodeRunLimit            Code = "run-limit"
	CodeVersionRollback     Code = "version-rollback"
	CodeOwnerCeiling        Code = "owner-ceiling"
	CodeWorkloadUnknown     Code = "workload-not-implemented"
	CodeJobDeadline         Code = "job-deadline-passed"
	CodeResultFieldExists   Code = "field-exists"
	CodeResultUndeclared    Code = "field-undeclared"
	CodeResultFieldType     Code = "field-type"
	CodeResultTooBig        Code = "result-too-big"
	CodeEnrollRefused       Code = "enroll-refused"
	CodeEnrollLine          Code = "enroll-line-invalid"
	CodeServerIdentity      Code = "server-identity"
	CodeNotEnrolled         Code = "not-enrolled"
	CodeOwnerDenied         Code = "owner-denied"
	CodeRunInterrupted      Code = "run-interrupted"
	CodeRunCancelled        Code = "run-cancelled"
	CodeGuardNotRunning     Code = "guard-not-running"
	CodeStateHeld           Code = "state-held"
	CodeRecordDamaged       Code = "record-damaged"
	CodeProtocolUnsupported Code = "protocol-unsupported"
)

// Sandbox outcomes other than a result.
const (
	CodeHookError         Code = "hook-error"         // a Lua error, the run is over
	CodeLimitTime         Code = "limit-time"         // wall clock or instruction budget
	CodeLimitMemory       Code = "limit-memory"       // heap, arrays, strings, registry
	CodeLimitCalls        Code = "limit-calls"        // brokered calls, bytes, frames
	CodeLimitResult       Code = "limit-result"       // field or result size
	CodeSandboxCrash      Code = "sandbox-crash"      // the worker died
	CodeSandboxKilled     Code = "sandbox-killed"     // the worker or broker was killed from outside
	CodeSandboxUnconfined Code = "sandbox-unconfined" // confinement could not be applied
	CodeDenied            Code = "denied"             // a brokered call outside the signed capabilities
	CodeLimitRead         Code = "limit-read"         // one read larger than its cap
	CodeLimitOutput       Code = "limit-output"       // a command printed more than its cap
	CodeCallFailed        Code = "call-failed"        // the allowed call itself failed (no such file)
)

// How hook jobs and leases end.
const (
	CodePeerNotConnected Code = "peer-not-connected"
	CodeTimedOut         Code = "timed-out"
	CodeLostLease        Code = "lost-before-store"
	CodeHookNotActive    Code = "hook-not-active"
	CodeQuantityReached  Code = "quantity"
	CodeDeadlineReached  Code = "deadline"
	CodeBytesReached     Code = "size"
	CodeErrorRate        Code = "error-rate"
	CodeAlreadyAsked     Code = "already-asked"
	CodePeerBusy         Code = "peer-busy"
	CodeLeasesOut        Code = "leases-out"
	CodeJobDecided       Code = "job-already-decided"
	CodePeerOptOut       Code = "peer-opted-out"
)
