package errs

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
)

// plain shows only the cause of an error of the system.
type plain struct{ err error }

func (p plain) Error() string { return causeOf(p.err).Error() }
func (p plain) Unwrap() error { return p.err }

// Plain is err without the call, path and address that the standard library
// puts around its cause, for a message that names them in its own words:
// "no such file or directory" of "open x: no such file or directory".
func Plain(err error) error {
	if err == nil {
		return nil
	}
	return plain{err}
}

func causeOf(err error) error {
	for {
		next := inside(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// inside takes one layer off, nil where there is none. A name that cannot be
// resolved has no layers, but says the name and the resolver too.
func inside(err error) error {
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		return e.Err
	}
	if e := (*os.LinkError)(nil); errors.As(err, &e) {
		return e.Err
	}
	if e := (*net.OpError)(nil); errors.As(err, &e) {
		return e.Err
	}
	if e := (*os.SyscallError)(nil); errors.As(err, &e) {
		return e.Err
	}
	if e := (*exec.Error)(nil); errors.As(err, &e) {
		return e.Err
	}
	if e := (*net.DNSError)(nil); errors.As(err, &e) && e.Err != err.Error() {
		return errors.New(e.Err)
	}
	return nil
}
