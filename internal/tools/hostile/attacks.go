package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hookline/internal/tools/hostile/attack"
	"hookline/sandbox"
)

// parts are who attacks in a configuration, in the order of the letters of the
// tables.
func (p *place) parts(c configuration) []string {
	parts := []string{attack.Worker, attack.Broker}
	if p.command != "" {
		parts = append(parts, attack.Command)
	}
	if !c.user {
		parts = append(parts, attack.RootBroker)
		if p.command != "" {
			parts = append(parts, attack.RootCommand)
		}
	}
	return parts
}

func letter(part string) string {
	return map[string]string{
		attack.Worker: "w", attack.Broker: "b", attack.Command: "c", attack.RootBroker: "B", attack.RootCommand: "C",
	}[part]
}

// half is what came of all attacks on the guards of one user.
type half struct {
	user    bool
	alone   map[string]string // without any layer
	columns []attacked
}

// attacked is what came of all attacks in one configuration.
type attacked struct {
	configuration
	parts   []string
	results attack.Results
	left    []string
}

func (h half) name() string { return configuration{user: h.user}.name() }

func runAttacks(out io.Writer, p *place) (surprises int, err error) {
	if err := p.installCommand(out); err != nil {
		return 0, err
	}
	for _, user := range []bool{false, true} {
		h := half{user: user}
		for _, c := range p.configurations {
			if c.user != user {
				continue
			}
			if h.alone == nil {
				if err := h.baseline(p); err != nil {
					return 0, err
				}
			}
			began := time.Now()
			col, err := p.attack(c, p.parts(c))
			if err != nil {
				return 0, err
			}
			h.columns = append(h.columns, col)
			fmt.Fprintf(out, "%-18s %3d attacks by %d parts in %.0f s\n", c.name(), len(col.results[attack.Worker]), len(col.parts), time.Since(began).Seconds())
		}
		if len(h.columns) > 0 {
			h.print(out)
			surprises += h.judge(out)
		}
	}
	return surprises, nil
}

// baseline is what the attacks do where nothing stops them.
func (h *half) baseline(p *place) error {
	col, err := p.attack(configuration{user: h.user}, []string{attack.Unconfined})
	if err != nil {
		return err
	}
	h.alone = col.results[attack.Unconfined]
	return nil
}

// attack has all attacks made in one configuration.
func (p *place) attack(c configuration, parts []string) (attacked, error) {
	binary, err := p.small(c.weakened())
	if err != nil {
		return attacked{}, err
	}
	probe, err := p.build("hookline/internal/tools/hostile/probe", "probe", c.weakened())
	if err != nil {
		return attacked{}, err
	}
	dir := filepath.Join(p.dir, "attacks", strings.ReplaceAll(c.name(), " ", "_"), parts[0])
	uid := os.Geteuid()
	if uid == 0 {
		uid = sandbox.Nobody
	}
	if err := attack.Prepare(dir, parts, uid); err != nil {
		return attacked{}, err
	}
	out, err := p.asGuardOf(c, asTarget, attack.Job{
		Binary: binary, Probe: probe, Command: p.command, Dir: dir, Parts: parts, Without: c.without(),
		Slow: c.off == "" || c.off == layerLimits,
	})
	if err != nil {
		return attacked{}, err
	}
	var answer attack.Answer
	if err := json.Unmarshal(out, &answer); err != nil {
		return attacked{}, fmt.Errorf("cannot read what the guard said: %w", err)
	}
	return attacked{c, parts, answer.Results, answer.Left}, nil
}

// installCommand puts the probe where it may be a command: where nobody but
// root can change it.
func (p *place) installCommand(out io.Writer) error {
	if os.Geteuid() != 0 {
		fmt.Fprintln(out, "not root: a command's program must be root's, so that no command attacks, and no guard of root is attacked")
		return nil
	}
	probe, err := p.build("hookline/internal/tools/hostile/probe", "probe", "")
	if err != nil {
		return err
	}
	p.command, p.installed, err = attack.Install(probe)
	return err
}

// print prints a row per attack: what came of it with all layers, by part, and
// who got through with which layer missing.
func (h half) print(out io.Writer) {
	fmt.Fprintf(out, "\nAttacks on a guard of %s. w worker, b broker, c command; B and C are those of a hook that runs as root. \"alone\" is what the\n", h.name())
	fmt.Fprintf(out, "attack comes to without the sandbox; then what stops it with all layers, and who gets through with one layer missing.\n\n%-15s %-9s", "attack", "alone")
	full := slices.IndexFunc(h.columns, func(col attacked) bool { return col.off == "" })
	if full >= 0 {
		for _, part := range h.columns[full].parts {
			fmt.Fprintf(out, " %-8s", letter(part))
		}
	}
	for _, col := range h.columns {
		if col.off != "" {
			fmt.Fprintf(out, " %-*s", max(5, len(short(col.off))), short(col.off))
		}
	}
	fmt.Fprintln(out)
	for _, a := range attack.All() {
		fmt.Fprintf(out, "%-15s %-9s", a.Name, cell(h.alone[a.Name]))
		if full >= 0 {
			for _, part := range h.columns[full].parts {
				fmt.Fprintf(out, " %-8s", cell(h.columns[full].results[part][a.Name]))
			}
		}
		for _, col := range h.columns {
			if col.off == "" {
				continue
			}
			got := cmp.Or(col.through()[a.Name], ".")
			if _, made := col.results[col.parts[0]][a.Name]; !made {
				got = ""
			}
			fmt.Fprintf(out, " %-*s", max(5, len(short(col.off))), got)
		}
		fmt.Fprintf(out, " %s\n", a.What)
	}
}

func short(off string) string {
	if strings.HasPrefix(off, "abi=") {
		return off
	}
	return "-" + off
}

// cell is a result in eight characters.
func cell(result string) string {
	if result == attack.Through {
		return "THROUGH"
	}
	if len(result) > 8 {
		return result[:8]
	}
	return result
}
