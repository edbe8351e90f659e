package onebox

import (
	"context"
	"fmt"
	"os"
)

// CheckStore fails where the deployment's MongoDB database has anything in it.
func (d *Deployment) CheckStore(ctx context.Context) error { return d.wipe(ctx, "-check") }

// WipeStore drops everything in the deployment's MongoDB database.
func (d *Deployment) WipeStore(ctx context.Context) error { return d.wipe(ctx) }

func (d *Deployment) wipe(ctx context.Context, flags ...string) error {
	file := d.Path(storeFile)
	if err := os.WriteFile(file, []byte(d.Store+"\n"), 0o600); err != nil {
		return err
	}
	a, err := run(ctx, d.env(""), "", append([]string{d.Bin.Path("wipe"), "-store-file", file}, flags...)...)
	if err == nil && a.Code != 0 {
		err = fmt.Errorf("cannot use the database: %s", a.Stderr)
	}
	return err
}
