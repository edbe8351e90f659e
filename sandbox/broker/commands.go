package broker

import (
	"hookline/sandbox"
	"hookline/sandbox/calls"
	"hookline/sandbox/wire"
)

// List implements calls.Host.
func (h *Host) List(string, calls.Rules) ([]string, error) { return nil, calls.Failed("not yet") }

// Stat implements calls.Host.
func (h *Host) Stat(string, calls.Rules) (wire.FileInfo, error) {
	return wire.FileInfo{}, calls.Failed("not yet")
}

// Run implements calls.Host.
func (h *Host) Run(string, []string) (sandbox.CommandOutput, error) {
	return sandbox.CommandOutput{}, calls.Failed("not yet")
}
