// Package durable writes files that a crash leaves as they were, or whole and
// on disk: never a part, never a file that a power cut takes back. What an
// error leaves behind is the same, without temporary files.
//
// Errors are *fs.PathError with the path that was asked for, never that of a
// temporary file, and the system's own reason: errors.Is tells fs.ErrExist,
// fs.ErrPermission, syscall.ENOSPC.
package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// WriteFile makes or replaces a file. The mode is exact, whatever the umask.
// A symbolic link at path is replaced, not followed. Where an error comes
// after the file has appeared (its folder could not be synced), it is there,
// whole.
func WriteFile(path string, b []byte, mode fs.FileMode) error {
	return write(path, b, mode, os.Rename)
}

// WriteFrom is WriteFile with the content that fill writes. An error of fill
// is returned as it is, and leaves nothing; after a kill there may be a file
// ".new-*" beside path, which only its owner can read.
func WriteFrom(path string, fill func(io.Writer) error, mode fs.FileMode) error {
	return writeFrom(path, fill, mode, os.Rename)
}

// Create makes a file as WriteFile does, but only where there is nothing yet,
// not even a dangling link: else the error is fs.ErrExist and all stays as it
// was. Of several processes that try, one succeeds.
func Create(path string, b []byte, mode fs.FileMode) error {
	// Before the work; appearing checks again.
	if _, err := os.Lstat(path); err == nil {
		return failed(path, syscall.EEXIST)
	}
	return write(path, b, mode, renameNew)
}

func write(path string, b []byte, mode fs.FileMode, appear func(from, to string) error) error {
	return writeFrom(path, func(w io.Writer) error {
		if _, err := w.Write(b); err != nil {
			return failed(path, err)
		}
		return nil
	}, mode, appear)
}

// writeFrom fills a file beside path, syncs it, and lets it appear in one step.
func writeFrom(path string, fill func(io.Writer) error, mode fs.FileMode, appear func(from, to string) error) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".new-*") // mode 0600 until it is whole
	if err != nil {
		return failed(path, err)
	}
	if err := fill(f); err != nil {
		_, _ = f.Close(), os.Remove(f.Name()) // the first error is what matters
		return err
	}
	err = errors.Join(f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = appear(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the first error is what matters
		return failed(path, err)
	}
	if err := SyncDir(dir); err != nil {
		return failed(path, err)
	}
	return nil
}

// renameNew renames to a name that is free. Not every file system can refuse
// a taken name; those can link, which refuses it too.
func renameNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return linkNew(from, to)
	}
	return err
}

func linkNew(from, to string) error {
	if err := os.Link(from, to); err != nil {
		return err
	}
	return os.Remove(from)
}

// SyncDir puts on disk what names a folder has: those of files that were
// made, renamed or removed in it.
func SyncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the folder of a file that the caller names
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// failed keeps the system's reason, and names the file that was asked for.
func failed(path string, err error) error {
	var reason syscall.Errno
	if errors.As(err, &reason) {
		err = reason
	}
	return &fs.PathError{Op: "cannot write", Path: path, Err: err}
}
