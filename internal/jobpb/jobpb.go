// Package jobpb is the generated code of peers.proto, the protocol between
// peers and server; the contract stands in the .proto file's comments.
package jobpb

import "google.golang.org/grpc/encoding/gzip"

//go:generate go run ./gen

// Protocol is the version of the protocol that this build speaks.
const Protocol = 1

// Compression is what peers may pack reports and results with. Naming it here
// links it into both sides. Caps count unpacked bytes.
const Compression = gzip.Name

// MaxChunk is the largest piece of an upload in bytes, uncompressed.
const MaxChunk = 64 << 10

// MaxTrust is the largest bundle of trust metadata, in bytes, and
// MaxServerMessage the largest message that a server sends: what carries one.
const (
	MaxTrust         = 2 << 20
	MaxServerMessage = MaxTrust + 64<<10
)
