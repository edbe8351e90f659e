package hookpages

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/code"
	"hookline/internal/web/inwords"
	"hookline/internal/web/kit"
	"hookline/internal/web/live"
	"hookline/review"
)

// versionPage is one version: where it stands, what it brought, what people
// signed, and what an operator may do with it.
type versionPage struct {
	kit.VersionRef
	State      string
	Reason     string // why it goes no further
	Facts      []kit.Fact
	Steps      []step
	Ledger     *kit.Part[ledgerView] // nil before it was ever active
	Results    kit.Part[resultsView]
	Runs       kit.Part[runsView]
	Words      inwords.Words
	Signatures inwords.Signatures
	Script     []code.Line
	Manifest   []code.Line
	Long       int // lines of the script that are long
	Statement  kit.Field
	Operate    operate
}

func (p *pages) version(r *kit.Request) (kit.Answer, error) { return p.versionWith(r, "", nil) }

// versionWith shows the page again after a form that was refused, why as
// refused says.
func (p *pages) versionWith(r *kit.Request, form string, refused error) (kit.Answer, error) {
	l, err := p.Store.Life(r.Context(), r.ID("digest"))
	if err != nil {
		return nil, err
	}
	v := l.Version
	st, err := hooks.ParseStatement(v.Statement)
	if err != nil {
		return nil, fmt.Errorf("stored statement: %w", err)
	}
	var statement bytes.Buffer
	if err := json.Indent(&statement, v.Statement, "", "  "); err != nil {
		return nil, fmt.Errorf("stored statement: %w", err)
	}
	until := time.Unix(st.Predicate.NotAfter, 0)
	signatures := inwords.SignaturesOf(p.Rules(), l)
	page := versionPage{
		VersionRef: refOf(v), State: string(l.State()), Facts: versionFacts(r, l, st),
		Steps: steps(l, signatures, until), Words: inwords.Statement(st), Signatures: signatures, Reason: reason(l),
		Script: p.Painter.Lua(v.Script), Manifest: p.Painter.YAML(v.Manifest),
		Statement: kit.NewField("Statement, the object that people signed", statement.String()),
	}
	if page.Operate, err = p.operate(r, l, st.Predicate, form, refused); err != nil {
		return nil, err
	}
	for _, line := range page.Script {
		if line.Long {
			page.Long++
		}
	}
	if a := l.Activation; a != nil {
		ledger := kit.Load(r, "ledger", func(context.Context) (ledgerView, error) { return ledgerOf(*a) })
		page.Ledger = &ledger
		page.Results = kit.Load(r, "results", func(ctx context.Context) (resultsView, error) {
			return p.results(ctx, versionFilter(v.Digest), st.Predicate.Fields)
		})
		page.Runs = kit.Load(r, "runs", func(ctx context.Context) (runsView, error) { return p.runs(ctx, v.Digest, maxRuns) })
	}
	view := p.View("version", "Hook "+page.Name()+", "+v.Digest, sectionName, page)
	return view.Follow([]string{live.Version(v.Digest)}, []string{"state", "ledger", "results", "runs"}), nil
}

func versionFacts(r *kit.Request, l review.Life, st hooks.Statement) []kit.Fact {
	v, p := l.Version, st.Predicate
	facts := []kit.Fact{
		{Name: "Hook", Cell: kit.Text(v.Hook).To("/hooks/" + url.PathEscape(v.Hook))},
		{Name: "Version digest", Cell: kit.ID(v.Digest, "/versions/"+v.Digest)},
		{Name: "Submitted by", Cell: kit.Text(v.SubmittedBy)},
		{Name: "Submitted", Cell: kit.Time(v.SubmittedAt)},
		{Name: "Signed until", Cell: kit.Time(time.Unix(p.NotAfter, 0))},
		{Name: "Review", Cell: kit.Text("difference, comments").To("/versions/" + v.Digest + "/review")},
	}
	if r.May(auth.AuditRead) {
		facts = append(facts, kit.Fact{Name: "Audit", Cell: kit.Text("what people did to it").To("/audit?target=version/" + v.Digest)})
	}
	return facts
}
