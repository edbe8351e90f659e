//go:build !amd64

package confine

// oldOpen is the open that tells no folder, 0 for none.
const oldOpen = 0

// oldReadAndPrint are calls that newer architectures do not have.
func oldReadAndPrint() []uint32 { return nil }
