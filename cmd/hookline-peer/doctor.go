package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"hookline/internal/cli"
	"hookline/internal/errs"
	"hookline/internal/guard"
	"hookline/internal/guardwire"
	"hookline/sandbox"
	"hookline/sandbox/confine"
	"hookline/sandbox/rooted"
	"hookline/sandbox/spawn"
)

const (
	probeSeconds  = 5        // of processor time, and twice that by the clock
	maxProbeBytes = 16 << 10 // of what a probe says
)

// diagnosis is what doctor finds. Reasons are "" where there is nothing to say.
type diagnosis struct {
	Binary   string          `json:"binary"`  // where the sandbox is, "" where it was not found
	Problem  string          `json:"problem"` // why no hook can run at all: of the configuration, else of the sandbox
	User     int             `json:"user"`    // who looked: what holds for another user may differ
	Layers   []confine.Layer `json:"layers"`
	Accepted []string        `json:"accepted"` // layers that the owner's configuration accepts to miss
	Config   string          `json:"config"`   // the line that would accept what is missing
	Note     string          `json:"note"`
	Hooks    verdict         `json:"hooks"` // as service and as reporter
	AsRoot   verdict         `json:"as_root"`
	Commands verdict         `json:"commands"`
	Log      verdict         `json:"kernel_log"`
	Trust    verdict         `json:"trust"` // whether the metadata is fresh enough
}

// verdict is whether something can be had here.
type verdict struct {
	OK  bool   `json:"ok"`
	Why string `json:"why"`
}

func (a *app) doctorCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Tell whether hooks can run on this machine, and what confines them here",
		Long: "Tell whether hooks can run on this machine, and what confines them here.\n" +
			"Each layer is put in force on a process that then tries it. Run it as the user\n" +
			"who runs hookline-peer. It ends with 0 if hooks can run, else with 1.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return cli.Usagef("--output must be table or json, not %q", output)
			}
			d := a.diagnose()
			a.diagnoseTrust(cmd.Context(), &d)
			var err error
			if output == "json" {
				enc := json.NewEncoder(a.out)
				enc.SetIndent("", "  ")
				err = enc.Encode(d)
			} else {
				err = d.show(a.out)
			}
			if err == nil && !d.Hooks.OK {
				err = cli.Ended(cli.ExitFailed)
			}
			return err
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return cmd
}

// diagnose looks at this machine as the user that this process is.
func (a *app) diagnose() diagnosis {
	d := diagnosis{User: os.Geteuid(), Layers: []confine.Layer{}, Accepted: []string{}}
	config := a.ownersConfig(&d)
	d.Accepted = append(d.Accepted, config.Sandbox.AllowWithout...)
	binary, err := sandbox.FindBinary()
	if err == nil {
		d.Binary = binary
		err = rooted.Executable(binary)
	}
	if err == nil {
		d.Layers, err = probeLayers(binary)
	}
	if err != nil && d.Problem == "" {
		d.Problem = err.Error()
	}
	d.conclude(config)
	return d
}

// diagnoseTrust asks how old the trust metadata is. Who may not ask, or is not
// enrolled, learns that and no more.
func (a *app) diagnoseTrust(ctx context.Context, d *diagnosis) {
	reply, err := a.ask(ctx, guardwire.Request{Op: guardwire.OpStatus})
	if err != nil || reply.Status == nil {
		d.Trust = verdict{Why: fmt.Sprintf("not known: %v", err)}
		return
	}
	d.trusts(reply.Status.Trust)
}

// trusts says whether the metadata lets hooks run.
func (d *diagnosis) trusts(t guardwire.Trusting) {
	d.Trust = verdict{OK: t.Refusal == "", Why: trustText(t)}
	if t.Refusal != "" && d.Hooks.OK {
		d.Problem = t.Refusal
		none := verdict{Why: d.Problem}
		d.Hooks, d.AsRoot, d.Commands, d.Log = none, none, none, none
	}
}

// ownersConfig reads what the owner decided; the zero value, which allows
// nothing, where there is none.
func (a *app) ownersConfig(d *diagnosis) guard.Config {
	path := filepath.Join(a.guardDir(), "config.yaml")
	b, err := os.ReadFile(path)
	if err != nil {
		d.Note = fmt.Sprintf("no configuration was read: %v", err)
		return guard.Config{}
	}
	c, err := guard.ParseConfig(b)
	if err != nil {
		d.Problem = fmt.Sprintf("hookline-peer does not start: the configuration %s is wrong: %v", path, err)
		return guard.Config{}
	}
	return c
}

// probeLayers has a process of the small binary put each layer in force on
// itself, and returns what it says.
func probeLayers(binary string) ([]confine.Layer, error) {
	in, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	r, w, err := spawn.Pipe(spawn.Reading)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	p, err := spawn.Start(spawn.Options{
		Binary: binary, Args: []string{"probe", fmt.Sprint(probeSeconds)}, CPU: probeSeconds * time.Second, Isolate: true,
		Files: []*os.File{in, w},
	})
	_ = w.Close()
	if err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", binary, err)
	}
	defer p.Close()
	_ = r.SetReadDeadline(time.Now().Add(2 * probeSeconds * time.Second))
	said, err := io.ReadAll(io.LimitReader(r, maxProbeBytes))
	p.Wait(time.Second)
	if err != nil {
		return nil, fmt.Errorf("%s does not answer: %w", binary, err)
	}
	return readLayers(said)
}

