package guardwire

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"hookline/hooks"
)

// Op names what an owner's command asks of the guard.
type Op string

// The requests over the guard's unix socket, one a connection: a Request, then
// a Reply, each one frame. OpFile is for every local user where the owner
// lets reports be sent; the others are for root and the guard's own user.
const (
	OpFile      Op = "file"       // keep and send Report
	OpStatus    Op = "status"     // Status
	OpPending   Op = "pending"    // Pending
	OpAllowOnce Op = "allow-once" // the owner says yes to pending ID
	OpDeny      Op = "deny"       // the owner says no to pending ID
	OpAllow     Op = "allow"      // change the opt-ins, nil leaves one as it is; replies with Status
	OpLog       Op = "log"        // lines of the record after After, of JobID where given
)

// Request is one owner's request.
type Request struct {
	Op          Op           `json:"op"`
	ID          string       `json:"id,omitempty"`
	JobID       string       `json:"job_id,omitempty"`
	After       int64        `json:"after,omitempty"`
	Source      string       `json:"source,omitempty"` // of a report: "exec", "report"
	Report      hooks.Report `json:"report,omitempty"`
	SendReports *bool        `json:"send_reports,omitempty"`
	AllowHooks  *string      `json:"allow_hooks,omitempty"`
}

// Reply answers a Request; Code is "" where it was done.
type Reply struct {
	Code    string            `json:"code,omitempty"`
	Message string            `json:"message,omitempty"`
	Field   string            `json:"field,omitempty"`
	Hint    string            `json:"hint,omitempty"`
	ID      string            `json:"id,omitempty"` // of the filed report
	Status  *Status           `json:"status,omitempty"`
	Pending []Pending         `json:"pending,omitempty"`
	Allowed []Allowed         `json:"allowed,omitempty"` // to OpPending
	Lines   []json.RawMessage `json:"lines,omitempty"`
	More    bool              `json:"more,omitempty"` // ask again after the last line's seq
}

// Status is how a peer stands, for its owner.
type Status struct {
	Deployment   string    `json:"deployment"`
	PeerID       string    `json:"peer_id"`
	Profile      string    `json:"profile"`
	EnrolledAt   time.Time `json:"enrolled_at"`
	Trust        Trusting  `json:"trust"`
	Running      bool      `json:"running"` // the guard runs, not only its files were read
	Connected    bool      `json:"connected"`
	Trouble      string    `json:"trouble"` // why it is not connected
	SendReports  bool      `json:"send_reports"`
	AllowHooks   string    `json:"allow_hooks"`
	Outbox       int       `json:"outbox"`  // reports and results that the server has not confirmed
	Reports      int       `json:"reports"` // own copies kept
	Pending      int       `json:"pending"` // runs that wait for the owner
	Allowed      int       `json:"allowed"` // runs that the owner allowed and that have not come yet
	Runs         int       `json:"runs"`    // under way
	RecordLines  int64     `json:"record_lines"`
	RecordIntact bool      `json:"record_intact"`
}

// Trusting is what a peer trusts now, and how old that is.
type Trusting struct {
	RootDigest         string    `json:"root_digest"` // of the newest root, hex SHA-256
	RootVersion        int64     `json:"root_version"`
	PolicyDigest       string    `json:"policy_digest"`
	Revocations        int       `json:"revocations"`         // ever seen
	RevocationsVersion int64     `json:"revocations_version"` // the newest seen
	Role               string    `json:"role"`                // the metadata that expires first
	Expires            time.Time `json:"expires"`
	Share              float64   `json:"share"`             // of its life that has passed: 0 to 1, above where it is over
	Floor              time.Time `json:"floor"`             // the time that has passed for sure, whatever the clock says
	Refusal            string    `json:"refusal,omitempty"` // why no hook runs on its account
}

// Pending is a run that waits for the owner, with all that it would be
// allowed to do.
type Pending struct {
	ID         string          `json:"id"`
	JobID      string          `json:"job_id,omitempty"` // the hook job that was deferred for it
	Hook       string          `json:"hook"`
	Version    int64           `json:"version"`
	Digest     string          `json:"digest"`
	OriginalID string          `json:"original_id"`
	Author     string          `json:"author"`
	Reviewers  []string        `json:"reviewers"`
	Keys       []string        `json:"keys,omitempty"` // ids of the keys that they signed with
	As         string          `json:"as"`
	Reads      []string        `json:"reads"`
	Lists      []string        `json:"lists,omitempty"`
	Stats      []string        `json:"stats,omitempty"`
	Commands   []hooks.Command `json:"commands,omitempty"`
	Fields     []string        `json:"fields"` // "KernelTaint (technical, redacted)"
	AskedAt    time.Time       `json:"asked_at"`
	NotAfter   time.Time       `json:"not_after"`
}

// Allowed is a run that the owner said yes to and that has not come yet.
type Allowed struct {
	ID         string    `json:"id"` // the one it had as Pending
	Hook       string    `json:"hook"`
	Version    int64     `json:"version"`
	Digest     string    `json:"digest"`
	OriginalID string    `json:"original_id"`
	AllowedAt  time.Time `json:"allowed_at"`
	NotAfter   time.Time `json:"not_after"`
	WaitsFor   string    `json:"waits_for"` // in words: "a free slot"
}

// maxSocketPath is what fits the address of a unix socket, with its NUL.
const maxSocketPath = 107

// OwnerSocket returns a path by which the socket called name in dir can be
// bound and reached, however long dir's own path is. release is to be called
// when that is done.
func OwnerSocket(dir, name string) (path string, release func(), err error) {
	path = filepath.Join(dir, name)
	if len(path) < maxSocketPath {
		return path, func() {}, nil
	}
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", fd, name), func() { _ = unix.Close(fd) }, nil
}
