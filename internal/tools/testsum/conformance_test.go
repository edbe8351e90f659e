package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// conformed is the conformance suite on two backends: groups, cases, one case
// with cases of its own, and one that is gated.
const conformed = `{"Action":"pass","Package":"hookline/store/sqlite","Test":"TestConformance/jobs/one"}
{"Action":"pass","Package":"hookline/store/sqlite","Test":"TestConformance/jobs"}
{"Action":"pass","Package":"hookline/store/sqlite","Test":"TestConformance"}
{"Action":"pass","Package":"hookline/store/sqlite","Test":"TestOther/jobs/one"}
{"Action":"pass","Package":"hookline/store/mongo","Test":"TestConformance/jobs/one"}
{"Action":"pass","Package":"hookline/store/mongo","Test":"TestConformance/cut/Lease/whole"}
{"Action":"fail","Package":"hookline/store/mongo","Test":"TestConformance/cut/Lease"}
{"Action":"output","Package":"hookline/store/mongo","Test":"TestConformance/races/one","Output":"    a_test.go:12: gated: it has one connection\n"}
{"Action":"skip","Package":"hookline/store/mongo","Test":"TestConformance/races/one"}
{"Action":"output","Package":"hookline/store/mongo","Test":"TestConformance","Output":"    a_test.go:9: backend: FerretDB 1.24.2\n"}
{"Action":"fail","Package":"hookline/store/mongo","Test":"TestConformance"}
`

func TestConformanceOfBackends(t *testing.T) {
	var out bytes.Buffer
	s := &summary{out: &bytes.Buffer{}, output: map[string]*strings.Builder{}}
	if err := s.read(strings.NewReader(conformed)); err != nil {
		t.Fatal(err)
	}
	s.out = &out
	s.conformance()
	want := `conformance store/sqlite: 1 passed, 0 failed, 0 gated
conformance store/mongo on FerretDB 1.24.2: 2 passed, 1 failed, 1 gated
  gated: races/one: a_test.go:12: gated: it has one connection
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("printed (-want +got):\n%s", diff)
	}
}
