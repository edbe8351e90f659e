package keeper

import (
	"os"
	"path/filepath"

	"hookline/signing"
	"hookline/signing/trust"
)

// othersDir has revocations' metadata that came from elsewhere with a version
// that this folder has used itself: of two revokers at once, the other's. The
// next revocations will have both.
const othersDir = "others"

// maxOthers bounds how much of it is kept.
const maxOthers = 64

// keepOthers writes down what of a bundle's revocations the newest here lacks.
func (k *Keeper) keepOthers(b trust.Bundle) error {
	for _, file := range [][]byte{b.Revocations, b.Pushed} {
		if len(file) == 0 || !k.lacks(file) {
			continue
		}
		dir := filepath.Join(k.dir, othersDir)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fileError(err, dir)
		}
		if err := put(filepath.Join(dir, trust.Digest(file)[:16]+".json"), file); err != nil {
			return err
		}
	}
	return nil
}

// lacks reports whether the newest revocations here lack some of a file's.
func (k *Keeper) lacks(file []byte) bool {
	theirs, err := parseRevocations(file)
	if err != nil {
		return false // unreadable: nobody could sign over it
	}
	carried := signing.NewRevocations(k.force.revocations.list...)
	return carried.With(recent(theirs.list, k.now())...).Len() > carried.Len()
}

// learnOthers adds what was kept, as far as a revoker has signed it.
func (k *Keeper) learnOthers() error {
	if k.trusted == nil {
		return nil
	}
	dir := filepath.Join(k.dir, othersDir)
	files, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return fileError(err, dir)
	}
	for i, f := range files {
		b, err := read(filepath.Join(dir, f.Name()), trust.MaxRevocations)
		if err != nil {
			return err
		}
		next, err := k.trusted.Push(b)
		if i >= maxOthers || err != nil {
			continue
		}
		k.trusted = k.trusted.Remember(next.Revoked().List()...)
	}
	return nil
}

// dropOthers removes what the newest revocations have by now.
func (k *Keeper) dropOthers() error {
	dir := filepath.Join(k.dir, othersDir)
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil //nolint:nilerr // mostly there is none
	}
	for _, f := range files {
		path := filepath.Join(dir, f.Name())
		b, err := read(path, trust.MaxRevocations)
		if err != nil {
			return err
		}
		if !k.lacks(b) {
			if err := remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}
