// Package signing decides whether people signed a hook version: public keys,
// signature files, the policy, revocations, and Rules.Verify, which server,
// command line and peers share.
//
// The trust is in the policy, and the trust in the policy comes from outside
// (package signing/trust). Private keys live in signing/signer, which neither
// the server nor the peer links.
package signing

import (
	"crypto"
	"fmt"
	"strings"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
)

// Caps, checked before any cryptography.
const (
	MaxSignatureFileBytes = 128 << 10
	MaxSignatureFiles     = 16
	MaxPolicyBytes        = 64 << 10
	MaxPersons            = 256
	MaxKeysPerPerson      = 8
)

// KeyID is the hex SHA-256 of a key's SPKI DER; always recomputed, never
// taken from input.
type KeyID string

// Short is keyid16, the first 16 digits, used in file names.
func (id KeyID) Short() string { return string(id[:min(16, len(id))]) }

// PublicKey is a P-256 (or Ed25519) public key.
type PublicKey struct {
	ID   KeyID
	SPKI []byte // DER
	Key  crypto.PublicKey
}

// Role is what a person may do with signatures.
type Role string

// The roles of a policy.
const (
	RoleAuthor   Role = "author"
	RoleReviewer Role = "reviewer"
	RoleOperator Role = "operator"
	RoleRevoker  Role = "revoker"
)

// Profile is team or solo. Solo is the only one that runs with zero
// reviewers; its peers ask their owner before each run.
type Profile string

// The profiles.
const (
	ProfileTeam Profile = "team"
	ProfileSolo Profile = "solo"
)

// Person is somebody who may sign.
type Person struct {
	Name    string
	Roles   []Role
	Keys    []PublicKey
	Windows map[KeyID]Window // of keys that count for a time only
}

// Window is when a key counts: [From, Until), where a zero time is no bound.
// It is held against the time of the check, since nobody knows for sure when
// a signature was made.
type Window struct{ From, Until time.Time }

// Policy says who may sign and how many reviewers a hook needs. It is parsed
// from bytes whose SHA-256 is its identity.
type Policy struct {
	Deployment  string // "d-" + 32 hex digits
	Profile     Profile
	Persons     []Person
	Reviewers   int            // distinct reviewers that every hook needs; 0 only in solo
	Needs       map[string]int // more reviewers for a capability: "fs.read", "as.reporter", "as.root", "raw", "raw.FIELD", "class.CLASS"
	Forbidden   []string       // capabilities that nobody may use, same names
	MaxLifetime time.Duration  // not_after - not_before, at most 14 days
	Digest      string         // hex SHA-256 of the policy file's bytes
}

// Signer is one valid signature of a known person.
type Signer struct {
	Person string `json:"person"`
	KeyID  KeyID  `json:"key_id"`
}

// Standing is how far the signatures of a version have come.
type Standing struct {
	Author    Signer   `json:"author"`
	Reviewers []Signer `json:"reviewers"` // distinct persons other than the author
	Unknown   []KeyID  `json:"unknown"`   // hints of files whose key the policy does not know; never counted
	Void      []Void   `json:"void,omitempty"`
	Needed    int      `json:"needed"` // reviewers
}

// Void is a valid signature that does not count, and why: its key or this
// approval is revoked, or the key is outside its window.
type Void struct {
	Signer
	Code   errs.Code `json:"code"`
	Reason string    `json:"reason"`
}

// Met reports whether the threshold is reached.
func (s Standing) Met() bool { return len(s.Reviewers) >= s.Needed }

// String is the standing for people: "author alice, 1 of 2 reviewers: bob".
func (s Standing) String() string {
	names := make([]string, len(s.Reviewers))
	for i, r := range s.Reviewers {
		names[i] = r.Person
	}
	text := fmt.Sprintf("author %s, %d of %d reviewers", s.Author.Person, len(s.Reviewers), s.Needed)
	if len(names) > 0 {
		text += ": " + strings.Join(names, ", ")
	}
	return text
}

// Verified is a hook version whose signatures, threshold, script digest and
// deployment hold under a policy. Only Rules.Verify makes one; it owns the bytes
// that it verified, and those are the bytes to run.
type Verified struct {
	statement hooks.Statement
	digest    string
	script    []byte
	standing  Standing
	profile   Profile
}

// Statement is the signed statement.
func (v *Verified) Statement() hooks.Statement { return v.statement }

// Digest is the version digest.
func (v *Verified) Digest() string { return v.digest }

// Script is a copy of the verified script.
func (v *Verified) Script() []byte { return append([]byte(nil), v.script...) }

// Standing says who signed.
func (v *Verified) Standing() Standing { return v.standing }

// Profile is the policy's profile.
func (v *Verified) Profile() Profile { return v.profile }
