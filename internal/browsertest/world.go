package browsertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"hookline/hooks"
	"hookline/internal/api"
	"hookline/internal/client"
	"hookline/internal/onebox"
)

// enough bounds what the world waits for: a run, a result.
const enough = 30 * time.Second

// World is a deployment of real programs with something on every page.
type World struct {
	*onebox.Deployment
	Peer *onebox.Peer

	local []*onebox.Process // review pages
}

// Found founds a deployment with a peer that allows everything.
func Found(ctx context.Context, dir string, bin onebox.Binaries) (*World, error) {
	d, err := onebox.New(dir, bin)
	if err != nil {
		return nil, err
	}
	w := &World{Deployment: d}
	if err := d.Found(ctx, onebox.Team()); err != nil {
		return w, err
	}
	return w, w.AddPeer(ctx, "web-1")
}

// AddPeer enrols a machine that allows everything, and reports go through it
// from now on.
func (w *World) AddPeer(ctx context.Context, name string) (err error) {
	w.Peer, err = w.Deployment.AddPeer(ctx, name, "--send-reports=yes", "--hooks=yes")
	return err
}

// Stop ends the peer and the server.
func (w *World) Stop() {
	for _, page := range w.local {
		page.Kill()
	}
	if w.Peer != nil && w.Peer.Process != nil {
		w.Peer.Kill()
	}
	if w.Server != nil {
		w.Server.Kill()
	}
}

// Client is a person's way to the REST API.
func (w *World) Client(person string) (*client.Client, error) {
	secret, err := os.ReadFile(w.Path(person + ".token"))
	if err != nil {
		return nil, err
	}
	return client.New(client.Config{Server: w.HTTP, Token: strings.TrimSpace(string(secret))})
}

// SignIn signs a tab in as a person, with a one-time link of theirs, and opens
// a page.
func (w *World) SignIn(ctx context.Context, t *Tab, person, path string) error {
	out, err := w.Hookline(ctx, person, "open")
	if err != nil {
		return err
	}
	if err := t.Open(strings.TrimSpace(out)); err != nil {
		return err
	}
	if err := t.Click("button", "Sign in"); err != nil {
		return err
	}
	if err := t.Until(person+" is signed in", "!location.pathname.startsWith('/login')"); err != nil {
		return err
	}
	return t.Open(path)
}

// Session is a client that a person's one-time link signed in.
func (w *World) Session(ctx context.Context, person string) (*http.Client, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	link, err := w.Hookline(ctx, person, "open")
	if err != nil {
		return nil, err
	}
	c := &http.Client{Jar: jar, Timeout: enough}
	return c, post(ctx, c, strings.TrimSpace(link), nil)
}

// post sends a form; what comes of it, behind a redirect, must be a page.
func post(ctx context.Context, c *http.Client, address string, form url.Values) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := c.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		body, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
		return errors.Join(fmt.Errorf("cannot post %s: %s\n%s", r.URL.Path, answer.Status, body), err)
	}
	return nil
}

// Comment says something on a line of a version's script; line 0 is the whole.
func (w *World) Comment(ctx context.Context, person, digest string, line int, text string) error {
	c, err := w.Session(ctx, person)
	if err != nil {
		return err
	}
	form := url.Values{"text": {text}}
	if line > 0 {
		form.Set("part", "script")
		form.Set("line", strconv.Itoa(line))
	}
	return post(ctx, c, w.HTTP+"/versions/"+digest+"/review/comment", form)
}

// ServeReview starts the review page on a reviewer's machine; its Ready is the
// link that lets one browser in.
func (w *World) ServeReview(ctx context.Context, reviewer string, args ...string) (*onebox.Process, error) {
	return w.Serve(ctx, reviewer, "http://", append([]string{"review", "serve", "--key", w.Path(reviewer + ".key")}, args...)...)
}

// EnterReview lets a tab into the review page, whose paths are below a secret
// one; the tab's base is that from now on.
func EnterReview(t *Tab, page *onebox.Process) error {
	if err := t.Open(page.Ready); err != nil {
		return err
	}
	if err := t.Click("button", "Open"); err != nil {
		return err
	}
	if err := t.Until("the browser was let in", "location.pathname.startsWith('/r/')"); err != nil {
		return err
	}
	base, err := Evaluate[string](t, "location.origin + location.pathname.split('/').slice(0, 3).join('/')")
	t.Base = base
	return err
}

