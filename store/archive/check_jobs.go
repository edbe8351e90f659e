package archive

import (
	"errors"
	"fmt"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/jobs"
)

func (c *checker) job(j jobs.Job) error {
	if err := atMost(j.Bytes, j.Denied); err != nil {
		return err
	}
	switch j.Workload {
	case jobs.WorkReport, jobs.WorkBundle:
		return c.report(j)
	case jobs.WorkHook:
		return c.hookJob(j)
	}
	return fmt.Errorf("there is no workload %q", clip(string(j.Workload)))
}

func (c *checker) report(j jobs.Job) error {
	if j.Workload == jobs.WorkReport && (j.Status != jobs.Succeeded || j.Report == nil) {
		return errors.New("a report is there and has succeeded")
	}
	if j.Outcome != "" {
		return errors.New("a report has no outcome")
	}
	if len(j.Report.Canonical()) > hooks.MaxReportBytes {
		return fmt.Errorf("its report has more than %d bytes", hooks.MaxReportBytes)
	}
	m := markOf(j.ID)
	c.reports[m] = struct{}{}
	delete(c.originals, m)
	return nil
}

func (c *checker) hookJob(j jobs.Job) error {
	a, ok := c.activations[markOf(j.Version)]
	switch {
	case !ok:
		return fmt.Errorf("there is no activation of version %q", clip(j.Version))
	case j.Report != nil:
		return errors.New("a hook job has no report")
	case j.Status == jobs.Pending && j.Outcome != "":
		return errors.New("a pending job has no outcome")
	case j.Final() && j.Status != jobs.StatusOf(j.Outcome):
		return fmt.Errorf("a job with outcome %q is not %s", clip(string(j.Outcome)), j.Status)
	}
	if _, there := c.reports[markOf(j.OriginalID)]; !there && j.OriginalID != "" {
		c.originals[markOf(j.OriginalID)] = clip(j.ID)
	}
	if j.Status != jobs.Failed {
		if err := c.once("version and original job", j.Version, j.OriginalID); err != nil {
			return err
		}
	}
	a.counts.Issued++
	a.counts.Leased++
	return c.lease(a, j)
}

// lease holds a pending job against its lease, and counts one that has ended.
func (c *checker) lease(a *expected, j jobs.Job) error {
	m, peer := markOf(j.ID), markOf(j.PeerID)
	out, leased := c.leases[m]
	delete(c.leases, m)
	switch {
	case j.Status == jobs.Pending:
		if !leased || out.version != markOf(j.Version) {
			return errors.New("it is pending, and its lease is not out")
		}
		if c.pending[peer]++; c.pending[peer] > jobs.MaxHooksPerPeer {
			return fmt.Errorf("its peer has more than %d pending hook jobs", jobs.MaxHooksPerPeer)
		}
	case j.Status != jobs.Succeeded && j.Status != jobs.Failed:
		return fmt.Errorf("there is no status %q", clip(string(j.Status)))
	case leased:
		return fmt.Errorf("it has %s, and its lease is out", j.Status)
	default:
		a.counts.Settle(j.Outcome, j.Bytes)
	}
	if j.Outcome == hooks.OutcomeReceived {
		c.received[m] = j.Bytes
	}
	return nil
}

func (c *checker) result(r collector.Result) error {
	m := markOf(r.ID)
	size, ok := c.received[m]
	switch {
	case !ok:
		return errors.New("there is no job that has received it")
	case size != r.Bytes, len(r.Fields) > hooks.MaxResultBytes, int64(len(r.Fields)) != r.Bytes:
		return fmt.Errorf("it has %d bytes and says %d, and its job %d", len(r.Fields), r.Bytes, size)
	}
	delete(c.received, m)
	return nil
}

// end looks at what only the whole shows.
func (c *checker) end() error {
	for _, l := range c.leases {
		return fmt.Errorf("lease %q of version %s has no job", l.id, c.activations[l.version].digest)
	}
	for _, id := range c.originals {
		return fmt.Errorf("the original of hook job %q is not there", id)
	}
	if n := len(c.received); n > 0 {
		return fmt.Errorf("the results of %d jobs are not there", n)
	}
	if err := c.answered(); err != nil {
		return err
	}
	for _, a := range c.activations {
		want := a.counts
		want.Reserved = a.says.Reserved
		if a.says != want {
			return fmt.Errorf("the ledger of version %s is %+v, and its jobs add up to %+v", a.digest, a.says, want)
		}
	}
	return nil
}
