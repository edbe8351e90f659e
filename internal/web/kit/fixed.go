package kit

// Fixed shows a few rows that are all there is, or all that the page says they
// are, with the template "rows": without filters, further pages, or exports.
func (t Table[T]) Fixed(rows []T) TableView {
	v := TableView{Name: t.Name, Empty: t.Empty}
	for _, c := range t.Columns {
		if !c.Only {
			v.Heads = append(v.Heads, head{Text: c.Head, Wide: c.Wide})
		}
	}
	for _, one := range rows {
		v.Rows = append(v.Rows, t.row(one))
	}
	v.align()
	return v
}
