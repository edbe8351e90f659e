package signer

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/asn1"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"hookline/internal/errs"
	"hookline/signing"
)

// Times that an agent has: to answer, and to sign, where a person may have to
// confirm it (ssh-add -c).
const (
	agentAnswers = 10 * time.Second
	agentSigns   = 2 * time.Minute
)

const (
	maxAgentKeys     = 256
	maxAgentComment  = 256
	minAgentKeyID    = 16 // digits
	agentFingerprint = "SHA256:"
)

// Agent is an ssh-agent: it holds private keys and signs with them, and shows
// them to nobody. The zero value is none.
type Agent struct {
	Socket string // the path in SSH_AUTH_SOCK
}

// AgentKey is a key that an agent offers.
type AgentKey struct {
	Public      signing.PublicKey // zero where Refused is set
	Kind        string            // as SSH names it: "ssh-ed25519"
	Comment     string
	Fingerprint string // as ssh-add -l prints it: "SHA256:…"
	Refused     string // why Hookline cannot sign with it, "" where it can
	wire        ssh.PublicKey
}

// Keys lists what the agent offers, those that cannot be used here too. An
// agent that cannot be asked is errs.CodeUnavailable, one that shows no key at
// all errs.CodeNotFound.
func (a Agent) Keys() ([]AgentKey, error) {
	var listed []*agent.Key
	err := a.ask(agentAnswers, func(c agent.ExtendedAgent) (err error) {
		listed, err = c.List()
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(listed) == 0 {
		return nil, errs.New(errs.CodeNotFound, "the ssh-agent shows no key: it holds none, or is locked").
			WithHint("add one with ssh-add FILE, or unlock it with ssh-add -X")
	}
	if len(listed) > maxAgentKeys {
		return nil, errs.New(errs.CodeTooLarge, "cannot use the ssh-agent: it shows more than %d keys", maxAgentKeys)
	}
	keys := make([]AgentKey, len(listed))
	for i, k := range listed {
		keys[i] = agentKey(k)
	}
	return keys, nil
}

// agentKey reads one key. A certificate, a key on a security token, RSA and
// the other curves are not refused for what they are worth: their signatures
// are of kinds that neither the peers nor cosign verify.
func agentKey(k *agent.Key) AgentKey {
	out := AgentKey{Kind: k.Format, Comment: k.Comment[:min(len(k.Comment), maxAgentComment)]}
	if k.Format != ssh.KeyAlgoED25519 && k.Format != ssh.KeyAlgoECDSA256 {
		out.Refused = "keys of kind " + clipped(k.Format) + " cannot sign hooks"
		if wire, err := ssh.ParsePublicKey(k.Blob); err == nil {
			out.Fingerprint = ssh.FingerprintSHA256(wire)
		}
		return out
	}
	wire, err := ssh.ParsePublicKey(k.Blob)
	if err != nil || wire.Type() != k.Format {
		out.Refused = "the key is damaged"
		return out
	}
	out.Fingerprint = ssh.FingerprintSHA256(wire)
	if holder, ok := wire.(ssh.CryptoPublicKey); ok {
		out.Public, err = signing.NewPublicKey(holder.CryptoPublicKey())
	}
	if err != nil || out.Public.ID == "" {
		out.Refused = "the key is damaged"
		return out
	}
	out.wire = wire
	return out
}

func clipped(s string) string { return s[:min(len(s), 64)] }

// matches reports whether a person can mean the key by which: its key id, at
// least the first 16 digits of it, its fingerprint or its comment.
func (k AgentKey) matches(which string) bool {
	if id := strings.ToLower(which); len(id) >= minAgentKeyID && strings.HasPrefix(string(k.Public.ID), id) {
		return true
	}
	return which != "" && (k.Comment == which || strings.HasPrefix(which, agentFingerprint) && k.Fingerprint == which)
}

// FromAgent finds the one key that which names: a key id (or at least its
// first 16 digits), a fingerprint "SHA256:…" or a comment. No such key, or
// several, is errs.CodeNotFound or errs.CodeConflict; a key of a kind that
// cannot sign hooks is errs.CodeKeyInvalid and named.
func FromAgent(a Agent, which string) (*Signer, error) {
	keys, err := a.Keys()
	if err != nil {
		return nil, err
	}
	keys = slices.DeleteFunc(keys, func(k AgentKey) bool { return !k.matches(which) })
	switch {
	case len(keys) == 0:
		return nil, errs.New(errs.CodeNotFound, "the ssh-agent has no key %q", clipped(which)).
			WithHint("give a key id (16 digits of it are enough), a fingerprint SHA256:… or a comment; list them with: hookline key list-agent")
	case len(keys) > 1:
		return nil, errs.New(errs.CodeConflict, "the ssh-agent has %d keys %q", len(keys), clipped(which)).
			WithHint("name one by its key id: hookline key list-agent")
	case keys[0].Refused != "":
		return nil, errs.New(errs.CodeKeyInvalid, "cannot sign with the agent's key %q: %s", clipped(which), keys[0].Refused).
			WithHint("use an Ed25519 or ECDSA P-256 key: ssh-keygen -t ed25519, or -t ecdsa -b 256")
	}
	k := keys[0]
	return &Signer{public: k.Public, sign: func(message []byte) ([]byte, error) { return a.sign(k, message) }}, nil
}

// sign lets the agent sign. What it returns is verified: a signature that does
// not hold would only be refused by somebody else, later.
func (a Agent) sign(k AgentKey, message []byte) (sig []byte, err error) {
	var made *ssh.Signature
	err = a.ask(agentSigns, func(c agent.ExtendedAgent) (err error) {
		made, err = c.Sign(k.wire, message)
		return err
	})
	if err != nil {
		return nil, err
	}
	if made == nil || made.Format != k.Kind || len(made.Rest) > 0 {
		return nil, errWrongSignature()
	}
	if sig, err = plainSignature(made); err != nil || !holds(k.Public.Key, message, sig) {
		return nil, errWrongSignature()
	}
	return sig, nil
}

func errWrongSignature() error {
	return errs.New(errs.CodeKeyInvalid, "the ssh-agent made a signature that does not hold")
}

// plainSignature takes a signature out of SSH's own form: ASN.1 DER for P-256,
// 64 bytes as they are for Ed25519.
func plainSignature(s *ssh.Signature) ([]byte, error) {
	if s.Format == ssh.KeyAlgoED25519 {
		return s.Blob, nil
	}
	var pair struct{ R, S *big.Int }
	if err := ssh.Unmarshal(s.Blob, &pair); err != nil {
		return nil, err
	}
	return asn1.Marshal(pair)
}

func holds(key crypto.PublicKey, message, sig []byte) bool {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(message)
		return ecdsa.VerifyASN1(k, sum[:], sig)
	case ed25519.PublicKey:
		return ed25519.Verify(k, message, sig)
	}
	return false
}

// ask talks to the agent over a connection of its own, so that no signer has
// one to close.
func (a Agent) ask(within time.Duration, talk func(agent.ExtendedAgent) error) error {
	if a.Socket == "" {
		return errs.New(errs.CodeUnavailable, "cannot find the ssh-agent: SSH_AUTH_SOCK is not set").
			WithHint("start one: eval \"$(ssh-agent)\", then ssh-add FILE")
	}
	dialer := net.Dialer{Timeout: agentAnswers}
	conn, err := dialer.DialContext(context.Background(), "unix", a.Socket)
	if err != nil {
		return errs.Wrap(errs.CodeUnavailable, err, "cannot reach the ssh-agent").
			WithHint("is the agent of SSH_AUTH_SOCK still running? ssh-add -l asks it too")
	}
	defer func() { _ = conn.Close() }()
	deadline := time.Now().Add(within)
	if err := conn.SetDeadline(deadline); err != nil {
		return errs.Wrap(errs.CodeUnavailable, err, "cannot reach the ssh-agent")
	}
	// Without Close the client asks one thing at a time and leaves nothing behind.
	if err := talk(agent.NewClient(struct{ io.ReadWriter }{conn})); err != nil {
		// The client drops what kind of error it met.
		return agentError(err, !time.Now().Before(deadline))
	}
	return nil
}

func agentError(err error, late bool) error {
	if late {
		return errs.New(errs.CodeUnavailable, "the ssh-agent did not answer in time").
			WithHint("does it wait for somebody to confirm (ssh-add -c)?")
	}
	return errs.Wrap(errs.CodeUnavailable, err, "the ssh-agent refused").
		WithHint("is it locked (ssh-add -X), was the key removed, or the question to confirm not answered with yes?")
}
