package signing

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"

	"hookline/hooks"
	"hookline/internal/errs"
)

const (
	bundleMediaType   = "application/vnd.dev.sigstore.bundle.v0.3+json"
	maxSignatureBytes = 256 // DER of a P-256 signature is at most 72
	maxFileObjects    = 20  // the one form has five; more are not worth decoding
	fileSuffix        = ".sigstore.json"
)

// File is a signature file: a sigstore bundle v0.3 with a DSSE envelope that
// carries one signature over one statement. Nothing in it is trusted: Hint
// only says which key to try, and Sig is never an identity, because one
// signature has several encodings.
type File struct {
	Hint    KeyID  // whose key made it, as the file claims
	Payload []byte // the statement that it signs
	Sig     []byte // DER for P-256, 64 bytes for Ed25519
}

// The wire form, members in the order in which protobuf JSON writes them.
type bundle struct {
	MediaType    string               `json:"mediaType"`
	Verification verificationMaterial `json:"verificationMaterial"`
	Envelope     envelope             `json:"dsseEnvelope"`
}

type verificationMaterial struct {
	PublicKey struct {
		Hint []byte `json:"hint"` // SHA-256 of the SPKI DER
	} `json:"publicKey"`
}

type envelope struct {
	Payload     []byte              `json:"payload"`
	PayloadType string              `json:"payloadType"`
	Signatures  []envelopeSignature `json:"signatures"`
}

type envelopeSignature struct {
	Sig []byte `json:"sig"`
}

// FileName is the name under which the signature of a key is kept.
func FileName(id KeyID) string { return id.Short() + fileSuffix }

// PAE is the DSSE pre-authentication encoding of a statement: the bytes that
// are signed.
func PAE(statement []byte) []byte {
	b := make([]byte, 0, len(statement)+64)
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(hooks.PayloadType)), 10)
	b = append(b, ' ')
	b = append(b, hooks.PayloadType...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(len(statement)), 10)
	b = append(b, ' ')
	return append(b, statement...)
}

// ParseFile reads a signature file strictly: exactly the members that this
// package and cosign write, each once, in one order and in standard base64;
// only white space may differ. It verifies nothing. Every refusal is
// errs.CodeSignatureMalformed.
func ParseFile(b []byte) (File, error) {
	if len(b) > MaxSignatureFileBytes {
		return File{}, malformed("it is longer than %d bytes", MaxSignatureFileBytes)
	}
	if bytes.Count(b, []byte("{")) > maxFileObjects {
		return File{}, malformed("it holds many signatures, or something else than a sigstore bundle")
	}
	w, err := decodeBundle(b)
	if err != nil {
		return File{}, err
	}
	switch env := w.Envelope; {
	case w.MediaType != bundleMediaType:
		return File{}, malformed("its media type is not %s", bundleMediaType).At("mediaType")
	case len(w.Verification.PublicKey.Hint) != sha256.Size:
		return File{}, malformed("the key hint is not a SHA-256").At("verificationMaterial.publicKey.hint")
	case env.PayloadType != hooks.PayloadType:
		return File{}, malformed("its payload type is not %s", hooks.PayloadType).At("dsseEnvelope.payloadType")
	case len(env.Payload) == 0 || len(env.Payload) > hooks.MaxStatementBytes:
		return File{}, malformed("the payload is empty or longer than %d bytes", hooks.MaxStatementBytes).At("dsseEnvelope.payload")
	case len(env.Signatures) != 1:
		return File{}, malformed("it holds %d signatures instead of one", len(env.Signatures)).At("dsseEnvelope.signatures")
	case len(env.Signatures[0].Sig) == 0 || len(env.Signatures[0].Sig) > maxSignatureBytes:
		return File{}, malformed("the signature is empty or longer than %d bytes", maxSignatureBytes).At("dsseEnvelope.signatures[0].sig")
	}
	return File{
		Hint:    KeyID(hex.EncodeToString(w.Verification.PublicKey.Hint)),
		Payload: w.Envelope.Payload,
		Sig:     w.Envelope.Signatures[0].Sig,
	}, nil
}

// decodeBundle decodes, encodes again and compares: the one way to refuse
// duplicate, unknown, reordered and case-variant keys, other base64 alphabets,
// invalid UTF-8 and trailing data at once.
func decodeBundle(b []byte) (bundle, error) {
	var w bundle
	var compact bytes.Buffer
	if err := json.Compact(&compact, b); err != nil {
		return w, malformed("it is not one JSON value")
	}
	if err := json.Unmarshal(compact.Bytes(), &w); err != nil {
		return w, malformed("it is not a sigstore bundle")
	}
	again, err := encodeBundle(w)
	if err != nil || !bytes.Equal(again, compact.Bytes()) {
		return w, malformed("it is not in the one accepted form of a sigstore bundle v0.3 with a public key hint")
	}
	return w, nil
}

func malformed(format string, args ...any) *errs.Error {
	return errs.New(errs.CodeSignatureMalformed, "cannot read the signature file: "+format, args...)
}

func encodeBundle(w bundle) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(w); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// EncodeFile writes the signature file of one signature by key over
// statement, in the form that cosign verifies. It does not verify sig.
func EncodeFile(statement, sig []byte, key PublicKey) ([]byte, error) {
	hint := sha256.Sum256(key.SPKI)
	w := bundle{MediaType: bundleMediaType}
	w.Verification.PublicKey.Hint = hint[:]
	w.Envelope = envelope{
		Payload:     statement,
		PayloadType: hooks.PayloadType,
		Signatures:  []envelopeSignature{{Sig: sig}},
	}
	b, err := encodeBundle(w)
	if err != nil {
		return nil, errs.Wrap(errs.CodeSignatureMalformed, err, "cannot encode the signature file")
	}
	if _, err := ParseFile(b); err != nil {
		return nil, err
	}
	return b, nil
}
