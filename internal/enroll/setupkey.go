package enroll

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"hookline/internal/errs"
)

const (
	setupKeyPrefix   = "hkle_" // for secret scanners
	setupKeyBytes    = 32
	maxSetupKeys     = 1000
	maxHashFileBytes = 128 << 10
)

// NewSetupKey makes a setup key: 32 random bytes in printable form. Any number
// of machines may enroll with one; the server gets only its hash.
func NewSetupKey() string {
	b := make([]byte, setupKeyBytes)
	_, _ = rand.Read(b) // never fails since Go 1.24: the program ends instead
	return setupKeyPrefix + base64.RawURLEncoding.EncodeToString(b)
}

// HashSetupKey is the line that stands for a key in the server's file: the
// hex SHA-256 of its printable form. A fast hash is enough for 256 random bits.
func HashSetupKey(key string) string {
	h := sha256.Sum256([]byte(key))
	return hex.EncodeToString(h[:])
}

func isSetupKey(s string) bool {
	rest, ok := strings.CutPrefix(s, setupKeyPrefix)
	if !ok {
		return false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	return err == nil && len(b) == setupKeyBytes && !strings.ContainsAny(rest, "\r\n")
}

// KeyHashes are the setup keys that a server takes.
type KeyHashes struct {
	hashes [][sha256.Size]byte
}

// ParseHashes reads setup-keys.txt: one hash a line; empty lines and those
// that start with # do not count. A file without a hash closes enrolment.
func ParseHashes(b []byte) (KeyHashes, error) {
	if len(b) > maxHashFileBytes {
		return KeyHashes{}, errs.New(errs.CodeTooLarge, "the setup keys file is larger than %d bytes", maxHashFileBytes)
	}
	var k KeyHashes
	seen := map[[sha256.Size]byte]bool{}
	n := 0
	for line := range bytes.Lines(b) {
		n++
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' {
			continue
		}
		if !isHex(text, 2*sha256.Size) {
			return KeyHashes{}, errs.New(errs.CodeBadInput, "line %d is not the SHA-256 of a setup key in lower-case hex", n).
				At("setup keys").WithHint("the offline folder's setup-keys.txt has the right form; never give the server the key itself")
		}
		var h [sha256.Size]byte
		_, _ = hex.Decode(h[:], []byte(text)) // isHex has checked it
		if seen[h] {
			return KeyHashes{}, errs.New(errs.CodeBadInput, "line %d has a hash twice", n).At("setup keys")
		}
		seen[h] = true
		k.hashes = append(k.hashes, h)
	}
	if len(k.hashes) > maxSetupKeys {
		return KeyHashes{}, errs.New(errs.CodeTooLarge, "%d is over the limit of %d", len(k.hashes), maxSetupKeys).At("setup keys")
	}
	return k, nil
}

// Len is the number of keys.
func (k KeyHashes) Len() int { return len(k.hashes) }

// Match reports whether one of the hashes is the key's. It compares with all
// of them in constant time.
func (k KeyHashes) Match(key string) bool {
	if !isSetupKey(key) {
		return false
	}
	h := sha256.Sum256([]byte(key))
	found := 0
	for i := range k.hashes {
		found |= subtle.ConstantTimeCompare(h[:], k.hashes[i][:])
	}
	return found == 1
}
