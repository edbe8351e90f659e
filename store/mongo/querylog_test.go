package mongo

import (
	"encoding/json"
	"strings"
	"testing"

	"hookline/collector"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/jobs"
	"hookline/internal/querylog"
	"hookline/internal/wiretest"
	"hookline/store"
)

// The log has each command once, what it read, and no value of anybody's.
func TestQueryLog(t *testing.T) {
	a := newActing(t)
	noError(t, a.AddPeer(a.ctx, enroll.Peer{ID: "secret", SPKI: "secret", Name: "secret"}))
	for name, c := range map[string]struct {
		do    func(a acting) error
		query []string
		rows  int64
	}{
		"one document": {
			func(a acting) error { _, err := a.Peer(a.ctx, "secret"); return err },
			[]string{`{"find":"peers","filter":{"_id":"?"},"limit":1,"singleBatch":true}`},
			1,
		},
		"a page": {
			func(a acting) error {
				_, err := a.PeersBy(a.ctx, enroll.PeerFilter{Online: true, Sort: enroll.ByName, After: "secret/secret", Limit: 7})
				return err
			},
			[]string{`{"find":"peers","batchSize":8,"filter":{"online":"?","name":{"$gte":"?"},"$or":[{"name":{"$gt":"?"}},{"_id":{"$gt":"?"}}]},"limit":7,"sort":{"name":1,"_id":1}}`},
			0,
		},
		"one of a list": {
			func(a acting) error { _, err := a.ActiveByKeys(a.ctx, []string{"secret", "secret too"}); return err },
			[]string{`{"find":"activations","batchSize":10001,"filter":{"keys":{"$in":["?"]},"state":"?"},"limit":10000,"projection":{"leases":0},"sort":{"_id":1}}`},
			0,
		},
		"a count": {
			func(a acting) error {
				_, err := a.count(a.ctx, a.jobs, jobsFilter(jobs.Filter{PeerID: "secret"}), 9)
				return err
			},
			[]string{`{"aggregate":"jobs","pipeline":[{"$match":{"_id":{"$lt":"?"},"peer_id":"?"}},{"$limit":9},{"$group":{"_id":1,"n":{"$sum":1}}}]}`},
			0,
		},
		"an update and a lease's name": {
			func(a acting) error { return ignoreNone(onlyError(a.reserve(a.ctx, "secret", "secret", 3))) },
			[]string{`{"findAndModify":"activations","new":true,"query":{"_id":"?","leases.?":{"$exists":"?"},"room":{"$gte":"?"}},"update":{"$inc":{"leases.?.reserved":"?","ledger.reserved":"?","room":"?"}}}`},
			0,
		},
		"a person's action": {
			func(a acting) error {
				return a.SetLabels(a.ctx, "secret", []string{"secret"}, a.grant(auth.HooksSubmit))
			},
			[]string{
				`{"insert":"audit","ordered":true,"documents":[{"_id":"?","at":"?","actor":"?","token_id":"?","action":"?","target":"?","detail":"?","outcome":"?","todo":"?","where":"?"}]}`,
				`{"update":"peers","ordered":true,"updates":[{"q":{"_id":"?"},"u":{"$set":{"labels":["?"],"audit":"?"}}}]}`,
				`{"update":"audit","ordered":true,"updates":[{"q":{"_id":"?"},"u":{"$set":{"outcome":"?"},"$unset":{"todo":"?","where":"?","undo":"?"}}}]}`,
			},
			0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, log := querylog.With(t.Context())
			noError(t, c.do(acting{t, a.DB, ctx}))
			var queries []string
			for _, e := range log.Entries() {
				queries = append(queries, e.Query)
				if !json.Valid([]byte(e.Query)) || strings.Contains(e.Query, "secret") || e.Took <= 0 {
					t.Errorf("%+v", e)
				}
			}
			same(t, queries, c.query)
			n, rows, _ := log.Sum()
			same(t, n, int64(len(c.query)))
			same(t, rows, c.rows)
		})
	}
}

func onlyError[T any](_ T, err error) error { return err }

// A command that fails is one, too.
func TestQueryLogOfFailure(t *testing.T) {
	f := newFake(t, wire(13), nil)
	d := opened(t, "mongodb://"+f.address, Options{})
	f.on("find", failure(1, "InternalError", "no"))
	ctx, log := querylog.With(t.Context())
	if _, err := d.Problems(ctx, collector.ProblemFilter{}); err == nil {
		t.Error("it did not fail")
	}
	if n, rows, _ := log.Sum(); n == 0 || rows != 0 || !strings.HasPrefix(log.Entries()[0].Query, `{"find":"problems"`) {
		t.Errorf("%+v", log.Entries())
	}
}

func TestFacts(t *testing.T) {
	address := wiretest.With(wiretest.Address(t), "connectTimeoutMS", "20000")
	f, err := opened(t, address, Options{}).Facts(t.Context())
	noError(t, err)
	before, _, _ := strings.Cut(address, "?")
	server := f.Server
	f.Server = ""
	same(t, f, store.Facts{Kind: "mongodb", Address: before, Schema: "2"})
	if wiretest.Real() == strings.HasPrefix(server, "FerretDB 1.") {
		t.Errorf("the server is %q", server)
	}
}
