package machines

import (
	"regexp"
	"slices"
	"strings"

	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/looks"
	"hookline/internal/web/kit"
	"hookline/internal/web/live"
)

// Caps of labels.
const (
	maxLabels = 16 // of one machine
	maxLabel  = 40 // bytes
)

// tab is one part of a machine's page.
type tab struct {
	Name, Link string
	Here       bool
}

// peerPage is one machine. Of its parts only that of the tab is there.
type peerPage struct {
	Name  string
	State string
	Top   []kit.Fact
	Tabs  []tab

	Facts   *facts
	Jobs    *jobsTab
	Bundles bool
}

// facts is the first tab.
type facts struct {
	ID      string
	Machine []kit.Fact
	OptIn   []string
	Labels  []string
	Typed   string
	MayEdit bool
}

func (p *pages) peer(r *kit.Request) (kit.Answer, error) {
	which, err := r.One("tab", "facts", "jobs", "bundles")
	if err != nil {
		return nil, err
	}
	m, err := p.machine(r)
	if err != nil {
		return nil, err
	}
	page := peerPage{Name: m.Name, State: connectionOf(m), Top: top(m), Tabs: tabs(m.ID, which)}
	switch which {
	case "jobs":
		return p.jobs(r, m, page)
	case "bundles":
		page.Bundles = true
		return p.show(m, page, "top"), nil
	}
	page.Facts = &facts{
		ID: m.ID, Machine: machineFacts(m), OptIn: optIn(m), Labels: m.Labels,
		Typed: r.TypedOr("labels", strings.Join(m.Labels, " ")), MayEdit: r.May(auth.PeersLabel),
	}
	return p.show(m, page, "top", "facts", "optin", "has-labels"), nil
}

// show is the page of a machine; ids are its live elements.
func (p *pages) show(m enroll.Peer, page peerPage, ids ...string) *kit.View {
	return p.View("peer", "Peer "+looks.Visible(m.Name)+", "+m.ID, section, page).Follow([]string{live.Peer(m.ID)}, ids)
}

// machine reads the machine that the address names.
func (p *pages) machine(r *kit.Request) (enroll.Peer, error) {
	return p.Store.Peer(r.Context(), r.ID("id"))
}

func tabs(id, here string) []tab {
	var out []tab
	for _, t := range []struct{ word, name string }{{"facts", "Facts"}, {"jobs", "Jobs"}, {"bundles", "Debug bundles"}} {
		link := linkTo(id)
		if t.word != "facts" {
			link += "?tab=" + t.word
		}
		out = append(out, tab{t.name, link, t.word == here})
	}
	return out
}

// top are the facts over all tabs.
func top(m enroll.Peer) []kit.Fact {
	list := []kit.Fact{{Name: "Peer", Cell: kit.ID(m.ID, linkTo(m.ID))}}
	if m.Connection.Server != "" {
		return append(list,
			kit.Fact{Name: "Connected since", Cell: kit.Time(m.Connection.Seen)},
			kit.Fact{Name: "To server", Cell: kit.Text(m.Connection.Server)},
			kit.Fact{Name: "Connections so far", Cell: kit.Number(m.Connection.Epoch)})
	}
	if m.Connection.Epoch == 0 {
		return append(list, kit.Fact{Name: "Last seen", Cell: kit.Text("never: it is enrolled, and has not connected yet")})
	}
	return append(list,
		kit.Fact{Name: "Last seen", Cell: kit.Time(m.Connection.Seen)},
		kit.Fact{Name: "Connections so far", Cell: kit.Number(m.Connection.Epoch)})
}

func machineFacts(m enroll.Peer) []kit.Fact {
	return []kit.Fact{
		{Name: "System", Cell: kit.Text(m.Facts.OS)},
		{Name: "Release", Cell: kit.Text(m.Facts.Release)},
		{Name: "Kernel", Cell: kit.Text(m.Facts.Kernel)},
		{Name: "Arch", Cell: kit.Text(m.Facts.Arch)},
		{Name: "hookline-peer", Cell: kit.Text(m.Version)},
		{Name: "Enrolled", Cell: kit.Time(m.EnrolledAt)},
		{Name: "Key", Cell: kit.Code(m.SPKI)},
	}
}

// optIn says what the owner chose, in words.
func optIn(m enroll.Peer) []string {
	reports := "It files no problem reports: its owner has not allowed that (send_reports)."
	if m.SendReports {
		reports = "It files problem reports: its owner allowed that (send_reports)."
	}
	hooks := "It runs no hooks: its owner has not allowed them (allow_hooks: no)."
	switch m.AllowHooks {
	case "yes":
		hooks = "It runs hooks that pass its own checks (allow_hooks: yes)."
	case "ask":
		hooks = "It runs a hook after its owner said yes to it on the machine: hookline-peer pending, hookline-peer allow-once (allow_hooks: ask)."
	}
	return []string{reports, hooks, "Only the owner changes this, in the machine's own configuration."}
}

// label takes the form with a machine's labels.
func (p *pages) label(r *kit.Request) (kit.Answer, error) {
	m, err := p.machine(r)
	if err != nil {
		return nil, err
	}
	typed := r.PostForm.Get("labels")
	grant, err := p.Gate.Authorize(r.Context(), r.Who, auth.PeersLabel, "peer/"+m.ID, typed)
	if err != nil {
		return nil, err
	}
	labels, err := labelsOf(typed)
	if err == nil {
		err = p.Store.SetLabels(r.Context(), m.ID, labels, grant)
	}
	if err != nil {
		return r.Again(p.peer, err)
	}
	r.Say("The labels of %s are kept.", m.Name)
	return kit.Redirect{To: linkTo(m.ID)}, nil
}

var labelGrammar = regexp.MustCompile(`^[a-z0-9._=/-]{1,40}$`)

// labelsOf reads labels as people type them, in order and each once.
func labelsOf(typed string) ([]string, error) {
	words := strings.FieldsFunc(typed, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' || r == '\r' || r == '\t' })
	slices.Sort(words)
	words = slices.Compact(words)
	if len(words) > maxLabels {
		return nil, errs.New(errs.CodeTooLarge, "a peer has at most %d labels, and these are %d", maxLabels, len(words)).At("labels").WithHint("take some away")
	}
	for _, w := range words {
		if !labelGrammar.MatchString(w) {
			return nil, errs.New(errs.CodeBadInput, "%.60q is no label", w).At("labels").
				WithHint("a label has 1 to %d of the characters a-z, 0-9 and . _ = / -, as in env=prod; spaces stand between labels", maxLabel)
		}
	}
	return words, nil
}
