package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hookline/collector"
	"hookline/internal/jobs"
	"hookline/store"
)

// withoutContents reads a job without its report and result.
func withoutContents() m {
	return m{{Key: "report", Value: 0}, {Key: "report_sha256", Value: 0}, {Key: "keys", Value: 0}, {Key: "result", Value: 0}}
}

func jobAlone() *options.FindOneOptionsBuilder {
	return options.FindOne().SetProjection(withoutContents())
}

// MarkSent stamps a pending job sent; first is true for one caller only, and
// never for a job that is no longer pending.
func (d *DB) MarkSent(ctx context.Context, id string, now time.Time) (bool, error) {
	first, err := d.change(ctx, d.jobs,
		m{{Key: "_id", Value: id}, {Key: "status", Value: jobs.Pending}, {Key: "sent_at", Value: m{{Key: "$exists", Value: false}}}},
		m{{Key: "$set", Value: m{{Key: "sent_at", Value: now}}}})
	if first || err != nil {
		return first, err
	}
	_, err = d.hookJob(ctx, id)
	return false, err
}

// MarkAcked stamps jobs acknowledged, each once.
func (d *DB) MarkAcked(ctx context.Context, acks []collector.Ack) error {
	if len(acks) == 0 {
		return nil
	}
	models := make([]mongo.WriteModel, len(acks))
	for i, ack := range acks {
		models[i] = mongo.NewUpdateOneModel().
			SetFilter(m{{Key: "_id", Value: ack.JobID}, {Key: "workload", Value: jobs.WorkHook}, {Key: "acked_at", Value: m{{Key: "$exists", Value: false}}}}).
			SetUpdate(m{{Key: "$set", Value: m{{Key: "acked_at", Value: ack.At}}}})
	}
	_, err := d.jobs.BulkWrite(ctx, models)
	return d.failed(err)
}

// hookJob reads a hook job; errs.CodeNotFound.
func (d *DB) hookJob(ctx context.Context, id string) (jobs.Job, error) {
	doc, err := one[jobDoc](ctx, d, d.jobs, m{{Key: "_id", Value: id}, {Key: "workload", Value: jobs.WorkHook}}, jobAlone())
	if none(err) {
		return jobs.Job{}, store.NoJob(id)
	}
	if err != nil {
		return jobs.Job{}, err
	}
	return doc.job()
}

// Job reads a job with its report; errs.CodeNotFound.
func (d *DB) Job(ctx context.Context, id string) (jobs.Job, error) {
	doc, err := one[jobDoc](ctx, d, d.jobs, byID(id), options.FindOne().SetProjection(m{{Key: "result", Value: 0}}))
	if none(err) {
		return jobs.Job{}, store.NoJob(id)
	}
	if err != nil {
		return jobs.Job{}, err
	}
	return doc.job()
}

// Jobs lists jobs without their reports.
func (d *DB) Jobs(ctx context.Context, f jobs.Filter) ([]jobs.Job, error) {
	return d.jobList(ctx, jobsFilter(f), byAge(f.Oldest), store.Page(f.Limit, store.MaxPage), withoutContents())
}

func jobsFilter(f jobs.Filter) m {
	return narrowed(within(f.From, f.Until, f.After, f.Oldest), []equality{
		{"peer_id", f.PeerID},
		{"problem_id", f.ProblemID},
		{"original_id", f.Original},
		{"version", f.Version},
		{"workload", string(f.Workload)},
		{"status", string(f.Status)},
	})
}

func (d *DB) jobList(ctx context.Context, filter, sort m, limit int, projection m) ([]jobs.Job, error) {
	docs, err := list[jobDoc](ctx, d, d.jobs, filter, sort, limit, projection)
	if err != nil {
		return nil, err
	}
	var out []jobs.Job
	for _, doc := range docs {
		j, err := doc.job()
		if err != nil {
			return nil, err
		}
		out = append(out, j)
	}
	return out, nil
}
