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
	a, err := run(ctx, d.env(""), "", d.Bin.Path("tamper"), "-db", d.Path("server", "hookline.db"), "-what", what, "-id", id, "-file", file)
	if err == nil && a.Code != 0 {
		err = fmt.Errorf("cannot tamper with %s of %s: %s", what, id, a.Stderr)
	}
	return err
}
