package confine

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hookline/sandbox"
)

// MissingError says that a layer of the confinement cannot be had here. Where
// the owner accepts to do without it, the others must do.
type MissingError struct {
	Layer string // sandbox.LayerLandlock or sandbox.LayerNamespaces
	Err   error
}

// Error implements error.
func (e *MissingError) Error() string {
	return fmt.Sprintf("the layer %s is missing: %v; the owner can accept that with sandbox.allow_without", e.Layer, e.Err)
}

// Unwrap returns the reason.
func (e *MissingError) Unwrap() error { return e.Err }

func missing(layer string, err error) error { return &MissingError{Layer: layer, Err: err} }

// Without reads a list of layers that may be missing, "landlock,namespaces".
// There are no others that a process could do without.
func Without(list string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	layers := strings.Split(list, ",")
	for _, l := range layers {
		if l != sandbox.LayerLandlock && l != sandbox.LayerNamespaces {
			return nil, fmt.Errorf("no layer %.20q can be done without", l)
		}
	}
	return layers, nil
}

// step is one step of a confinement, named as what cannot be done where it fails.
type step struct {
	name  string
	layer string // what tests leave out, in a build for that; "" is always done
	do    func() error
}

// steps takes all steps in order. A missing layer is passed over where it is
// among without; any other failure ends it.
func steps(without []string, all []step) error {
	for _, s := range all {
		if left(s.layer) {
			continue
		}
		err := s.do()
		var m *MissingError
		if errors.As(err, &m) && slices.Contains(without, m.Layer) {
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot %s: %w", s.name, err)
		}
	}
	return nil
}

// left reports whether a layer is left out, for tests of the others.
func left(layer string) bool {
	return weakened != "" && layer != "" && slices.Contains(strings.Split(weakened, ","), layer)
}

// capABI is the version of landlock to use where the kernel has abi.
func capABI(abi int) int {
	if weakened == "" {
		return abi
	}
	for word := range strings.SplitSeq(weakened, ",") {
		if n, err := strconv.Atoi(strings.TrimPrefix(word, "abi=")); err == nil {
			return min(abi, n)
		}
	}
	return abi
}
