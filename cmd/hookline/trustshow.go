package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/trust"
	"hookline/signing/trust/keeper"

	"github.com/spf13/cobra"
)

// trustView is an offline folder for people and scripts.
type trustView struct {
	Deployment   string               `json:"deployment"`
	RootDigest   string               `json:"root_digest,omitempty"` // of the newest root in force
	PolicyDigest string               `json:"policy_digest,omitempty"`
	Roles        []roleView           `json:"roles"` // in force
	Revoked      []signing.Revocation `json:"revoked"`
	Staged       []stagedView         `json:"staged"`
	Server       *serverView          `json:"server,omitempty"`
	Next         []string             `json:"next"`
}

type roleView struct {
	Role      string    `json:"role"`
	Version   int64     `json:"version"`
	SignedAt  time.Time `json:"signed_at"`
	Expires   time.Time `json:"expires"`
	Share     float64   `json:"life_share"` // of its life that is over
	Threshold int       `json:"threshold"`
	Keys      []keyView `json:"keys"`
}

type keyView struct {
	Person string        `json:"person"` // "" where the policy knows nobody
	KeyID  signing.KeyID `json:"key_id"`
	Signed bool          `json:"signed"`
}

type stagedView struct {
	keeper.Staged
	Complete bool       `json:"complete"`
	Waits    []waitView `json:"waits"` // for signatures
}

// waitView is how many more must sign, and who may.
type waitView struct {
	By   string    `json:"by"`
	More int       `json:"more"`
	Of   []keyView `json:"of"`
}

// serverView compares the server with the folder.
type serverView struct {
	Server string `json:"server"`
	Says   string `json:"says"` // "the same", "older", "newer", or why it cannot be told
}

