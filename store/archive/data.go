package archive

import (
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/jobs"
	"hookline/review"
)

// The data of each kind: what its key does not say, without what follows from
// other members (the slot of a job, the match keys of a report).

type userData struct {
	CreatedAt    stamp       `json:"created_at"`
	Failures     int64       `json:"failures" archive:"later"`
	LastFailure  stamp       `json:"last_failure" archive:"later"`
	LastSignIn   stamp       `json:"last_sign_in" archive:"later"`
	Off          bool        `json:"off" archive:"later"`
	Password     string      `json:"password" archive:"later"`
	Roles        []auth.Role `json:"roles"`
	SessionsFrom stamp       `json:"sessions_from" archive:"later"`
}

type tokenData struct {
	CreatedAt    stamp          `json:"created_at"`
	ExpiresAt    stamp          `json:"expires_at"`
	Hash         []byte         `json:"hash"`
	Kind         auth.TokenKind `json:"kind"`
	Name         string         `json:"name"`
	SessionUntil stamp          `json:"session_until"`
	User         string         `json:"user"`
}

type peerData struct {
	AllowHooks  string   `json:"allow_hooks"`
	Arch        string   `json:"arch"`
	EnrolledAt  stamp    `json:"enrolled_at"`
	Epoch       int64    `json:"epoch"`
	Kernel      string   `json:"kernel"`
	Labels      []string `json:"labels" archive:"later"`
	Name        string   `json:"name"`
	OS          string   `json:"os"`
	Release     string   `json:"release"`
	Seen        stamp    `json:"seen"`
	SendReports bool     `json:"send_reports"`
	Server      string   `json:"server"`
	SPKI        string   `json:"spki"`
	Version     string   `json:"version"`
}

type versionData struct {
	Hook        string      `json:"hook"`
	Manifest    []byte      `json:"manifest"`
	Number      int64       `json:"number"`
	Script      []byte      `json:"script"`
	Signatures  [][]byte    `json:"signatures"`
	State       hooks.State `json:"state"`
	Statement   []byte      `json:"statement"`
	SubmittedAt stamp       `json:"submitted_at"`
	SubmittedBy string      `json:"submitted_by"`
}

type reviewData struct {
	At        stamp          `json:"at"`
	Comment   string         `json:"comment"`
	KeyID     string         `json:"key_id"`
	Person    string         `json:"person"`
	Signature []byte         `json:"signature"`
	User      string         `json:"user"`
	Verdict   review.Verdict `json:"verdict"`
}

type commentData struct {
	At         stamp       `json:"at"`
	Line       int64       `json:"line"`
	Parent     string      `json:"parent"`
	Part       review.Part `json:"part"`
	ResolvedAt stamp       `json:"resolved_at"`
	ResolvedBy string      `json:"resolved_by"`
	Text       string      `json:"text"`
	User       string      `json:"user"`
}

type activationData struct {
	ChangedAt stamp       `json:"changed_at"`
	CreatedAt stamp       `json:"created_at"`
	Deadline  stamp       `json:"deadline"`
	Hook      string      `json:"hook"`
	Keys      []string    `json:"keys"`
	Leases    []leaseData `json:"leases"`
	Ledger    ledgerData  `json:"ledger"`
	MaxBytes  int64       `json:"max_bytes"`
	Percent   int64       `json:"percent"`
	PerMinute int64       `json:"per_minute"`
	Quantity  int64       `json:"quantity"`
	Reason    string      `json:"reason"`
	State     hooks.State `json:"state"`
}

type leaseData struct {
	ID       string `json:"id"`
	Reserved int64  `json:"reserved"`
	TakenAt  stamp  `json:"taken_at"`
}

type ledgerData struct {
	Bytes     int64 `json:"bytes"`
	Cancelled int64 `json:"cancelled"`
	Deferred  int64 `json:"deferred"`
	Empty     int64 `json:"empty"`
	Failed    int64 `json:"failed"`
	Issued    int64 `json:"issued"`
	Leased    int64 `json:"leased"`
	Received  int64 `json:"received"`
	Refused   int64 `json:"refused"`
	Reserved  int64 `json:"reserved"`
	TimedOut  int64 `json:"timed_out"`
}

type jobData struct {
	AckedAt        stamp         `json:"acked_at"`
	Bytes          int64         `json:"bytes"`
	CompletedAt    stamp         `json:"completed_at"`
	CreatedAt      stamp         `json:"created_at"`
	Deadline       stamp         `json:"deadline"`
	Denied         int64         `json:"denied" archive:"later"`
	FailedCode     string        `json:"failed_code"`
	FailedText     string        `json:"failed_text"`
	Fingerprint    string        `json:"fingerprint"`
	Hook           string        `json:"hook"`
	HookError      string        `json:"hook_error"`
	OriginalID     string        `json:"original_id"`
	Outcome        hooks.Outcome `json:"outcome"`
	PackageVersion string        `json:"package_version" archive:"later"`
	PeerID         string        `json:"peer_id"`
	ProblemID      string        `json:"problem_id"`
	Release        string        `json:"release" archive:"later"`
	Report         hooks.Report  `json:"report"`
	SentAt         stamp         `json:"sent_at"`
	Status         jobs.Status   `json:"status"`
	TriggeredBy    string        `json:"triggered_by"`
	Version        string        `json:"version"`
	Workload       jobs.Workload `json:"workload"`
}

type problemData struct {
	Executable  string `json:"executable"`
	Fingerprint string `json:"fingerprint"`
	FirstSeen   stamp  `json:"first_seen"`
	LastSeen    stamp  `json:"last_seen"`
	Package     string `json:"package"`
	Reports     int64  `json:"reports"`
}

type resultData struct {
	Bytes     int64       `json:"bytes"`
	CreatedAt stamp       `json:"created_at"`
	Fields    []byte      `json:"fields"`
	Hook      string      `json:"hook"`
	JobID     string      `json:"job_id"`
	Level     hooks.Level `json:"level" archive:"later"`
	Package   string      `json:"package" archive:"later"`
	PeerID    string      `json:"peer_id"`
	ProblemID string      `json:"problem_id"`
	Version   string      `json:"version"`
}

type auditData struct {
	Action  string `json:"action"`
	Actor   string `json:"actor"`
	At      stamp  `json:"at"`
	Detail  string `json:"detail"`
	Outcome string `json:"outcome"`
	Target  string `json:"target"`
	TokenID string `json:"token_id"`
}
