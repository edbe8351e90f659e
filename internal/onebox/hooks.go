package onebox

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"hookline/internal/api"
)

// InitHook makes a hook folder from an original job, as an author would.
func (d *Deployment) InitHook(ctx context.Context, user, name, job string) (dir string, err error) {
	dir = d.Path(name)
	_, err = d.Hookline(ctx, user, "hook", "init", name, "--dir", dir, "--job", job)
	return dir, err
}

// Submit submits a hook folder and returns the version.
func (d *Deployment) Submit(ctx context.Context, user, dir string) (api.Version, error) {
	var v api.Version
	err := d.JSON(ctx, user, &v, "hook", "submit", dir, "--key", d.Path(user+".key"))
	return v, err
}

// Approve signs a version with a reviewer's key.
func (d *Deployment) Approve(ctx context.Context, user, digest string) (api.Version, error) {
	var v api.Version
	err := d.JSON(ctx, user, &v, "review", "approve", digest, "--key", d.Path(user+".key"), "--yes")
	return v, err
}

// Activate lets a version run.
func (d *Deployment) Activate(ctx context.Context, user, digest string, quantity int) (api.Version, error) {
	var v api.Version
	err := d.JSON(ctx, user, &v, "hook", "activate", digest, "--quantity", fmt.Sprint(quantity))
	return v, err
}

// Version reads a version with everything that people signed.
func (d *Deployment) Version(ctx context.Context, user, digest string) (api.Version, error) {
	var v api.Version
	err := d.JSON(ctx, user, &v, "hook", "show", digest)
	return v, err
}

// Job reads a job.
func (d *Deployment) Job(ctx context.Context, user, id string) (api.Job, error) {
	var j api.Job
	err := d.JSON(ctx, user, &j, "job", "show", id)
	return j, err
}

// AwaitResult waits until an original job has a result.
func (d *Deployment) AwaitResult(ctx context.Context, user, job string) (api.Result, error) {
	var found api.Result
	err := Eventually(ctx, 30*time.Second, func() error {
		j, err := d.Job(ctx, user, job)
		if err != nil {
			return err
		}
		if len(j.Results) == 0 {
			hooks, _ := json.Marshal(j.HookJobs)
			return fmt.Errorf("job %s has no result yet; its hook jobs: %s", job, hooks)
		}
		found = j.Results[0]
		return nil
	})
	return found, err
}

// AwaitRefusal waits until the peer's own record has a refusal for a hook job
// of the original job, and returns its code.
func (p *Peer) AwaitRefusal(ctx context.Context, user, original string) (Record, error) {
	var found Record
	err := Eventually(ctx, 30*time.Second, func() error {
		j, err := p.d.Job(ctx, user, original)
		if err != nil {
			return err
		}
		for _, h := range j.HookJobs {
			records, err := p.Log(ctx, "--job", h.ID)
			if err != nil {
				return err
			}
			for _, r := range records {
				if r.Decision == "refused" || r.Decision == "deferred" {
					found = r
					return nil
				}
			}
		}
		return fmt.Errorf("the peer's record has no refusal for job %s yet", original)
	})
	return found, err
}
