package mongo

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/jobs"
	"hookline/review"
	"hookline/store/archive"
)

// extraField is where a document keeps what an imported archive says of it that
// this version does not know: JSON, for its names may have dots and dollars.
const extraField = "extra"

// extraOf is what a document has that this version does not know: the fields of
// an imported archive, and those that a newer version has written here.
func extraOf(fields bson.M) (archive.Extra, error) {
	extra := archive.Extra{}
	for name, value := range fields {
		if b, ok := value.(bson.Binary); ok && name == extraField {
			var kept archive.Extra // which JSON's null makes nil
			if err := json.Unmarshal(b.Data, &kept); err != nil {
				return nil, fmt.Errorf("the field %s is damaged: %w", extraField, err)
			}
			maps.Copy(extra, kept)
			continue
		}
		raw, err := bson.MarshalExtJSON(bson.D{{Key: "v", Value: value}}, false, false)
		if err != nil {
			return nil, fmt.Errorf("the field %q has no JSON form: %w", name, err)
		}
		var doc map[string]json.RawMessage
		if err := json.Unmarshal(raw, &doc); err != nil {
			return nil, err
		}
		extra[name] = doc["v"]
	}
	if len(extra) == 0 {
		return nil, nil
	}
	return extra, nil
}

// keep is how a document takes the fields that this version does not know.
func keep(extra archive.Extra) (bson.M, error) {
	if len(extra) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(extra)
	return bson.M{extraField: bson.Binary{Data: b}}, err
}

// foreignDoc is a record whose kind this version does not know. Its id is
// "<kind>/<key>"; a kind has no slash.
type foreignDoc struct {
	ID   string       `bson:"_id"`
	Kind archive.Kind `bson:"kind"`
	Key  string       `bson:"key"`
	Data []byte       `bson:"data"` // JSON
}

func foreignID(k archive.Kind, key string) string { return string(k) + "/" + key }

// shelf is where the records of a kind are, but reviews, which stand in their
// versions.
type shelf struct {
	collection *mongo.Collection
	decode     func(bson.Raw) (archive.Record, error)
}

func (d *DB) shelfOf(k archive.Kind) shelf {
	switch k {
	case archive.KindUser:
		return shelf{d.users, records(k, func(v userDoc) (string, any, bson.M, error) {
			return v.Name, v.user(), v.Extra, nil
		})}
	case archive.KindToken:
		return shelf{d.tokens, records(k, func(v tokenDoc) (string, any, bson.M, error) { return v.ID, v.token(), v.Extra, nil })}
	case archive.KindPeer:
		return shelf{d.peers, records(k, func(v peerDoc) (string, any, bson.M, error) { return v.ID, v.peer(), v.Extra, nil })}
	case archive.KindVersion:
		return shelf{d.versions, records(k, func(v versionDoc) (string, any, bson.M, error) { return v.Digest, v.version(), v.Extra, nil })}
	case archive.KindComment:
		return shelf{d.comments, records(k, func(v commentDoc) (string, any, bson.M, error) {
			return archive.CommentKey(v.comment()), v.comment(), v.Extra, nil
		})}
	case archive.KindActivation:
		return shelf{d.activations, records(k, func(v activationDoc) (string, any, bson.M, error) { return v.Digest, v.archived(), v.Extra, nil })}
	case archive.KindJob:
		return shelf{d.jobs, records(k, func(v jobDoc) (string, any, bson.M, error) {
			j, err := v.job()
			return v.ID, j, v.Extra, err
		})}
	case archive.KindProblem:
		return shelf{d.problems, records(k, func(v problemDoc) (string, any, bson.M, error) { return v.ID, v.problem(), v.Extra, nil })}
	case archive.KindResult:
		return shelf{d.results, records(k, func(v resultDoc) (string, any, bson.M, error) { return v.ID, v.result(), v.Extra, nil })}
	case archive.KindAudit:
		return shelf{d.audit, records(k, func(v entryDoc) (string, any, bson.M, error) { return v.ID, v.entry(), v.Extra, nil })}
	default:
		return shelf{d.foreign, records(k, func(v foreignDoc) (string, any, bson.M, error) { return v.Key, archive.Foreign(v.Data), nil, nil })}
	}
}

