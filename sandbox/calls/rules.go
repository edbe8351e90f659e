package calls

import (
	"path"
	"strings"

	"hookline/hooks"
	"hookline/internal/errs"
)

// Error is why a call was refused or failed. Code is one of errs.CodeDenied,
// CodeLimitRead, CodeLimitResult, CodeCallFailed, and the field codes.
type Error struct {
	Code    errs.Code
	Message string
}

func (e *Error) Error() string { return e.Message }

// Denied returns a refusal: the call is outside what was signed, or never allowed.
func Denied(message string) *Error { return &Error{Code: errs.CodeDenied, Message: message} }

// Failed returns the failure of an allowed call.
func Failed(message string) *Error { return &Error{Code: errs.CodeCallFailed, Message: message} }

// Rules decide which paths a run may read.
type Rules struct {
	allow hooks.Capabilities
	deny  []string // the peer's own files and folders, clean absolute paths
}

// NewRules returns the rules of a run. Paths at or under one of deny are
// refused whatever was signed.
func NewRules(c hooks.Capabilities, deny []string) Rules {
	r := Rules{allow: c}
	for _, d := range deny {
		if d = path.Clean(d); path.IsAbs(d) && d != "/" {
			r.deny = append(r.deny, d)
		}
	}
	return r
}

// Check returns why p may not be read, or nil.
func (r Rules) Check(p string) *Error {
	if err := CheckPath(p); err != nil {
		return err
	}
	if !r.allow.Reads(p) {
		return Denied("not within the signed capabilities")
	}
	return r.CheckDenied(p)
}

// CheckDenied returns why p may never be read, or nil.
func (r Rules) CheckDenied(p string) *Error {
	for _, d := range r.deny {
		if p == d || strings.HasPrefix(p, d+"/") {
			return Denied("belongs to the peer itself")
		}
	}
	if reason := hooks.NeverRead(p); reason != "" {
		return Denied(reason)
	}
	return nil
}

// CheckPath refuses paths that are not clean, absolute and printable ASCII.
func CheckPath(p string) *Error {
	switch {
	case len(p) > hooks.MaxPathLength:
		return Denied("path is too long")
	case !path.IsAbs(p) || path.Clean(p) != p:
		return Denied("path must be absolute, without . and .. and doubled slashes")
	}
	for i := range len(p) {
		if p[i] < 0x20 || p[i] > 0x7e {
			return Denied("path must be printable ASCII")
		}
	}
	return nil
}
