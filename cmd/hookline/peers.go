package main

import (
	"hookline/internal/api"
	"hookline/internal/client"

	"github.com/spf13/cobra"
)

func newPeerCommand(a *app) *cobra.Command {
	var l client.List
	list := query(a, "list", "List the enrolled machines",
		func(c *cobra.Command, cl *client.Client) (api.Page[api.Peer], error) { return cl.Peers(c.Context(), l) },
		func(p api.Page[api.Peer]) { a.peers(p.Items); a.more(p.Next) })
	pageFlags(list, &l)
	show := lookup(a, "show ID", "Show a machine",
		func(c *cobra.Command, cl *client.Client, id string) (api.Peer, error) {
			return cl.Peer(c.Context(), id)
		},
		a.peer)
	return group("peer", "Enrolled machines", list, show)
}

func (a *app) peers(items []api.Peer) {
	rows := [][]string{{"PEER", "NAME", "STREAM", "REPORTS", "HOOKS", "RELEASE", "SEEN"}}
	for _, p := range items {
		rows = append(rows, []string{p.ID, p.Name, stream(p), yesNo(p.SendReports), p.AllowHooks, p.Facts.Release, clock(p.SeenAt)})
	}
	a.list(rows, "no peers: print an enroll line with hookline enroll-line")
}

func (a *app) peer(p api.Peer) {
	a.pairs(
		[2]string{"peer", p.ID}, [2]string{"name", p.Name}, [2]string{"stream", stream(p)}, [2]string{"hookline-peer", p.Version},
		[2]string{"sends reports", yesNo(p.SendReports)}, [2]string{"allows hooks", p.AllowHooks},
		[2]string{"release", p.Facts.Release}, [2]string{"kernel", p.Facts.Kernel}, [2]string{"architecture", p.Facts.Arch},
		[2]string{"seen", clock(p.SeenAt)}, [2]string{"enrolled", clock(p.EnrolledAt)},
	)
}

func stream(p api.Peer) string {
	if p.Connected {
		return "open"
	}
	return "closed"
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
