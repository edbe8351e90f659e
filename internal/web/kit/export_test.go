package kit_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"hookline/internal/auth"
	"hookline/internal/web/kit"
	"hookline/internal/web/kit/kittest"
)

// Spreadsheets of some countries end a cell at a semicolon, in quotes or not.
func TestNoFormulaBehindASemicolon(t *testing.T) {
	evil := "a;=cmd|' /C calc'!A0;\n@b;\t+c; -d"
	raw, err := json.Marshal(map[string]any{evil: evil, "n": -1})
	if err != nil {
		t.Fatal(err)
	}
	table := list(1, func(int64) string { return evil })
	table.Columns = append(table.Columns, kit.Column[one]{Name: "raw", Cell: func(one) kit.Cell { return kit.JSON(raw, "") }, Only: true})
	s := serve(t, func(templates *kit.Templates) []kit.Route { return []kit.Route{listRoute(templates, table)} })
	body := s.Want("/list?format=csv", auth.RoleViewer)
	for _, cell := range strings.FieldsFunc(body, func(r rune) bool { return r == ';' || r == '\n' || r == '\t' }) {
		if strings.ContainsAny(cell[:1], "=+-@") {
			t.Errorf("%q is a formula", cell)
		}
	}
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if want := "a;'=cmd|' /C calc'!A0;\n'@b;\t'+c; -d"; rows[1][1] != want {
		t.Errorf("the text is %q", rows[1][1])
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(rows[1][4]), &got); err != nil || got[evil] != evil || got["n"] != -1.0 {
		t.Errorf("%v: the fields are %s", err, rows[1][4])
	}
}

// An export ends with the session of who asked for it.
func TestAnExportEndsWithTheSession(t *testing.T) {
	table := list(1000, func(i int64) string { return fmt.Sprint(i) })
	fetch, asked := table.Fetch, 0
	var s *kittest.Site
	table.Fetch = func(ctx context.Context, after string, limit int) ([]one, error) {
		if asked++; asked == 2 {
			s.Leave()
		}
		return fetch(ctx, after, limit)
	}
	s = serve(t, func(templates *kit.Templates) []kit.Route { return []kit.Route{listRoute(templates, table)} })
	defer func() {
		if got, _ := recover().(error); !errors.Is(got, http.ErrAbortHandler) || asked != 2 {
			t.Errorf("it ended with %v after %d pages", got, asked)
		}
	}()
	s.Get("/list?format=csv", auth.RoleViewer)
}

// Exports wait for whoever reads them, so one person has a few at a time, and
// all people not many.
func TestExportsAreBounded(t *testing.T) {
	table := list(3, func(i int64) string { return fmt.Sprint(i) })
	var waiting []auth.Role
	var s *kittest.Site
	refused := map[auth.Role]int{}
	next := func() { // asks for the next export while those before it run
		for len(waiting) > 0 {
			role := waiting[0]
			waiting = waiting[1:]
			a := s.Get("/list?format=csv", role)
			if a.Status == http.StatusOK {
				return
			}
			refused[role] = a.Status
		}
	}
	fetch := table.Fetch
	table.Fetch = func(ctx context.Context, after string, limit int) ([]one, error) {
		next()
		return fetch(ctx, after, limit)
	}
	s = serve(t, func(templates *kit.Templates) []kit.Route { return []kit.Route{listRoute(templates, table)} })
	for _, role := range []auth.Role{auth.RoleViewer, auth.RoleAuthor, auth.RoleReviewer, auth.RoleOperator} {
		waiting = append(waiting, role, role, role, role)
	}
	waiting = append(waiting, auth.RoleViewer, auth.RoleAdmin)
	next()
	if want := map[auth.Role]int{auth.RoleViewer: http.StatusTooManyRequests, auth.RoleAdmin: http.StatusServiceUnavailable}; !maps.Equal(refused, want) || len(waiting) > 0 {
		t.Errorf("refused are %v", refused)
	}
	for range 2 {
		s.Want("/list?format=csv", auth.RoleViewer) // all have ended
	}
}

// One person has a few pages made at a time; streams that are open do not count.
func TestPagesAreBounded(t *testing.T) {
	table := list(3, func(i int64) string { return fmt.Sprint(i) })
	var s *kittest.Site
	var statuses []int
	left := 40
	next := func(path string) {
		if left--; left > 0 {
			statuses = append(statuses, s.Get(path, auth.RoleViewer).Status) // while this one is under way
		}
	}
	fetch := table.Fetch
	table.Fetch = func(ctx context.Context, after string, limit int) ([]one, error) {
		next("/list")
		return fetch(ctx, after, limit)
	}
	stream := func(*kit.Request) (kit.Answer, error) {
		return kit.Raw(func(http.ResponseWriter, *kit.Request) error {
			next("/stream")
			return nil
		}), nil
	}
	s = serve(t, func(templates *kit.Templates) []kit.Route {
		return []kit.Route{listRoute(templates, table), {Method: "GET", Path: "/stream", Access: kit.SignedIn, Page: stream}}
	})
	s.Want("/list", auth.RoleViewer)
	if len(statuses) != 16 || statuses[0] != http.StatusTooManyRequests || statuses[1] != http.StatusOK {
		t.Errorf("pages: %v", statuses)
	}
	left, statuses = 20, nil
	s.Want("/stream", auth.RoleViewer)
	if len(statuses) != 19 || slices.Max(statuses) != http.StatusOK {
		t.Errorf("streams: %v", statuses)
	}
}