// records makes a reader of the documents D of a kind.
func records[D any](k archive.Kind, take func(D) (key string, value any, extra bson.M, err error)) func(bson.Raw) (archive.Record, error) {
	return func(raw bson.Raw) (r archive.Record, err error) {
		var doc D
		if err := bson.Unmarshal(raw, &doc); err != nil {
			return r, err
		}
		r.Kind = k
		var extra bson.M
		if r.Key, r.Value, extra, err = take(doc); err != nil {
			return r, err
		}
		r.Extra, err = extraOf(extra)
		return r, err
	}
}

// archived is an activation with its leases that are out.
func (d activationDoc) archived() archive.Activation {
	leases := d.leases("")
	slices.SortFunc(leases, func(a, b collector.Lease) int { return strings.Compare(a.ID, b.ID) })
	return archive.Activation{Activation: d.activation(), Leases: leases}
}

func (d reviewDoc) record(version string) (archive.Record, error) {
	r := d.review(version)
	extra, err := extraOf(d.Extra)
	return archive.Record{Kind: archive.KindReview, Key: archive.ReviewKey(r), Value: r, Extra: extra}, err
}

// documentOf is the document of a record that stands alone: all but reviews.
func documentOf(r archive.Record) (any, error) {
	extra, err := keep(r.Extra)
	if err != nil {
		return nil, err
	}
	switch v := r.Value.(type) {
	case auth.User:
		doc := newUserDoc(v)
		doc.Extra = extra
		return doc, nil
	case auth.Token:
		doc := newTokenDoc(v)
		doc.Extra = extra
		return doc, nil
	case enroll.Peer:
		doc := newPeerDoc(v)
		doc.Extra = extra
		return doc, nil
	case review.Version:
		doc := newVersionDoc(v)
		doc.Extra = extra
		return doc, nil
	case review.Comment:
		doc := newCommentDoc(v)
		doc.Extra = extra
		return doc, nil
	case archive.Activation:
		return activationOf(v, extra), nil
	case jobs.Job:
		return jobOf(v, extra)
	case collector.Problem:
		return problemDoc{
			ID: v.ID, Fingerprint: v.Fingerprint, Package: v.Package, Executable: v.Executable, Reports: v.Reports,
			FirstSeen: v.FirstSeen, LastSeen: v.LastSeen, Extra: extra,
		}, nil
	case collector.Result:
		doc := newResultDoc(v)
		doc.Extra = extra
		return doc, nil
	case auth.Entry:
		doc := newEntryDoc(v)
		doc.Extra = extra
		return doc, nil
	case archive.Foreign:
		return foreignDoc{ID: foreignID(r.Kind, r.Key), Kind: r.Kind, Key: r.Key, Data: v}, nil
	}
	return nil, fmt.Errorf("cannot import a %T", r.Value)
}

// activationOf has the open leases and the room that its ledger leaves.
func activationOf(v archive.Activation, extra bson.M) activationDoc {
	doc, l := newActivationDoc(v.Activation), v.Ledger
	doc.Ledger = ledgerDoc{
		Issued: l.Issued, Leased: l.Leased, Received: l.Received, Empty: l.Empty, Failed: l.Failed, Refused: l.Refused,
		Deferred: l.Deferred, Cancelled: l.Cancelled, TimedOut: l.TimedOut, Bytes: l.Bytes, Reserved: l.Reserved,
	}
	doc.Open, doc.Room = v.Quantity-l.Received-l.Leased, v.MaxBytes-l.Bytes-l.Reserved
	for _, lease := range v.Leases {
		doc.Leases[lease.ID] = leaseDoc{Reserved: lease.Reserved, TakenAt: lease.TakenAt}
	}
	doc.Extra = extra
	return doc
}

// jobOf has what a report's fields make findable; it is counted already.
func jobOf(j jobs.Job, extra bson.M) (jobDoc, error) {
	doc := newJobDoc(j, 0)
	doc.Extra = extra
	if j.Report == nil {
		return doc, nil
	}
	report, err := collector.EncodeReport(j.Report)
	if err != nil {
		return doc, err
	}
	digest := sha256.Sum256(report)
	doc.Report, doc.ReportHash = report, digest[:]
	if j.Workload == jobs.WorkReport {
		doc.Keys = hooks.MatchKeys(j.Report)
	}
	return doc, nil
}
