package main

import (
	"context"
	"encoding/json"
	"slices"

	"hookline/internal/guard"
)

// latest stands for the hook job that was decided last.
const latest = "latest"

// linesOf reads the lines of a job that a person named.
func (a *app) linesOf(ctx context.Context, job string) ([]json.RawMessage, error) {
	if job != latest {
		return a.lines(ctx, job)
	}
	all, err := a.lines(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, line := range slices.Backward(all) {
		e, err := entryOf(line)
		if err != nil {
			return nil, err
		}
		if e.Kind == guard.KindDecision && e.JobID != "" {
			return a.lines(ctx, e.JobID)
		}
	}
	return nil, nil
}
