package errs

// Info describes one code for people; docs/refusals.md is made from it.
type Info struct {
	Code    Code
	Kind    Kind
	Meaning string
	Remedy  string
}

// Table lists every code once, in the order of codes.go.
func Table() []Info { //nolint:funlen // one list
	return []Info{
		{CodeInternal, Internal, "Something broke inside; the whole error stands in the log of the process that answered.", "Try again; if it stays, look up the request id in the server's log."},
		{CodeBadInput, Invalid, "A request, file or message is malformed; the field is named.", "Correct the named field."},
		{CodeTooLarge, TooLarge, "The input is larger than its cap.", "Send less; the message names the cap."},
		{CodeNotFound, NotFound, "There is nothing with that id.", "List the ids with the matching `list` command."},
		{CodeConflict, Conflict, "Somebody else changed it first, or it exists already.", "Look at it again, then repeat the action if it still makes sense."},
		{CodeUnauthenticated, Unauthenticated, "No token, or one that is unknown or expired.", "Sign in again: `hookline login`."},
		{CodeForbidden, Forbidden, "Your roles do not allow this.", "Ask an admin for the role that the message names."},
		{CodeUnavailable, Unavailable, "The server cannot answer now.", "Wait for the time that Retry-After gives, then try again."},
		{CodeStorageFull, Unavailable, "The disk of the server or peer is full; nothing was stored.", "Free space; it carries on by itself."},
		{CodeRateLimited, TooMany, "Too many requests, or only other uploads' reservations are in the way.", "Wait a little and try again."},
		{CodeBadManifest, Invalid, "hook.yaml is malformed or says something that is not allowed; line and column are named.", "Correct the line; `hookline hook lint` shows all findings."},
		{CodeBadScript, Invalid, "hook.lua is too big, not UTF-8, does not compile, or lint finds errors in it.", "Correct the line; `hookline hook lint` shows all findings."},
		{CodeBadReport, Invalid, "A report is malformed, too big, or has a field that is not allowed.", "Correct the named field; a report is a JSON object of strings."},
		{CodeStatementMalformed, Invalid, "The signed statement is not in its one canonical form.", "Build it with `hookline hook submit`; on a peer it means that somebody changed it."},
		{CodeStatementUnknown, Invalid, "The statement has a predicate version that this build does not know.", "Upgrade this side."},
		{CodeStatementLimit, Invalid, "A limit in the statement is missing, zero, or beyond its cap.", "Set the named limit; there is no unlimited."},
		{CodeVersionTaken, Conflict, "That version number of the hook exists already.", "Submit again: the command takes the next number."},
		{CodeTransitionNotAllowed, Conflict, "The version's state does not allow this.", "Look at its state: `hookline hook show`."},
		{CodeBoundExceeded, Invalid, "An activation asks for more than people signed.", "Stay within the signed bound that the message names, or submit a new version."},
		{CodePolicyInvalid, Invalid, "The policy file is malformed or contradicts itself.", "Correct the named line; `hookline policy check` shows it."},
		{CodePolicyDigest, Invalid, "The policy is not the one that was expected.", "Get the right policy file; `hookline trust show` prints the digest of the one in force."},
		{CodeKeyInvalid, Invalid, "A key is malformed, of an unknown kind, or the passphrase is wrong.", "Use a P-256 key as `hookline key generate` or cosign makes them."},
		{CodeSignatureMalformed, Invalid, "A signature file is not a sigstore bundle v0.3 with exactly one DSSE signature.", "Sign again with `hookline review approve` or cosign."},
		{CodeSignatureInvalid, Invalid, "A signature does not hold over these bytes.", "Fetch the version again; if it stays, somebody changed the statement."},
		{CodeSignerUnknown, Forbidden, "The policy does not know the key.", "Have the key added to the policy offline."},
		{CodeSignerRole, Forbidden, "The person may not sign in this role, or has already signed, or is the author.", "Let another person sign."},
		{CodeAuthorMissing, Forbidden, "The author's own signature is not among the files.", "Submit again with the author's key."},
		{CodeThresholdNotMet, Forbidden, "Fewer distinct reviewers signed than the policy asks for.", "Ask for the missing approvals."},
		{CodeScriptDigest, Forbidden, "The script is not the one that people signed.", "Fetch the version again; on a peer it means that somebody changed the script."},
		{CodeWrongDeployment, Forbidden, "The statement was signed for another deployment.", "Submit it to the deployment that it names."},
		{CodeNotYetValid, Forbidden, "The statement's not_before is in the future.", "Wait, or check the clock."},
		{CodeExpired, Forbidden, "The statement's not_after has passed.", "Submit a new version."},
		{CodeLifetimeTooLong, Forbidden, "The statement lives longer than the policy allows.", "Shorten limits.lifetime."},
		{CodeCapabilityForbidden, Forbidden, "The policy forbids a capability, identity or raw field that the hook asks for.", "Remove it from hook.yaml, or change the policy offline."},
		{CodeRevoked, Forbidden, "Somebody revoked the hook, the version, the key or the approval; that is for ever.", "Read the reason that the message gives; submit a new version signed with other keys, or a hook of another name."},
		{CodeKeyWindow, Forbidden, "The policy lets the key count at another time only.", "Sign with a key that counts now, or have its window changed offline: `hookline trust replace`."},
		{CodeTrustRoot, Forbidden, "The trust metadata does not come from the root that this machine was enrolled with.", "Check the deployment; only root on the machine can pin another: `hookline-peer enroll --replace`."},
		{CodeTrustInvalid, Invalid, "Trust metadata is malformed, too big, or contradicts itself.", "Publish the offline folder again: `hookline trust publish`."},
		{CodeTrustSigned, Forbidden, "Too few of the right keys signed the trust metadata.", "Let the missing people run `hookline trust sign`, then publish."},
		{CodeTrustRollback, Forbidden, "The trust metadata is older than what was seen before.", "Publish the newest offline folder; if it is, somebody replays an old one."},
		{CodeTrustMixed, Forbidden, "The parts of the trust metadata do not belong together.", "Run `hookline trust freshen`, then publish; if it stays, somebody mixes them."},
		{CodeTrustWeak, Forbidden, "Fewer people could change the policy than the policy asks for to run a hook.", "Raise the thresholds of root and targets: `hookline trust rotate`."},
		{CodeTrustMissing, Forbidden, "A part of the trust metadata is missing.", "Publish the whole offline folder: `hookline trust publish`."},
		{CodeTrustStale, Forbidden, "The trust metadata is too old: a revocation may be hidden. Reports are still sent; hooks do not run.", "Run `hookline trust freshen` and publish; on the peer, check the connection and the clock."},
		{CodeNotOptedIn, Forbidden, "The owner of the machine has not allowed this.", "On that machine: `hookline-peer allow --hooks=ask` (or `yes`), `--send-reports=yes`."},
		{CodeWaitsForOwner, Forbidden, "The owner of the machine is asked before a run; nothing has run yet.", "On that machine: `hookline-peer pending`, then `hookline-peer allow-once ID`."},
		{CodeOriginalUnknown, NotFound, "The peer has no copy of the original job.", "None: the copy was removed or never filed by this peer."},
		{CodeNoMatch, Forbidden, "The hook's match does not cover the peer's own copy of the original.", "Look at the match with `hookline hook explain`."},
		{CodeNotInRollout, Forbidden, "The peer is outside the signed percentage.", "None: that is what the percentage means."},
		{CodeRunLimit, Forbidden, "The version has run on this peer as often as people signed.", "Submit a new version to run it again."},
		{CodeVersionRollback, Forbidden, "The peer has run a newer version of this hook.", "Activate the newest version."},
		{CodeOwnerCeiling, Forbidden, "The hook asks for more than the owner's own ceilings allow.", "The owner decides: `ceilings` in the peer's config.yaml; hooks as root and commands that read the kernel's log need a `yes` there."},
		{CodeWorkloadUnknown, Invalid, "The peer does not know this kind of job.", "Upgrade hookline-peer."},
		{CodeJobDeadline, Forbidden, "The job's deadline passed before it could run.", "None: a job is never retried by itself."},
		{CodeResultFieldExists, Invalid, "The hook set a field that the original report already has.", "Give the field another name: only new fields come back."},
		{CodeResultUndeclared, Invalid, "The hook set a field that its manifest does not declare.", "Declare it under fields in hook.yaml."},
		{CodeResultFieldType, Invalid, "A field's value is not of its declared type.", "Set a value of the declared type."},
		{CodeResultTooBig, TooLarge, "A field or the whole result is larger than signed.", "Bring less, or raise max_bytes in a new version."},
		{CodeEnrollRefused, Forbidden, "The server does not take this peer.", "Check the setup key in the enroll line; print a new line with `hookline enroll-line`."},
		{CodeEnrollLine, Invalid, "The enroll line is malformed or of an unknown version.", "Copy the whole line again."},
		{CodeServerIdentity, Forbidden, "The server's certificate does not come from the CA that the enroll line pins.", "Do not go on: check the address, and the CA digest with the person who gave the line."},
		{CodeNotEnrolled, NotFound, "This machine is not enrolled yet.", "Run `hookline-peer enroll LINE`."},
		{CodeOwnerDenied, Forbidden, "The owner of the machine said no to this run.", "None: the owner's no stays for this version and report."},
		{CodeRunInterrupted, Unavailable, "The peer stopped while the hook ran; nothing of the run was kept.", "None: a job is never retried by itself."},
		{CodeRunCancelled, Conflict, "The run was cancelled before it ended; nothing of it was kept.", "None: the server or the owner stopped it."},
		{CodeGuardNotRunning, Unavailable, "The guard of this machine is not running.", "Start it: `hookline-peer run`."},
		{CodeStateHeld, Conflict, "Another process of hookline-peer holds the state folder.", "One `hookline-peer run` is enough for a folder: stop that one first, or give another --state."},
		{CodeRecordDamaged, Internal, "The peer's record was changed, cut or damaged on disk.", "Look who can write to the peer's state folder; the record goes on from here."},
		{CodeProtocolUnsupported, Invalid, "Peer and server speak different protocol versions.", "Upgrade the older side."},
		{CodeHookError, Invalid, "The hook's Lua raised an error; the line is named.", "Correct the script; `hookline hook test` replays it."},
		{CodeLimitTime, Invalid, "The hook reached its time or instruction limit.", "Do less, or raise max_runtime in a new version; one command has 1.5 s."},
		{CodeLimitMemory, Invalid, "The hook reached its memory limit.", "Keep less in memory."},
		{CodeLimitCalls, Invalid, "The hook made too many calls or moved too many bytes.", "Read fewer files."},
		{CodeLimitResult, Invalid, "The hook set more or larger fields than the caps allow.", "Bring less."},
		{CodeSandboxCrash, Internal, "The worker process died; nothing of the run was kept.", "Try the hook with `hookline hook test`; report it if it stays."},
		{CodeSandboxKilled, Internal, "The worker or the broker of the run was killed from outside, by somebody or by a system that was short of memory; nothing of the run was kept.", "Look at the machine's log of that minute; the job is not retried by itself."},
		{CodeSandboxUnconfined, Unavailable, "The sandbox could not confine itself, so nothing was run.", "Use a kernel with landlock and seccomp (Linux 5.13 or newer)."},
		{CodeDenied, Forbidden, "The hook asked for something outside its signed capabilities.", "Declare it in hook.yaml if it is really needed."},
		{CodeLimitRead, TooLarge, "One read is larger than its cap.", "Read a smaller file."},
		{CodeLimitOutput, TooLarge, "A command printed more than its cap.", "Use options that print less."},
		{CodeCallFailed, NotFound, "An allowed call failed, for example because the file does not exist.", "Handle the error with pcall."},
		{CodePeerNotConnected, Unavailable, "The peer had no stream when the job was made.", "None: the peer is asked again when it says hello."},
		{CodeTimedOut, Unavailable, "The job was pending past its deadline.", "Look at the peer: `hookline peer show`."},
		{CodeLostLease, Internal, "A crash came between lease and job; the lease was given back.", "None."},
		{CodeHookNotActive, Conflict, "The version is not active.", "Activate it: `hookline hook activate`."},
		{CodeQuantityReached, Conflict, "The activation has, or has asked for, as many results as it may.", "Raise the quantity within the signed max_reports."},
		{CodeDeadlineReached, Conflict, "The activation's deadline has passed.", "Activate again with a later deadline within the signed not_after."},
		{CodeBytesReached, Conflict, "The results together reached the signed max_bytes.", "Submit a new version with a larger max_bytes."},
		{CodeErrorRate, Conflict, "Too many runs ended without a result; the activation was paused.", "Look at the failed jobs, then activate again or submit a new version."},
		{CodeAlreadyAsked, Conflict, "This version was already asked for this original job.", "Look at the hook job that the message names."},
		{CodePeerBusy, TooMany, "The peer has as many pending hook jobs as it may.", "Wait until they end."},
		{CodeLeasesOut, TooMany, "The activation has as many leases out as it may.", "Wait until some settle."},
		{CodeJobDecided, Conflict, "The job has already ended.", "None: the first decision stands."},
		{CodePeerOptOut, Forbidden, "The peer said in its hello that its owner allows no hooks.", "The owner decides: `hookline-peer allow --hooks=ask` on that machine."},
	}
}

// Kind is the kind of a listed code; Internal for any other.
func (c Code) Kind() Kind {
	for _, info := range Table() {
		if info.Code == c {
			return info.Kind
		}
	}
	return Internal
}
