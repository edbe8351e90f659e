package hookpages

import "context"

// Looked tells at how many runs a page of this version looks that looks at
// most at so many, and whether it says that there are more.
func Looked(ctx context.Context, s Store, digest string, most int64) (looked int64, more bool, err error) {
	v, err := (&pages{Parts: Parts{Store: s}}).runs(ctx, digest, most)
	return v.Looked, v.More, err
}
