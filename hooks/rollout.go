package hooks

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// InRollout reports whether a peer is among the percent of all peers that a
// version may run on. Both digests are hex SHA-256: of the statement and of
// the peer's own SPKI. Server and peer compute the same: the first 8 bytes,
// big-endian, of SHA-256(statement digest ‖ peer digest), modulo 100, is below
// percent. A digest that is not one is in no rollout.
func InRollout(digest, peerSPKI string, percent int64) bool {
	if !lowerHex(digest, 64) || !lowerHex(peerSPKI, 64) {
		return false
	}
	raw, err := hex.DecodeString(digest + peerSPKI)
	if err != nil {
		return false
	}
	sum := sha256.Sum256(raw)
	return int64(binary.BigEndian.Uint64(sum[:8])%100) < percent
}
