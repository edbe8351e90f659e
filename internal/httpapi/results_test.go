package httpapi

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"hookline/collector"
)

// manyResults are 100 results of a megabyte, by descending id.
type manyResults struct{}

func (manyResults) Result(context.Context, string) (collector.Result, error) {
	return collector.Result{}, nil
}

func (manyResults) Results(_ context.Context, f collector.ResultFilter) ([]collector.Result, error) {
	var out []collector.Result
	for i := 100; i > 0 && len(out) < f.Limit; i-- {
		if id := fmt.Sprintf("%03d", i); f.After == "" || id < f.After {
			out = append(out, collector.Result{ID: id, Fields: []byte(`"` + strings.Repeat("x", 1<<20) + `"`)})
		}
	}
	return out, nil
}

// Large results make short pages, which together have all of them.
func TestPagesOfResultsAreBounded(t *testing.T) {
	s := &service{Parts: Parts{Results: manyResults{}}}
	in, seen := &resultsQuery{Listing: Listing{Limit: 200}}, 0
	for {
		page, err := s.listResults(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		bytes := 0
		for _, r := range page.Items {
			seen++
			bytes += len(r.Fields)
			if want := fmt.Sprintf("%03d", 101-seen); r.ID != want {
				t.Fatalf("result %s, want %s", r.ID, want)
			}
		}
		if bytes > 16<<20 {
			t.Fatalf("a page of %d bytes", bytes)
		}
		if page.Next == "" {
			break
		}
		in.After = page.Next
	}
	if seen != 100 {
		t.Errorf("%d results", seen)
	}
	page, err := s.listResults(t.Context(), &resultsQuery{Listing: Listing{Limit: 3}})
	if err != nil || len(page.Items) != 3 || page.Next != "098" {
		t.Errorf("three: %d, next %q, %v", len(page.Items), page.Next, err)
	}
}
