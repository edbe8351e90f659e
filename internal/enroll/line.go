package enroll

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net"
	"strconv"
	"strings"

	"hookline/internal/errs"
)

const (
	linePrefix     = "hookline-enroll:v2:"
	lineFamily     = "hookline-enroll:"
	maxLineLength  = 2048
	maxAddress     = 300
	deploymentHex  = 32
	deploymentMark = "d-"
)

// Line is the enroll line: everything that a machine must know beforehand so
// that it believes nothing that a server says. It is printed from the offline
// folder and carried by hand; it holds a setup key and is therefore a secret.
type Line struct {
	Address    string `json:"address"`    // host:port of the gRPC listener
	Deployment string `json:"deployment"` // "d-" + 32 hex digits
	RootDigest string `json:"root"`       // trust anchor: hex SHA-256 of the newest root of the trust metadata
	CADigest   string `json:"ca"`         // hex SHA-256 of the CA certificate's DER
	SetupKey   string `json:"setup_key"`
}

// String is the line that people copy. It is only useful for a valid Line.
func (l Line) String() string {
	return linePrefix + base64.RawURLEncoding.EncodeToString(l.canonical())
}

func (l Line) canonical() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(l) // a struct of strings always encodes
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// ParseLine reads an enroll line. White space around it is taken away, since
// it is pasted; everything else must be exactly what String writes. Errors
// carry errs.CodeEnrollLine and never show the setup key.
func ParseLine(s string) (Line, error) {
	s = strings.TrimSpace(s)
	switch {
	case len(s) > maxLineLength:
		return Line{}, lineError("", "is longer than %d bytes", maxLineLength)
	case !strings.HasPrefix(s, lineFamily):
		return Line{}, lineError("", "does not start with %q", linePrefix)
	case !strings.HasPrefix(s, linePrefix):
		return Line{}, lineError("", "has a version other than that of this build").
			WithHint("print a new line with `hookline enroll-line` of the same release as hookline-peer")
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s[len(linePrefix):])
	if err != nil {
		return Line{}, lineError("", "is damaged: not base64url")
	}
	var l Line
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil || l.String() != s {
		return Line{}, lineError("", "is damaged: it is not in its one canonical form")
	}
	return l, l.Validate()
}

// Validate names the first member that can not be right.
func (l Line) Validate() error {
	if err := checkAddress(l.Address); err != nil {
		return err
	}
	switch {
	case !isDeployment(l.Deployment):
		return lineError("deployment", "must be %q and %d lower-case hex digits", deploymentMark, deploymentHex)
	case !isHex(l.RootDigest, 64):
		return lineError("root", "must be a SHA-256 in lower-case hex")
	case !isHex(l.CADigest, 64):
		return lineError("ca", "must be a SHA-256 in lower-case hex")
	case !isSetupKey(l.SetupKey):
		return lineError("setup_key", "is not a setup key")
	}
	return nil
}

func checkAddress(a string) error {
	host, port, err := net.SplitHostPort(a)
	if err != nil || host == "" || len(a) > maxAddress {
		return lineError("address", "must be host:port")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return lineError("address", "must have a port from 1 to 65535")
	}
	for _, r := range host {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%", r) {
			return lineError("address", "has a host with a character that is not allowed")
		}
	}
	return nil
}

func lineError(field, format string, args ...any) *errs.Error {
	name := "enroll line"
	if field != "" {
		name += ", " + field
	}
	return errs.New(errs.CodeEnrollLine, format, args...).At(name).
		WithHint("copy the whole line again; `hookline enroll-line` prints it")
}

func isDeployment(s string) bool {
	id, ok := strings.CutPrefix(s, deploymentMark)
	return ok && isHex(id, deploymentHex)
}

func isHex(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}
