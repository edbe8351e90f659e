package collector_test

import (
	"time"

	"hookline/hooks"
	"hookline/review"
)

// reviewVersion is an approved version as review would store it. The
// collector never looks at signatures, so that one file of any bytes will do.
func reviewVersion(digest string, v version, statement []byte, now time.Time) review.Version {
	return review.Version{
		Digest: digest, Hook: v.hook, Number: v.number, State: hooks.StateApproved,
		Manifest: v.manifest().YAML(), Script: []byte(script), Statement: statement,
		Signatures: [][]byte{[]byte("{}")}, SubmittedBy: "admin", SubmittedAt: now,
	}
}
