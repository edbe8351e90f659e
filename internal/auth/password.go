package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"hookline/internal/errs"
)

// Bounds of a password, in bytes of UTF-8 in normal form C. Nothing is cut off.
const (
	MinPasswordBytes = 10
	MaxPasswordBytes = 128
)

const (
	saltBytes = 16
	keyBytes  = 32
)

// cost is what a hash takes. The zero value stands for realCost.
type cost struct {
	memory, time uint32 // KiB, passes
	threads      uint8
}

// realCost is the second choice of RFC 9106, section 4.
func realCost() cost { return cost{memory: 64 << 10, time: 3, threads: 4} }

func (c cost) orReal() cost {
	if c == (cost{}) {
		return realCost()
	}
	return c
}

// What a stored hash may ask for at most: it can come from somebody's archive.
const (
	maxHashTime    = 10
	maxHashMemory  = 256 << 10
	maxHashThreads = 16
	maxSaltBytes   = 64
	maxKeyBytes    = 64
)

// passHash is an argon2id hash, version 19.
type passHash struct {
	cost
	salt, key []byte
}

var phcForm = regexp.MustCompile(`^\$argon2id\$v=19\$m=([1-9][0-9]{0,6}),t=([1-9][0-9]?),p=([1-9][0-9]?)\$([A-Za-z0-9+/]{1,100})\$([A-Za-z0-9+/]{1,100})$`)

// String is the PHC form, which parseHash reads.
func (h passHash) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", h.memory, h.time, h.threads, b64.EncodeToString(h.salt), b64.EncodeToString(h.key))
}

// parseHash reads the one form that String writes, within bounds.
func parseHash(s string) (passHash, error) {
	bad := errs.New(errs.CodeInternal, "cannot use a stored password: it is no argon2id hash in PHC form").
		WithHint("set the password anew: an admin can")
	m := phcForm.FindStringSubmatch(s)
	if m == nil {
		return passHash{}, bad
	}
	number := func(s string) uint32 {
		n, _ := strconv.ParseUint(s, 10, 32) // at most seven digits
		return uint32(n)
	}
	h := passHash{cost: cost{memory: number(m[1]), time: number(m[2])}}
	threads := number(m[3])
	strict := base64.RawStdEncoding.Strict()
	var err1, err2 error
	h.salt, err1 = strict.DecodeString(m[4])
	h.key, err2 = strict.DecodeString(m[5])
	if err1 != nil || err2 != nil || h.time > maxHashTime || threads > maxHashThreads ||
		h.memory < 8*threads || h.memory > maxHashMemory ||
		len(h.salt) < 8 || len(h.salt) > maxSaltBytes || len(h.key) < 16 || len(h.key) > maxKeyBytes {
		return passHash{}, bad
	}
	h.threads = uint8(threads) //nolint:gosec // at most 16
	return h, nil
}

// matches reports whether the password is the one of the hash, in constant time.
func (h passHash) matches(password string) bool {
	key := argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, uint32(len(h.key))) //nolint:gosec // at most 64
	return subtle.ConstantTimeCompare(key, h.key) == 1
}

func newHash(password string, c cost) passHash {
	h := passHash{cost: c.orReal(), salt: make([]byte, saltBytes)}
	_, _ = rand.Read(h.salt) // never fails: it ends the program instead
	h.key = argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, keyBytes)
	return h
}

// noHash costs as much as a new hash and no password is its.
func noHash(c cost) passHash {
	return passHash{cost: c.orReal(), salt: make([]byte, saltBytes), key: make([]byte, keyBytes)}
}

// How many hashes are made at a time, each of which takes 64 MiB and four
// cores for a moment, and how many wait for that.
const (
	maxHashing = 2
	maxWaiting = 64
)

// hasher bounds what hashes cost. The zero value is ready.
type hasher struct {
	once    sync.Once
	slots   chan struct{}
	waiting chan struct{}
}

// do runs f when it is its turn. errs.CodeUnavailable where too many wait
// already, or ctx ends before.
func (h *hasher) do(ctx context.Context, f func()) error {
	h.once.Do(func() {
		h.slots, h.waiting = make(chan struct{}, maxHashing), make(chan struct{}, maxHashing+maxWaiting)
	})
	select {
	case h.waiting <- struct{}{}:
		defer func() { <-h.waiting }()
	default:
		return errs.New(errs.CodeUnavailable, "cannot look at a password: too many people sign in at this moment").WithHint("try again in a few seconds")
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return errs.Wrap(errs.CodeUnavailable, ctx.Err(), "cannot look at a password").WithHint("try again in a few seconds")
	}
	f()
	return nil
}

// normal is a password as it is hashed: however somebody's keyboard puts an
// accent on a letter, it is the same password. ok is false for what nobody's
// password is.
func normal(password string) (_ string, ok bool) {
	if len(password) > 4*MaxPasswordBytes || !utf8.ValidString(password) {
		return "", false
	}
	password = norm.NFC.String(password)
	return password, len(password) >= MinPasswordBytes && len(password) <= MaxPasswordBytes
}

// around is what people put around a word to make it longer.
const around = "0123456789 .,;:!?-_+*#$%&/()=@<>'\""

// checkPassword refuses a password that is too short, too long or among the
// first that anybody tries; it returns its normal form.
func checkPassword(user, password string) (string, error) {
	refuse := func(format string, args ...any) (string, error) {
		return "", errs.New(errs.CodeBadInput, format, args...).
			WithHint("four or five unrelated words are good, and easy to remember")
	}
	plain, ok := normal(password)
	if !ok {
		return refuse("a password is %d to %d bytes of text", MinPasswordBytes, MaxPasswordBytes)
	}
	first, _ := utf8.DecodeRuneInString(plain)
	core := strings.Trim(strings.ToLower(plain), around)
	if core != "" && core == strings.Trim(user, around) || strings.EqualFold(plain, user) {
		return refuse("the password is the user's name")
	}
	if slices.Contains(common(), strings.ToLower(plain)) || slices.Contains(commonWords(), core) || strings.Trim(plain, string(first)) == "" {
		return refuse("the password is among the first that anybody tries")
	}
	return plain, nil
}

// common are the most used passwords that are long enough.
func common() []string {
	return []string{
		"1234567890", "12345678910", "0123456789", "0987654321", "9876543210", "1122334455", "1q2w3e4r5t", "1q2w3e4r5t6y", "1qaz2wsx3edc",
		"q1w2e3r4t5", "q1w2e3r4t5y6", "qwer123456", "asdfghjkl1", "zaq12wsxcde3", "abcdefghij", "abcdefghijk", "abcd123456", "abcde12345",
		"a123456789", "123456789a", "aa12345678", "asd123456789", "12345qwert", "123qwe123qwe", "1234qwer1234", "qweasdzxc123", "p@ssw0rd123",
		"passw0rd123", "pa$$word123", "p@ssword123", "password12", "1234512345", "1212121212", "123123123123", "1231231231", "147258369a", "11223344556",
	}
}

// commonWords are common whatever digits and signs stand around them.
func commonWords() []string {
	return []string{
		"password", "passwort", "passw0rd", "p@ssw0rd", "p@ssword", "passwordpassword", "qwerty", "qwertyuiop", "qwertyui", "qwertz", "qwertzuiop", "azertyuiop",
		"asdfghjkl", "asdfasdf", "letmein", "welcome", "iloveyou", "superman", "football", "baseball", "princess", "sunshine", "trustno", "changeme", "changemenow",
		"administrator", "secret", "hookline", "hooklined", "abc", "abcd", "test", "testtest", "master", "monkey", "dragon", "default", "correcthorsebatterystaple",
	}
}