// Enter opens a tab for whoever looks at a page.
func (w *World) Enter(ctx context.Context, b *Browser, p Page) (*Tab, error) {
	t, err := b.Visit(w.HTTP, "")
	if err != nil {
		return nil, err
	}
	switch {
	case p.Local:
		var page *onebox.Process
		if page, err = w.ServeReview(ctx, p.As); err == nil {
			w.local = append(w.local, page)
			err = EnterReview(t, page)
		}
	case p.As != "":
		err = w.SignIn(ctx, t, p.As, "/")
	}
	if err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// Hook is a small hook of a package of its own.
type Hook struct {
	Name, Package string
	Script        string
	Note          string // of the manifest
	Reads         string // one more file that it reads
	MaxReports    int    // 0 is 100
}

// Scripts that hooks of the world have.
const (
	Taint = `-- Is the kernel tainted, and how long has the machine been up?
local text = fs.read("/proc/sys/kernel/tainted")
report.set("Tainted", text)
report.set("Release", fs.read("/proc/sys/kernel/osrelease"))
`
	TaintAndUptime = `-- Is the kernel tainted, and how long has the machine been up?
local up = fs.read("/proc/uptime")
report.set("Tainted", fs.read("/proc/sys/kernel/tainted"))
report.set("Release", fs.read("/proc/sys/kernel/osrelease") .. ", up " .. string.match(up, "^%d+") .. " s")
`
	Broken = "local x = nil\nreport.set('Tainted', x.y)\n"
)

// Write writes the hook's folder, anew where there is one, and returns it.
func (w *World) Write(h Hook) (dir string, err error) {
	if h.MaxReports == 0 {
		h.MaxReports = 100
	}
	if h.Note == "" {
		h.Note = "what the kernel says of itself"
	}
	reads := "/proc/sys/kernel/tainted, /proc/sys/kernel/osrelease"
	if h.Reads != "" {
		reads += ", " + h.Reads
	}
	dir = w.Path(h.Name)
	manifest := fmt.Sprintf(`hook: %s
description: %s
level: package
match: {package: %s}
as: service
capabilities: {fs.read: [%s]}
fields:
  Tainted: {type: text, class: technical, max_bytes: 256, raw: false}
  Release: {type: text, class: technical, max_bytes: 256, raw: false}
limits:
  lifetime: 1d
  max_reports: %d
  max_runs_per_peer: 1000
  max_percent: 100
  max_bytes: 1048576
  max_result_bytes: 1024
  max_runtime: 2s
`, h.Name, h.Note, h.Package, reads, h.MaxReports)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return dir, errors.Join(
		os.WriteFile(filepath.Join(dir, "hook.yaml"), []byte(manifest), 0o600),
		os.WriteFile(filepath.Join(dir, "hook.lua"), []byte(h.Script), 0o600))
}

// Submit writes and submits a hook as alice.
func (w *World) Submit(ctx context.Context, h Hook) (api.Version, error) {
	dir, err := w.Write(h)
	if err != nil {
		return api.Version{}, err
	}
	return w.Deployment.Submit(ctx, "alice", dir)
}

// Live brings a hook to active, with everybody's signatures.
func (w *World) Live(ctx context.Context, h Hook, quantity int) (v api.Version, err error) {
	if v, err = w.Submit(ctx, h); err != nil {
		return v, err
	}
	for _, reviewer := range []string{"bob", "carol"} {
		if v, err = w.Approve(ctx, reviewer, v.Digest); err != nil {
			return v, err
		}
	}
	return w.Activate(ctx, "alice", v.Digest, quantity)
}

// File files a report of a package through the peer and returns its id.
func (w *World) File(ctx context.Context, of string, more hooks.Report) (string, error) {
	r := hooks.Report{
		hooks.FieldExecutablePath: "/usr/bin/" + of, hooks.FieldPackage: of, hooks.FieldPackageVersion: "1.0",
		hooks.FieldExitCode: "1",
	}
	for name, value := range more {
		r[name] = value
	}
	report, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(w.Dir, "report-*.json")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	if _, err = f.Write(report); err != nil {
		return "", errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return "", err
	}
	return w.Peer.Report(ctx, f.Name())
}

// AwaitRun waits until an original job has a hook job that ended, and returns
// it.
func (w *World) AwaitRun(ctx context.Context, original string) (run api.Job, err error) {
	c, err := w.Client("alice")
	if err != nil {
		return run, err
	}
	err = onebox.Eventually(ctx, enough, func() error {
		j, err := c.Job(ctx, original)
		if err != nil {
			return err
		}
		for _, h := range j.HookJobs {
			if h.Status != "pending" {
				run = h
				return nil
			}
		}
		return fmt.Errorf("job %s has no hook job that ended: %+v", original, j.HookJobs)
	})
	return run, err
}

// Fill puts something on every page: reports of several programs, a hook that
// brings results, one that fails, versions that wait, were rejected, or are to
// be changed.
func (w *World) Fill(ctx context.Context) error {
	for _, step := range []func(context.Context) error{w.crash, w.results, w.failures, w.reviews} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("cannot fill the pages: %w", err)
		}
	}
	return nil
}