func newTrustShowCommand(a *app) *cobra.Command {
	var dir string
	var offline bool
	c := &cobra.Command{
		Use:   "show --dir DIR",
		Short: "Show who may sign what, who has, how fresh it is, and what to do next",
		Long: `Shows an offline folder. Where a server is known (login, --server) it also says whether
that has the same.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			k, err := a.keeper(dir)
			if err != nil {
				return err
			}
			v, err := a.viewTrust(k, dir, a.compareServer(c.Context(), k, offline))
			if err != nil {
				return err
			}
			return a.show(v, func() { a.trustTable(v) })
		},
	}
	dirFlag(c, &dir)
	c.Flags().BoolVar(&offline, "offline", false, "ask no server")
	return c
}

// viewTrust is what show prints of the folder dir; server may be nil.
func (a *app) viewTrust(k *keeper.Keeper, dir string, server *serverView) (trustView, error) {
	v := trustView{Deployment: k.Policy().Deployment, Server: server, Roles: []roleView{}, Revoked: []signing.Revocation{}, Staged: []stagedView{}}
	if t := k.Trusted(); t != nil {
		anchor, err := k.Anchor()
		if err != nil {
			return v, err
		}
		v.RootDigest, v.PolicyDigest, v.Revoked = anchor.RootDigest, t.Policy().Digest, t.Revoked().List()
		for _, r := range t.Roles() {
			one := roleView{Role: r.Name, Version: r.Version, SignedAt: r.SignedAt, Expires: r.Expires, Share: share(r, a.now()), Threshold: r.Threshold}
			for _, id := range r.Keys {
				one.Keys = append(one.Keys, keyView{k.NameOf(id), id, slices.Contains(r.SignedBy, id)})
			}
			v.Roles = append(v.Roles, one)
		}
	}
	for _, s := range k.Staged() {
		v.Staged = append(v.Staged, viewStaged(k, s))
	}
	v.Next = a.nextSteps(k, dir, v)
	return v, nil
}

func viewStaged(k *keeper.Keeper, s keeper.Staged) stagedView {
	v := stagedView{Staged: s, Complete: s.Complete(), Waits: []waitView{}}
	for _, need := range s.Needs {
		if need.Met() {
			continue
		}
		w := waitView{By: need.By, More: need.Threshold - len(need.SignedBy)}
		for _, id := range need.Keys {
			if !slices.Contains(need.SignedBy, id) {
				w.Of = append(w.Of, keyView{Person: k.NameOf(id), KeyID: id})
			}
		}
		v.Waits = append(v.Waits, w)
	}
	return v
}

// nextSteps says what is to be done in the folder dir, the most pressing first.
func (a *app) nextSteps(k *keeper.Keeper, dir string, v trustView) []string {
	steps := []string{}
	command := func(name string) string { return "hookline trust " + name + dirArgument(dir) }
	var missing []keyView
	for _, s := range v.Staged {
		for _, w := range s.Waits {
			missing = append(missing, w.Of...)
		}
	}
	if len(missing) > 0 {
		steps = append(steps, "signatures are missing, of "+strings.Join(namesOf(missing), ", ")+": "+command("sign")+" --key FILE")
	}
	if k.Ready() {
		steps = append(steps, "put what is fully signed in force: "+command("freshen")+" --key FILE")
	}
	if v.Server != nil && v.Server.Says == serverOlder {
		steps = append(steps, "the server has older metadata: "+command("publish"))
	}
	if v.Server != nil && v.Server.Says == serverNewer {
		steps = append(steps, "the server has newer metadata, which this takes along: "+command("freshen")+" --key FILE")
	}
	old := 0.0
	for _, r := range v.Roles {
		if r.Share < trust.WarnShare || len(k.Staged()) > 0 && r.Role != "snapshot" && r.Role != "timestamp" {
			continue
		}
		switch r.Role {
		case roleRoot:
			steps = append(steps, "the root is old; sign it for another year: "+command("rotate")+" --key FILE")
		case roleTargets, trust.RoleRevocations:
			steps = append(steps, "the "+r.Role+" are old; sign them for another year: "+command("replace")+" --key FILE")
		default:
			old = max(old, r.Share)
		}
	}
	if old >= 1 {
		steps = append([]string{"it has expired, machines run no hook: " + command("freshen") + " --key FILE"}, steps...)
	} else if old > 0 && !k.Ready() {
		steps = append(steps, "it is getting old: "+command("freshen")+" --key FILE")
	}
	if t := k.Trusted(); t != nil && len(steps) == 0 {
		f := t.Freshness(a.now())
		steps = append(steps, fmt.Sprintf("before %s: %s --key FILE", clock(f.Expires), command("freshen")))
	}
	return steps
}

// dirArgument names the folder where it is not the one that commands take anyway.
func dirArgument(dir string) string {
	if dir == offlineDir {
		return ""
	}
	return " --dir " + dir
}

func namesOf(keys []keyView) []string {
	var out []string
	for _, k := range keys {
		if name := k.name(); !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// name is the person, or where there is none the key.
func (k keyView) name() string {
	if k.Person != "" {
		return k.Person
	}
	return k.KeyID.Short()
}

func (a *app) trustTable(v trustView) {
	a.pairs([2]string{"deployment", v.Deployment}, [2]string{"root digest", v.RootDigest}, [2]string{"policy digest", v.PolicyDigest})
	if len(v.Roles) > 0 {
		fmt.Fprintln(a.out)
		rows := [][]string{{"ROLE", "VERSION", "SIGNED", "EXPIRES", "LIFE", "NEEDS", "SIGNED BY", "OTHERS WHO MAY"}}
		for _, r := range v.Roles {
			var did, may []keyView
			for _, k := range r.Keys {
				if k.Signed {
					did = append(did, k)
				} else {
					may = append(may, k)
				}
			}
			rows = append(rows, []string{
				r.Role, fmt.Sprint(r.Version), clock(r.SignedAt), clock(r.Expires), fmt.Sprintf("%.0f %%", 100*r.Share),
				fmt.Sprintf("%d of %d", r.Threshold, len(r.Keys)), strings.Join(namesOf(did), ", "), strings.Join(namesOf(may), ", "),
			})
		}
		a.table(rows)
	}
	if len(v.Revoked) > 0 {
		a.section("revoked")
		for _, r := range v.Revoked {
			fmt.Fprintf(a.out, "%s by %s on %s: %s\n", safe(r.ID()), safe(r.By), clock(r.At), safe(r.Reason))
		}
	}
	a.stagedParts(v.Staged)
	if v.Server != nil {
		a.section(fmt.Sprintf("server %s: %s", safe(v.Server.Server), safe(v.Server.Says)))
	}
	a.next(v)
}

// stagedParts prints what is staged, each with who is missing.
func (a *app) stagedParts(staged []stagedView) {
	for _, s := range staged {
		a.section(fmt.Sprintf("staged: %s version %d", s.Role, s.Version))
		for _, line := range s.Difference {
			fmt.Fprintln(a.out, safe(line))
		}
		a.missing(s)
	}
}

// missing prints whose signatures are missing.
func (a *app) missing(s stagedView) {
	if s.Complete {
		fmt.Fprintf(a.out, "%s version %d: fully signed\n", s.Role, s.Version)
		return
	}
	for _, w := range s.Waits {
		fmt.Fprintf(a.out, "%s version %d waits for %d more (by %s): %s\n", s.Role, s.Version, w.More, w.By, safe(strings.Join(namesOf(w.Of), ", ")))
	}
}

// newRoot reports whether another root waits for signatures.
func (v trustView) newRoot() bool {
	return slices.ContainsFunc(v.Staged, func(s stagedView) bool { return s.Role == roleRoot })
}

func (a *app) next(v trustView) {
	for _, r := range v.Roles {
		if v.newRoot() {
			break // which may have a spare key
		}
		if (r.Role == roleRoot || r.Role == roleTargets) && r.Threshold == len(r.Keys) && len(r.Keys) > 1 {
			fmt.Fprintf(a.err, "warning: %s needs all of its %d keys: where one is lost it cannot be changed any more; add a spare one with hookline trust rotate --add FILE.pub\n", r.Role, len(r.Keys))
		}
	}
	for i, step := range v.Next {
		word := "then"
		if i == 0 {
			word = "next"
		}
		fmt.Fprintf(a.out, "%s: %s\n", word, safe(step))
	}
}

// What compareServer finds.
const (
	serverSame  = "the same"
	serverOlder = "older"
	serverNewer = "newer"
)

// compareServer tells what the server has; nil where there is none to ask.
func (a *app) compareServer(ctx context.Context, k *keeper.Keeper, offline bool) *serverView {
	t := k.Trusted()
	cl, err := a.serverFor(offline)
	if t == nil || cl == nil {
		if err != nil {
			return &serverView{Says: err.Error()}
		}
		return nil
	}
	v := &serverView{Server: cl.Server()}
	b, err := fetchTrust(ctx, cl)
	if err != nil {
		v.Says = err.Error()
		return v
	}
	next, err := t.Update(b)
	switch {
	case err == nil && next != t:
		v.Says = serverNewer
	case err == nil && string(b.Timestamp) == string(t.Bundle().Timestamp) && string(b.Pushed) == string(t.Bundle().Pushed):
		v.Says = serverSame
	case err == nil || errs.Is(err, errs.CodeTrustRollback):
		v.Says = serverOlder
	default:
		v.Says = "it has other metadata: " + err.Error()
	}
	return v
}
