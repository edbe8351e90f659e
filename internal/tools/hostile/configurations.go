package main

import (
	"os"

	"hookline/sandbox"
)

// The layers that are switched off, one at a time. "files" is the empty root
// directory of a root guard's worker.
const (
	layerLandlock   = sandbox.LayerLandlock
	layerNamespaces = sandbox.LayerNamespaces
	layerSeccomp    = "seccomp"
	layerLimits     = "limits"
	layerUser       = "user"
	layerFiles      = "files"
)

// A configuration is who the guard is and what of the confinement is missing.
type configuration struct {
	user bool   // an ordinary user, not root
	off  string // a layer that is switched off; "abi=1" for landlock as older kernels have it; "" for none
}

func (c configuration) name() string {
	name := "root"
	if c.user {
		name = "user"
	}
	switch {
	case c.off == "":
		return name
	case c.off[:3] == "abi":
		return name + " " + c.off
	}
	return name + " -" + c.off
}

// weakened is what the small binary is built to leave out, "" for nothing.
// Namespaces are made by the guard: there one without the right to is run.
func (c configuration) weakened() string {
	if c.off == layerNamespaces {
		return ""
	}
	return c.off
}

// without is what the owner of such a machine has to accept.
func (c configuration) without() []string {
	if c.off == layerNamespaces {
		return []string{sandbox.LayerNamespaces}
	}
	return nil
}

// configurations are all that this process can be: those of root only as root.
func configurations() []configuration {
	var all []configuration
	if os.Geteuid() == 0 {
		for _, off := range []string{"", layerLandlock, layerSeccomp, layerLimits, layerUser, layerFiles, layerNamespaces, "abi=1", "abi=2", "abi=3"} {
			all = append(all, configuration{off: off})
		}
	}
	for _, off := range []string{"", layerLandlock, layerSeccomp, layerLimits, "abi=1", "abi=2", "abi=3"} {
		all = append(all, configuration{user: true, off: off})
	}
	return all
}
