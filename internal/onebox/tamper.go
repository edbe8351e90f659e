package onebox

import (
	"context"
	"fmt"
	"os"
)

// Tamper edits the server's own database behind its back, as somebody who
// stole the server could; see cmd internal/hooktest/tamper for what.
func (d *Deployment) Tamper(ctx context.Context, what, id string, value []byte) error {
	file := d.Path("tamper.value")
	if err := os.WriteFile(file, value, 0o600); err != nil {
		return err
	}
	store := []string{"-db", d.Path("server", "hookline.db")}
	if d.Store != "" {
		store = []string{"-store-file", d.Path(storeFile)}
		if err := os.WriteFile(d.Path(storeFile), []byte(d.Store+"\n"), 0o600); err != nil {
			return err
		}
	}
	argv := append([]string{d.Bin.Path("tamper"), "-what", what, "-id", id, "-file", file}, store...)
	a, err := run(ctx, d.env(""), "", argv...)
	if err == nil && a.Code != 0 {
		err = fmt.Errorf("cannot tamper with %s of %s: %s", what, id, a.Stderr)
	}
	return err
}
