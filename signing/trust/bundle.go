package trust

import (
	"bytes"
	"encoding/json"

	"hookline/internal/errs"
	"hookline/signing"
)

// Bundle is a whole repository of metadata as it travels and is kept. Nothing
// in it is trusted before Anchor.Open or Trusted.Update.
type Bundle struct {
	Roots       [][]byte `json:"roots"` // one version after the other
	Timestamp   []byte   `json:"timestamp"`
	Snapshot    []byte   `json:"snapshot"`
	Targets     []byte   `json:"targets"`
	Revocations []byte   `json:"revocations"`      // of the version that the snapshot names
	Pushed      []byte   `json:"pushed,omitempty"` // a newer version, which no snapshot names yet
	Policy      []byte   `json:"policy"`
	CA          []byte   `json:"ca,omitempty"`
}

// ParseBundle reads an encoded bundle, in its one form and within the caps:
// errs.CodeTrustInvalid, errs.CodeTrustMissing.
func ParseBundle(b []byte) (Bundle, error) {
	var out Bundle
	if len(b) > MaxBundleBytes {
		return out, invalid("it is longer than %d bytes", MaxBundleBytes)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&out); err != nil {
		return Bundle{}, invalid("it is not a bundle of trust metadata")
	}
	again, err := out.Encode()
	if err != nil || !bytes.Equal(again, b) {
		return Bundle{}, invalid("it is not in its one form")
	}
	return out, out.check()
}

// Encode is the bundle as ParseBundle reads it.
func (b Bundle) Encode() ([]byte, error) { return json.Marshal(b) }

// check holds the parts against their caps.
func (b Bundle) check() error {
	if len(b.Roots) == 0 {
		return missing("root")
	}
	if len(b.Roots) > MaxRoots {
		return invalid("it has more than %d roots", MaxRoots)
	}
	for _, root := range b.Roots {
		if err := checkPart("root", root, MaxMetadataBytes); err != nil {
			return err
		}
	}
	for _, part := range []struct {
		name string
		b    []byte
		most int
	}{
		{"timestamp", b.Timestamp, MaxMetadataBytes},
		{"snapshot", b.Snapshot, MaxMetadataBytes},
		{"targets", b.Targets, MaxMetadataBytes},
		{RoleRevocations, b.Revocations, MaxRevocations},
		{TargetPolicy, b.Policy, signing.MaxPolicyBytes},
	} {
		if err := checkPart(part.name, part.b, part.most); err != nil {
			return err
		}
	}
	if len(b.Pushed) > MaxRevocations || len(b.CA) > MaxCABytes {
		return invalid("a part of it is too long")
	}
	return nil
}

func checkPart(name string, b []byte, most int) error {
	if len(b) == 0 {
		return missing(name)
	}
	if len(b) > most {
		return invalid("its %s is longer than %d bytes", name, most)
	}
	return nil
}

func invalid(format string, args ...any) *errs.Error {
	return errs.New(errs.CodeTrustInvalid, "cannot read the trust metadata: "+format, args...)
}

func missing(name string) *errs.Error {
	return errs.New(errs.CodeTrustMissing, "cannot trust the metadata: its %s is missing", name)
}
