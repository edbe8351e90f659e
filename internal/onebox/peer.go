package onebox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// Peer is one hookline-peer with its state folder.
type Peer struct {
	Name string
	*Process
	d *Deployment
}

// AddPeer enrolls a machine with a fresh enroll line, starts it, and opts it
// in to what the arguments say ("--hooks=yes", "--send-reports=yes").
func (d *Deployment) AddPeer(ctx context.Context, name string, allow ...string) (*Peer, error) {
	p := d.Peer(name)
	if err := p.enroll(ctx); err != nil {
		return nil, err
	}
	if err := p.Start(ctx); err != nil || len(allow) == 0 {
		return p, err
	}
	_, err := p.Do(ctx, append([]string{"allow"}, allow...)...)
	return p, err
}

// Peer is the peer of that name, which may have enrolled before.
func (d *Deployment) Peer(name string) *Peer { return &Peer{Name: name, d: d} }

// Enrolled reports whether the peer has enrolled before.
func (p *Peer) Enrolled() bool {
	_, err := os.Stat(p.State())
	return err == nil
}

// State is the peer's state folder.
func (p *Peer) State() string { return p.d.Path(p.Name) }

func (p *Peer) enroll(ctx context.Context) error {
	d := p.d
	line, err := d.Hookline(ctx, "", "enroll-line", "--dir", d.Offline(), "--ca", d.Path("server", "ca.crt"), "--address", d.GRPC)
	if err != nil {
		return err
	}
	args := []string{"enroll"}
	if d.Plan.Profile == "solo" {
		args = append(args, "--accept-solo")
	}
	_, err = p.Do(ctx, append(args, strings.TrimSpace(line))...)
	return err
}

// Start runs the peer: the guard, and under it the network side.
func (p *Peer) Start(ctx context.Context) (err error) {
	p.Process, err = start(ctx, p.d.Path(p.Name+".log"), p.env(), "hookline-peer ready", p.argv("run")...)
	return err
}

// Do runs one of the owner's commands and returns its standard output.
func (p *Peer) Do(ctx context.Context, args ...string) (string, error) {
	a, err := p.Try(ctx, args...)
	if err == nil && a.Code != 0 {
		err = fmt.Errorf("hookline-peer %s: exit %d\n%s%s", args[0], a.Code, a.Stdout, a.Stderr)
	}
	return a.Stdout, err
}

// Try is Do for a command that may be refused.
func (p *Peer) Try(ctx context.Context, args ...string) (Answer, error) {
	return run(ctx, p.env(), "", p.argv(args...)...)
}

func (p *Peer) argv(args ...string) []string {
	return append([]string{p.d.Bin.Path("hookline-peer"), args[0], "--state", p.State()}, args[1:]...)
}

func (p *Peer) env() []string {
	return append(p.d.env(""), "GOTRACEBACK=crash")
}

var reportID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)

// Exec runs a command under the peer; it must die, and the id of the report
// that the peer filed is returned with what was printed.
func (p *Peer) Exec(ctx context.Context, argv ...string) (id string, a Answer, err error) {
	a, err = p.Try(ctx, append([]string{"exec", "--"}, argv...)...)
	if err != nil {
		return "", a, err
	}
	ids := reportID.FindAllString(a.Stderr, -1)
	if len(ids) == 0 {
		return "", a, fmt.Errorf("hookline-peer exec filed no report (exit %d)\n%s", a.Code, a.Stderr)
	}
	return ids[len(ids)-1], a, nil
}

// Report files a report from a JSON file and returns its id.
func (p *Peer) Report(ctx context.Context, path string) (string, error) {
	out, err := p.Do(ctx, "report", path)
	if err != nil {
		return "", err
	}
	id := reportID.FindString(out)
	if id == "" {
		return "", fmt.Errorf("hookline-peer report printed no id: %q", out)
	}
	return id, nil
}

// Record is one line of the peer's own record.
type Record struct {
	Kind     string          `json:"kind"`
	JobID    string          `json:"job_id"`
	Hook     string          `json:"hook"`
	Version  int64           `json:"version"`
	Decision string          `json:"decision"`
	Outcome  string          `json:"outcome"`
	Ending   string          `json:"ending"`
	Denied   int64           `json:"denied"`
	Code     string          `json:"code"`
	Fields   json.RawMessage `json:"fields"`
}

// Log reads the peer's own record, oldest first.
func (p *Peer) Log(ctx context.Context, args ...string) ([]Record, error) {
	out, err := p.Do(ctx, append([]string{"log", "--output", "json"}, args...)...)
	if err != nil {
		return nil, err
	}
	var records []Record
	for dec := json.NewDecoder(bytes.NewReader([]byte(out))); dec.More(); {
		var r Record
		if err := dec.Decode(&r); err != nil {
			return nil, fmt.Errorf("cannot decode the peer's record: %w\n%s", err, out)
		}
		records = append(records, r)
	}
	return records, nil
}
