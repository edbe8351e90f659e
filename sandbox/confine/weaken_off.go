//go:build !weaken

package confine

// weakened is empty: what was built without the tag cannot leave out a layer.
const weakened = ""
