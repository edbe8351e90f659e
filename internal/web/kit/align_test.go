package kit_test

import (
	"net/http"
	"strings"
	"testing"

	"hookline/internal/auth"
	"hookline/internal/web/kit"
)

// Columns of numbers are at the right, with what stands in place of one; a
// word among values keeps a column where words begin.
func TestAlign(t *testing.T) {
	long := strings.Repeat("x", 21)
	rows := [][]kit.Cell{
		{kit.Number(3).With("of 40"), kit.Value("-1.5"), kit.Value("7"), kit.Code("7"), kit.Text("two words, both short")},
		{kit.Text(""), kit.Value(""), kit.Value("seven"), kit.Code("8"), kit.Text(long)},
	}
	table := kit.Table[[]kit.Cell]{Name: "t"}
	for i, head := range []string{"count", "figures", "mixed", "code", "words"} {
		table.Columns = append(table.Columns, kit.Column[[]kit.Cell]{Head: head, Cell: func(row []kit.Cell) kit.Cell { return row[i] }})
	}
	v := table.Fixed(rows)
	for i, want := range []bool{true, true, false, false, false} {
		for _, r := range v.Rows {
			if v.Heads[i].Number != want || r.Cells[i].Right != want {
				t.Errorf("%s: head at the right %t, cell %q %t, want %t", v.Heads[i].Text, v.Heads[i].Number, r.Cells[i].Text, r.Cells[i].Right, want)
			}
		}
	}
	if v.Rows[0].Cells[4].Any || !v.Rows[1].Cells[4].Any {
		t.Errorf("short words may break %t, a long one %t", v.Rows[0].Cells[4].Any, v.Rows[1].Cells[4].Any)
	}
}

// Machines of one name are told apart by their ids, of which pages show the
// begin and exports all.
func TestPeersOfOneName(t *testing.T) {
	a, b := "66c67e77"+strings.Repeat("a", 24), "1234abcd"+strings.Repeat("b", 24)
	table := list(3, func(int64) string { return "" })
	table.Columns = []kit.Column[one]{{Name: "peer", Head: "Peer", Cell: func(o one) kit.Cell {
		return []kit.Cell{kit.Peer(a, "vm"), kit.Peer(b, "vm"), kit.Peer(a, "")}[o.id-1]
	}}, {Name: "hostile", Head: "Hostile", Cell: func(one) kit.Cell { return kit.Peer(b, "<b>\u202e"+strings.Repeat("x ", 50)) }}}
	s := serve(t, func(templates *kit.Templates) []kit.Route { return []kit.Route{listRoute(templates, table)} })
	page := s.Want("/list", auth.RoleViewer)
	for _, want := range []string{
		`<a href="/peers/` + a + `" title="` + a + `">vm <span class="id">66c67e77</span></a>`,
		`<a href="/peers/` + b + `" title="` + b + `">vm <span class="id">1234abcd</span></a>`,
		`<a class="id" href="/peers/` + a + `" title="` + a + `">66c67e77</a>`,
		`&lt;b&gt;`, `… <span class="id">1234abcd</span></a>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s:\n%s", want, page)
		}
	}
	if strings.Contains(page, "\u202e") || strings.Contains(page, "<b>") {
		t.Errorf("a name is more than text:\n%s", page)
	}
	if got := s.Get("/list?format=csv", auth.RoleViewer); got.Status != http.StatusOK || !strings.Contains(got.Body, "peer,hostile\n"+a+","+b+"\n"+b+","+b+"\n") {
		t.Errorf("the export has:\n%s", got.Body)
	}
}
