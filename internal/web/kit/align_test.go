package kit_test

import (
	"strings"
	"testing"

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
