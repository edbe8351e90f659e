// Package guardwire is the framed protocol between the network side of
// hookline-peer and its guard, over one socketpair, and between the owner's
// commands and the guard, over its unix socket.
//
// A frame is a 4-byte big-endian length and that many bytes of JSON: one
// Message. Each side treats the other's frames as hostile input. A frame over
// MaxFrame, an unknown kind or an unknown key ends the connection.
package guardwire

import (
	"time"

	"hookline/hooks"
)

// MaxFrame is the largest frame in bytes.
const MaxFrame = 4 << 20

// Kind names a message.
type Kind string

// Messages of the network side to the guard.
const (
	KindConnected    Kind = "connected"    // the stream is open
	KindDisconnected Kind = "disconnected" // the stream is gone, Reason says why
	KindRun          Kind = "run"          // a hook job, raw bytes as they came
	KindCancel       Kind = "cancel"       // JobID
	KindFiled        Kind = "filed"        // the server has the report ID; or Code and Reason where it refused it for good
	KindFinished     Kind = "finished"     // the server has the end of JobID (stored), or Code and Reason
	KindTrust        Kind = "trust"        // trust metadata, raw bytes as they came
)

// Messages of the guard to the network side.
const (
	KindState  Kind = "state"  // opt-ins and facts, first message and after each change
	KindFile   Kind = "file"   // file this report; sent again until filed
	KindAck    Kind = "ack"    // the guard has the job
	KindFinish Kind = "finish" // how a hook job ended; Fields when received; sent again until finished
	KindClaim  Kind = "claim"  // the owner said yes: ask the server for a new job
)

// Message is one frame; only the members of its kind are set.
type Message struct {
	Kind   Kind    `json:"kind"`
	JobID  string  `json:"job_id,omitempty"`
	Code   string  `json:"code,omitempty"`
	Reason string  `json:"reason,omitempty"`
	Run    *Run    `json:"run,omitempty"`
	State  *State  `json:"state,omitempty"`
	File   *File   `json:"file,omitempty"`
	Finish *Finish `json:"finish,omitempty"`
	Claim  *Claim  `json:"claim,omitempty"`
	Trust  *Trust  `json:"trust,omitempty"`
}

// Trust is a bundle of trust metadata exactly as the server sent it. Its only
// cap here is the frame's: the guard refuses what is too large, and says so in
// its record.
type Trust struct {
	Bundle []byte `json:"bundle"`
}

// Run is a hook job exactly as the server sent it.
type Run struct {
	OriginalID string    `json:"original_id"`
	Deadline   time.Time `json:"deadline"`
	Statement  []byte    `json:"statement"`
	Script     []byte    `json:"script"`
	Signatures [][]byte  `json:"signatures"`
}

// State is what the peer tells the server about itself, and CA, which is for
// the network side alone: the server's certificate authorities that people
// signed, in PEM; empty where they signed none and the one of the enrolment
// holds.
type State struct {
	Facts       hooks.Facts `json:"facts"`
	SendReports bool        `json:"send_reports"`
	AllowHooks  string      `json:"allow_hooks"`
	CA          []byte      `json:"ca,omitempty"`
}

// File is a report to file; ID is chosen by the guard and becomes the job id.
type File struct {
	ID     string       `json:"id"`
	Report hooks.Report `json:"report"`
}

// Finish is how a hook job ended on this peer.
type Finish struct {
	Outcome   hooks.Outcome `json:"outcome"`          // received, empty, failed, refused, deferred
	Fields    []byte        `json:"fields,omitempty"` // canonical JSON, received only
	HookError string        `json:"hook_error,omitempty"`
	Denied    int           `json:"denied,omitempty"` // calls of the run that were refused
}

// Claim asks for a new job of a version for an original, after the owner's yes.
type Claim struct {
	Version    string `json:"version"`
	OriginalID string `json:"original_id"`
}