// crash files a report of a real crash.
func (w *World) crash(ctx context.Context) error {
	id, _, err := w.Peer.Exec(ctx, w.Bin.Path("crash"), "--to", "3")
	if err != nil {
		return err
	}
	c, err := w.Client("alice")
	if err != nil {
		return err
	}
	return onebox.Eventually(ctx, enough, func() error {
		_, err := c.Job(ctx, id)
		return err
	})
}

// results has a hook live that answers three reports.
func (w *World) results(ctx context.Context) error {
	if _, err := w.Live(ctx, Hook{Name: "kernel-facts", Package: "ledger", Script: Taint}, 40); err != nil {
		return err
	}
	for _, of := range [][2]string{{"2.4-1", "Debian 12"}, {"2.4-1", "Debian 13"}, {"2.5-1", "Debian 13"}} {
		id, err := w.File(ctx, "ledger", hooks.Report{
			hooks.FieldPackageVersion: of[0], hooks.FieldRelease: of[1], hooks.FieldSignal: "6", hooks.FieldSignalName: "SIGABRT",
			hooks.FieldFrames: "post\ntransfer\nmain", hooks.FieldStderr: "ledger: account 3 does not exist",
		})
		if err != nil {
			return err
		}
		if _, err := w.AwaitResult(ctx, "alice", id); err != nil {
			return err
		}
	}
	return nil
}

// failures has a hook live whose runs fail.
func (w *World) failures(ctx context.Context) error {
	if _, err := w.Live(ctx, Hook{Name: "broken", Package: "mailer", Script: Broken}, 20); err != nil {
		return err
	}
	for range 2 {
		id, err := w.File(ctx, "mailer", nil)
		if err != nil {
			return err
		}
		if _, err := w.AwaitRun(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// reviews leaves versions in every state of review.
func (w *World) reviews(ctx context.Context) error {
	// The second version of a hook that was approved waits for its second reviewer.
	next, err := w.Submit(ctx, Hook{Name: "kernel-facts", Package: "ledger", Script: TaintAndUptime, Reads: "/proc/uptime"})
	if err != nil {
		return err
	}
	if _, err := w.Approve(ctx, "bob", next.Digest); err != nil {
		return err
	}
	if err := w.Comment(ctx, "carol", next.Digest, 2, "Is the uptime worth **one more file**? `sys.facts()` may have it."); err != nil {
		return err
	}
	for _, word := range []struct{ hook, command, comment string }{
		{"wants-changes", "request-changes", "Please say **why** the field is needed.\n\n- what is it for?\n- who reads it?"},
		{"rejected", "reject", "It reads more than it needs."},
	} {
		v, err := w.Submit(ctx, Hook{Name: word.hook, Package: "ledger", Script: Taint})
		if err != nil {
			return err
		}
		if err := w.Comment(ctx, "bob", v.Digest, 3, "This line is what I mean."); err != nil {
			return err
		}
		if _, err := w.Hookline(ctx, "bob", "review", word.command, v.Digest, "--comment", word.comment); err != nil {
			return err
		}
	}
	return nil
}
