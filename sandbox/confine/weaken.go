//go:build weaken

package confine

// weakened lists layers that this build leaves out, "landlock,seccomp", and a
// version of landlock that it does not go beyond, "abi=2". It exists only with
// the build tag weaken, and is set by the linker: tests show with it that an
// attack which one layer lets through meets another.
var weakened string
