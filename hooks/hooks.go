// Package hooks is the domain of Hookline: reports and their fingerprints,
// hook manifests, the statement that everybody signs, matching, activations
// with their exact ledger, and the one state machine of a hook version.
//
// It imports no other package of the project but errs and strict, does no
// input or output, and takes every time as an argument.
package hooks

// Caps of the domain. Everything that can grow has one.
const (
	MaxScriptBytes       = 64 << 10 // a hook.lua
	MaxManifestBytes     = 64 << 10 // a hook.yaml
	MaxStatementBytes    = 64 << 10 // the canonical JSON that is signed
	MaxStatementDepth    = 6        // JSON nesting of a statement
	MaxStatementValues   = 4096     // JSON values in a statement
	MaxNameLength        = 64       // a hook name: [a-z0-9] with inner dashes
	MaxFieldNameLength   = 128      // a field name
	MaxFingerprintLength = 2048     // a fingerprint, percent-encoded
	MaxFingerprints      = 64       // raw fingerprints in one match
	MaxPaths             = 64       // paths of one capability
	MaxPathLength        = 512
	MaxResultFields      = 64      // fields that one hook may declare
	MaxReportFields      = 1000    // fields of one report
	MaxReportBytes       = 1 << 20 // canonical JSON of one report
	MaxInteger           = 1<<53 - 1

	// Upper bounds of the signed limits; a policy may set lower ones.
	MaxReports        = 100_000
	MaxRunsPerPeer    = 1_000
	MaxTotalBytes     = 1 << 30
	MaxResultBytes    = 1 << 20
	MaxRuntimeSeconds = 10
)
