package admin

import (
	"context"
	"slices"
	"strings"

	"hookline/internal/auth"
	"hookline/internal/web/kit"
)

// roleChoice is a checkbox of a role.
type roleChoice struct {
	Name, Does string
	Chosen     bool
}

// roleChoices are all roles, those chosen that were typed, or else held.
func roleChoices(r *kit.Request, held []auth.Role) []roleChoice {
	does := map[auth.Role]string{
		auth.RoleAdmin:    "everything here; a signature needs a key all the same",
		auth.RoleAuthor:   "submits versions",
		auth.RoleReviewer: "reviews versions",
		auth.RoleOperator: "activates, changes, pauses and disables versions, labels peers, brings trust metadata, reads the audit log",
		auth.RoleViewer:   "reads, metrics too",
	}
	var out []roleChoice
	for _, role := range auth.Roles() {
		chosen := slices.Contains(held, role)
		if r.PostForm != nil {
			chosen = slices.Contains(r.PostForm["role"], string(role))
		}
		out = append(out, roleChoice{string(role), does[role], chosen})
	}
	return out
}

func typedRoles(r *kit.Request) []auth.Role {
	roles := []auth.Role{}
	for _, name := range r.PostForm["role"] {
		roles = append(roles, auth.Role(name))
	}
	return roles
}

// usersAbove is the form for a new user.
type usersAbove struct {
	Name  string
	Roles []roleChoice
}

func (p *pages) users(r *kit.Request) (kit.Answer, error) {
	keep, filters, err := userFilter(r)
	if err != nil {
		return nil, err
	}
	t := kit.Table[auth.Account]{
		Name:    "users",
		Columns: userColumns(),
		Fetch: func(ctx context.Context, after string, limit int) ([]auth.Account, error) {
			return p.Gate.Users(ctx, r.Who, after, limit)
		},
		Cursor:  func(a auth.Account) string { return a.Name },
		Keep:    keep,
		Filters: filters,
	}
	return kit.Show(r, t, func(v kit.TableView) (kit.Answer, error) {
		above := usersAbove{Name: r.Typed("name"), Roles: roleChoices(r, nil)}
		return p.View("users", "Users", "Users", tablePage{Table: v, Above: above}), nil
	})
}

// userFilter reads the words of the address. No index knows them; users are few.
func userFilter(r *kit.Request) (keep func(context.Context, auth.Account) (bool, error), filters []kit.Filter, err error) {
	name, err := r.Word("name")
	if err != nil {
		return nil, nil, err
	}
	options := []kit.Option{{Value: "", Label: "any"}}
	values := []string{""}
	for _, role := range auth.Roles() {
		options, values = append(options, kit.Option{Value: string(role), Label: string(role)}), append(values, string(role))
	}
	role, err := r.One("role", values...)
	if err != nil {
		return nil, nil, err
	}
	state, err := r.One("state", "", "on", "off")
	if err != nil {
		return nil, nil, err
	}
	filters = []kit.Filter{
		{Name: "name", Label: "Name has", Value: name},
		{Name: "role", Label: "Role", Value: role, Options: options},
		{Name: "state", Label: "State", Value: state, Options: []kit.Option{{Value: "", Label: "any"}, {Value: "on", Label: "on"}, {Value: "off", Label: "off"}}},
	}
	if name == "" && role == "" && state == "" {
		return nil, filters, nil
	}
	return func(_ context.Context, a auth.Account) (bool, error) {
		return strings.Contains(a.Name, name) && (role == "" || slices.Contains(a.Roles, auth.Role(role))) && (state == "" || a.Off == (state == "off")), nil
	}, filters, nil
}

func userColumns() []kit.Column[auth.Account] {
	return []kit.Column[auth.Account]{
		{Name: "user", Head: "User", Cell: func(a auth.Account) kit.Cell { return kit.Text(a.Name).To("/users/" + a.Name) }},
		{Name: "roles", Head: "Roles", Cell: func(a auth.Account) kit.Cell { return kit.Text(roleNames(a.Roles)) }, Wide: true},
		{Name: "state", Head: "State", Cell: userState},
		{Name: "password", Head: "Password", Cell: func(a auth.Account) kit.Cell { return kit.Text(yesNo(a.HasPassword)) }},
		{Name: "last_sign_in", Head: "Last sign-in", Cell: func(a auth.Account) kit.Cell { return kit.Time(a.LastSignIn) }},
		{Name: "created_at", Head: "Made", Cell: func(a auth.Account) kit.Cell { return kit.Time(a.CreatedAt) }},
	}
}

func roleNames(roles []auth.Role) string {
	names := make([]string, 0, len(roles))
	for _, role := range roles {
		names = append(names, string(role))
	}
	return strings.Join(names, ", ")
}

func userState(a auth.Account) kit.Cell {
	switch {
	case a.Off:
		return kit.State("off")
	case !a.LockedUntil.IsZero():
		return kit.State("locked").With("until " + a.LockedUntil.UTC().Format("15:04 UTC"))
	}
	return kit.State("on")
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (p *pages) addUser(r *kit.Request) (kit.Answer, error) {
	name := strings.TrimSpace(r.Typed("name"))
	if err := p.Gate.AddUser(r.Context(), r.Who, name, typedRoles(r)); err != nil {
		return r.Again(p.users, err)
	}
	r.Say("User %s is made. Set a password, or make a token for them.", name)
	return kit.Redirect{To: "/users/" + name}, nil
}