// readLayers reads the lines of a probe.
func readLayers(said []byte) ([]confine.Layer, error) {
	layers := []confine.Layer{}
	for lines := bufio.NewScanner(bytes.NewReader(said)); lines.Scan(); {
		var l confine.Layer
		dec := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&l); err != nil || l.Layer == "" {
			return layers, errs.New(errs.CodeSandboxUnconfined, "the sandbox does not say what confines it").
				WithHint("put the hookline-sandbox of the same version beside hookline-peer")
		}
		layers = append(layers, l)
	}
	if len(layers) == 0 {
		return layers, errs.New(errs.CodeSandboxUnconfined, "the sandbox says nothing: it died, or is of another version")
	}
	return layers, nil
}

// conclude says what can be had with what was found.
func (d *diagnosis) conclude(c guard.Config) {
	d.Hooks = verdict{OK: d.Problem == "", Why: d.Problem}
	var missing []string
	for _, l := range d.Layers {
		if l.OK || !l.Needed || slices.Contains(d.Accepted, l.Layer) {
			continue
		}
		d.Hooks = verdict{Why: "the layer " + l.Layer + " is missing"}
		if l.Layer != sandbox.LayerLandlock && l.Layer != sandbox.LayerNamespaces {
			d.Hooks.Why += ", which nothing makes up for"
			continue
		}
		missing = append(missing, l.Layer)
	}
	if d.Problem != "" {
		d.Hooks.Why = d.Problem
	}
	if len(missing) > 0 {
		all := append(slices.Clone(d.Accepted), missing...)
		slices.Sort(all)
		d.Config = "sandbox: {allow_without: [" + strings.Join(all, ", ") + "]}"
	}
	d.AsRoot, d.Commands, d.Log = d.Hooks, d.Hooks, d.Hooks
	if d.Hooks.OK {
		d.concludeMore(c)
	}
}

// concludeMore says what else can be had where hooks can run.
func (d *diagnosis) concludeMore(c guard.Config) {
	if d.User != 0 {
		d.Hooks.Why = fmt.Sprintf("as user %d, whether signed as service or as reporter", d.User)
	}
	switch {
	case d.User != 0:
		d.AsRoot = verdict{Why: "hookline-peer must run as root for that"}
	case !c.Ceilings.Root:
		d.AsRoot = verdict{Why: "the owner has not allowed it: ceilings: {root: yes}"}
	}
	lacks := d.layer("capabilities").Lacks
	switch {
	case !d.layer(sandbox.LayerLandlock).OK:
		d.Commands = verdict{Why: "no program runs without landlock"}
	case slices.Contains(lacks, "CAP_SETPCAP"):
		d.Commands = verdict{Why: "root cannot give its capabilities away: no CAP_SETPCAP"}
	case c.Ceilings.Commands != nil && !*c.Ceilings.Commands:
		d.Commands = verdict{Why: "the owner keeps programs out: ceilings: {commands: no}"}
	}
	switch {
	case !d.Commands.OK:
		d.Log = d.Commands
	case d.User != 0, slices.Contains(lacks, "CAP_SYSLOG"):
		d.Log = verdict{Why: "hookline-peer must run as root, with CAP_SYSLOG, for that"}
	case !c.Ceilings.Syslog:
		d.Log = verdict{Why: "the owner has not allowed it: ceilings: {syslog: yes}"}
	}
}

func (d *diagnosis) layer(name string) confine.Layer {
	i := slices.IndexFunc(d.Layers, func(l confine.Layer) bool { return l.Layer == name })
	if i < 0 {
		return confine.Layer{}
	}
	return d.Layers[i]
}

// show prints it for people.
func (d *diagnosis) show(out io.Writer) error {
	var b bytes.Buffer
	if d.Problem != "" {
		fmt.Fprintf(&b, "no hook can run: %s\n\n", cli.Safe(d.Problem))
	}
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if len(d.Layers) > 0 {
		fmt.Fprintln(w, "LAYER\tHOLDS\tDETAIL")
	}
	for _, l := range d.Layers {
		holds := yesNo(l.OK)
		switch {
		case !l.OK && !l.Needed:
			holds = "unused"
		case !l.OK && slices.Contains(d.Accepted, l.Layer):
			holds = "no, accepted"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", printable(l.Layer), holds, printable(l.Detail))
	}
	if len(d.Layers) > 0 {
		fmt.Fprintln(w)
	}
	for _, v := range []struct {
		what string
		verdict
	}{{"hooks as service", d.Hooks}, {"hooks as reporter", d.Hooks}, {"hooks as root", d.AsRoot}, {"programs of hooks", d.Commands}, {"the kernel's log", d.Log}, {"trust metadata", d.Trust}} {
		why := v.Why
		if why == d.Problem {
			why = "" // it stands at the top
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", v.what, yesNo(v.OK), printable(why))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	d.notes(&b)
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	_, err := io.WriteString(out, strings.Join(lines, "\n"))
	return err
}

func (d *diagnosis) notes(w io.Writer) {
	fmt.Fprintln(w)
	if d.Binary != "" {
		fmt.Fprintf(w, "sandbox: %s\n", printable(d.Binary))
	}
	if d.Config != "" {
		fmt.Fprintf(w, "to run hooks without it all the same, put into guard/config.yaml and start hookline-peer again:\n  %s\n", d.Config)
	}
	if d.Note != "" {
		fmt.Fprintln(w, printable(d.Note))
	}
	if d.User != 0 {
		fmt.Fprintf(w, "this is what holds for user %d; for a hookline-peer that runs as root, ask as root\n", d.User)
	}
}
