//go:build !amd64

package attack

// oldAttacks are none: this architecture never had the old calls.
func oldAttacks() []Attack { return nil }
