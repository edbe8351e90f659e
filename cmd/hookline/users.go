package main

import (
	"fmt"
	"strings"

	"hookline/internal/api"
	"hookline/internal/cli"
	"hookline/internal/client"

	"github.com/spf13/cobra"
)

// roleNames is the help of --role.
const roleNames = "admin, author, reviewer, operator, viewer; several with commas"

func newUserCommand(a *app) *cobra.Command {
	var l client.List
	list := query(a, "list", "List the users",
		func(c *cobra.Command, cl *client.Client) (api.Page[api.User], error) { return cl.Users(c.Context(), l) },
		func(p api.Page[api.User]) { a.users(p.Items); a.more(p.Next) })
	pageFlags(list, &l)
	return group("user", "People and programs with an account", list, newUserAdd(a), newUserSet(a))
}

func newUserAdd(a *app) *cobra.Command {
	var roles []string
	c := lookup(a, "add NAME --role ROLE,…", "Make a user; they get in with a token, or a password that an admin sets",
		func(c *cobra.Command, cl *client.Client, name string) (api.User, error) {
			return cl.AddUser(c.Context(), api.NewUser{Name: name, Roles: roles})
		},
		func(u api.User) {
			a.user(u)
			fmt.Fprintf(a.err, "make a token for them: hookline token create --user %s\n", safe(u.Name))
		})
	c.Flags().StringSliceVar(&roles, "role", nil, roleNames)
	_ = c.MarkFlagRequired("role")
	return c
}

func newUserSet(a *app) *cobra.Command {
	var roles []string
	var off, on bool
	c := lookup(a, "set NAME [--role ROLE,…] [--off|--on]", "Change what a user may do, or whether they may come in at all",
		func(c *cobra.Command, cl *client.Client, name string) (api.User, error) {
			change := api.UserChange{Roles: roles}
			if off || on {
				change.Off = &off
			}
			if len(roles) == 0 && change.Off == nil {
				return api.User{}, cli.Usagef("it needs --role, --off or --on")
			}
			return cl.ChangeUser(c.Context(), name, change)
		},
		a.user)
	c.Long = `set changes a user at once: what is not given stays as it is. --off ends all their
browser sessions, and no token of theirs opens anything until --on. The last admin
stays one.`
	f := c.Flags()
	f.StringSliceVar(&roles, "role", nil, "all their roles from now on: "+roleNames)
	f.BoolVar(&off, "off", false, "they may not come in")
	f.BoolVar(&on, "on", false, "they may again")
	c.MarkFlagsMutuallyExclusive("off", "on")
	return c
}

func (a *app) users(items []api.User) {
	rows := [][]string{{"USER", "ROLES", "STATE", "PASSWORD", "LAST SIGN-IN", "MADE"}}
	for _, u := range items {
		rows = append(rows, []string{u.Name, strings.Join(u.Roles, ","), state(u), yesNo(u.HasPassword), clockOf(u.LastSignIn), clock(u.CreatedAt)})
	}
	a.list(rows, "no users")
}

func (a *app) user(u api.User) {
	a.pairs(
		[2]string{"user", u.Name}, [2]string{"roles", strings.Join(u.Roles, ", ")}, [2]string{"state", state(u)},
		[2]string{"password", yesNo(u.HasPassword)}, [2]string{"last sign-in", clockOf(u.LastSignIn)}, [2]string{"made", clock(u.CreatedAt)},
	)
}

// state says whether a user can come in.
func state(u api.User) string {
	switch {
	case u.Off:
		return "off"
	case u.LockedUntil != nil:
		return "locked until " + clock(*u.LockedUntil)
	}
	return "on"
}
