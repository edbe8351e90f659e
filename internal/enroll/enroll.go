// Package enroll is how a machine becomes a peer: the versioned enroll line,
// the deployment's own CA, setup keys (of which the server has only hashes),
// and the peer's row.
package enroll

import (
	"context"
	"strconv"
	"time"

	"hookline/hooks"
	"hookline/internal/auth"
)

// Peer is an enrolled machine. ID is the first 32 hex digits of SPKI.
type Peer struct {
	ID         string
	Name       string // host name that it gave, at most 128 printable bytes
	SPKI       string // hex SHA-256 of its public key's SPKI DER
	EnrolledAt time.Time
	Facts      hooks.Facts
	Version    string // of hookline-peer
	// SendReports and AllowHooks ("no", "ask", "yes") are what the owner chose, as told in hello.
	SendReports bool
	AllowHooks  string
	Labels      []string // that operators gave it, sorted; people find it by them, nothing else does
	Connection  Connection
}

// PeerSort is an order of peers, ascending, ties by id.
type PeerSort string

// The orders of peers.
const (
	ByID   PeerSort = "id" // the default
	ByName PeerSort = "name"
	BySeen PeerSort = "seen"
)

// PeerFilter narrows and orders a list of peers; zero members do not narrow.
type PeerFilter struct {
	Online bool     // connected ones only
	Sort   PeerSort // "" is ByID
	Last   bool     // descending
	After  string   // keyset, see Cursor
	Limit  int      // 1..200
}

// Cursor is where the list goes on behind p: "<name>/<id>" or "<seen in ms>/<id>", or the id alone.
func (f PeerFilter) Cursor(p Peer) string {
	switch f.Sort {
	case ByName:
		return p.Name + "/" + p.ID
	case BySeen:
		return strconv.FormatInt(p.Connection.Seen.UnixMilli(), 10) + "/" + p.ID
	}
	return p.ID
}

// Connection is the truth about a peer's stream, fenced by epoch: a write
// with an older epoch changes nothing.
type Connection struct {
	Server string // "" is not connected
	Epoch  int64
	Seen   time.Time
}

// Hello is what a peer tells when its stream opens, and again where it changes.
type Hello struct {
	Facts       hooks.Facts
	Version     string
	SendReports bool
	AllowHooks  string
	// Renews is the epoch of the stream that it comes over again; 0 is a new stream.
	Renews int64
}

// Peers is what enrolment and the job server need of a store.
type Peers interface {
	// AddPeer is idempotent for the same SPKI.
	AddPeer(ctx context.Context, p Peer) error
	Peer(ctx context.Context, id string) (Peer, error) // errs.CodeNotFound
	// Connect raises the epoch by one, stores the hello and returns the new epoch. A hello that renews another
	// epoch than the peer's own changes nothing: errs.CodeConflict.
	Connect(ctx context.Context, id, server string, h Hello, now time.Time) (epoch int64, err error)
	// Disconnect clears Server where the epoch is still the same; ok tells.
	Disconnect(ctx context.Context, id string, epoch int64, now time.Time) (ok bool, err error)
	// Peers lists by id, keyset.
	Peers(ctx context.Context, after string, limit int) ([]Peer, error)
	PeersBy(ctx context.Context, f PeerFilter) ([]Peer, error)
	// CountPeers counts peers, and those of them that are connected; neither count goes beyond most.
	CountPeers(ctx context.Context, most int64) (all, online int64, err error)
	// SetLabels writes the grant's entry in the same commit; errs.CodeNotFound.
	SetLabels(ctx context.Context, id string, labels []string, g auth.Grant) error
}
