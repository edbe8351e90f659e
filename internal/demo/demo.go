// Package demo shows the main job on this machine with real processes: a real
// crash, a hook reviewed and signed by people's own keys, a peer that verifies
// it, the new fields beside the original report; a revocation; then five
// attempts of a stolen server, each refused by the peer.
package demo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"hookline/internal/api"
	"hookline/internal/onebox"
)

// Options say how the demo runs.
type Options struct {
	Out   io.Writer
	Bin   onebox.Binaries
	Color bool
	Stay  bool // keep everything running after the verdict, until ctx ends

	// Store is the address of a MongoDB database, which must be empty and is empty
	// again afterwards; where it names none, the demo takes one of its own. "" is
	// the embedded store.
	Store string
}

type demo struct {
	Options
	d       *onebox.Deployment
	peer    *onebox.Peer
	start   time.Time
	job     string      // the original job of the demo's crash
	version api.Version // ran, and is revoked then
	next    api.Version // lacks an approval
	refused []string
}

// Run runs the demo; an error says which step did not hold.
func Run(ctx context.Context, o Options) error {
	dir, err := os.MkdirTemp("", "hookline-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := o.Bin.Check("crash", "thief", "wipe"); err != nil {
		return err
	}
	d, err := onebox.New(dir, o.Bin)
	if err != nil {
		return err
	}
	s := &demo{Options: o, d: d, start: time.Now()}
	if err := s.takeStore(ctx); err != nil {
		return err
	}
	defer s.stop()
	for _, step := range []func(context.Context) error{s.found, s.enrol, s.crash, s.hook, s.review, s.result, s.revoke, s.refusals} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	s.verdict()
	if o.Stay {
		return s.stay(ctx)
	}
	return nil
}

func (s *demo) stop() {
	if s.peer != nil {
		_ = s.peer.Stop()
	}
	_ = s.d.Stop()
	if s.d.Store != "" {
		ctx, cancel := context.WithTimeout(context.Background(), onebox.ReadyTimeout)
		defer cancel()
		if err := s.d.WipeStore(ctx); err != nil {
			fmt.Fprintf(s.Out, "the database is not cleared: %v\n", err)
		}
	}
}

// takeStore makes sure that nobody's data is in the database that the demo
// fills and clears.
func (s *demo) takeStore(ctx context.Context) error {
	if s.Store == "" {
		return nil
	}
	s.d.Store = withDatabase(s.Store, "hookline_demo_"+strings.ToLower(rand.Text()[:8]))
	return s.d.CheckStore(ctx)
}

// withDatabase names a database in an address that names none.
func withDatabase(address, name string) string {
	before, query, asked := strings.Cut(address, "?")
	scheme, rest, _ := strings.Cut(before, "://")
	hosts, database, _ := strings.Cut(rest, "/")
	if database != "" {
		return address
	}
	address = scheme + "://" + hosts + "/" + name
	if asked {
		address += "?" + query
	}
	return address
}

func (s *demo) found(ctx context.Context) error {
	s.step("people make their own keys and, offline, sign the policy: two reviewers, author ≠ reviewer")
	if err := s.d.Found(ctx, onebox.Team()); err != nil {
		return err
	}
	s.say("alice is author and operator, bob and carol review; each key stays with its owner, encrypted")
	if err := s.trust(); err != nil {
		return err
	}
	s.say("server: %s for people, %s for peers", s.d.HTTP, s.d.GRPC)
	return nil
}

// trust tells what machines will trust: a root, and who signed it.
func (s *demo) trust() error {
	t, err := s.d.Trusted()
	if err != nil {
		return err
	}
	root := t.Roles()[0]
	var names []string
	for _, id := range root.SignedBy {
		if person, ok := t.Policy().Person(id); ok {
			names = append(names, person.Name)
		}
	}
	slices.Sort(names)
	s.say("trust: root %s, signed by %s; to change the policy it takes %d of them", t.Anchor().RootDigest, strings.Join(names, ", "), root.Threshold)
	return nil
}

func (s *demo) enrol(ctx context.Context) (err error) {
	s.step("a machine enrols with a line that pins the root of trust, the deployment and the server's CA; its owner opts in")
	s.peer, err = s.d.AddPeer(ctx, "peer", "--send-reports=yes", "--hooks=yes")
	return err
}

func (s *demo) crash(ctx context.Context) error {
	s.step("a real program crashes under hookline-peer exec, with GOTRACEBACK=crash")
	id, a, err := s.peer.Exec(ctx, s.Bin.Path("crash"), "--to", "3")
	if err != nil {
		return err
	}
	s.job = id
	s.say("%s", line(a.Stderr, "panic:"))
	j, err := s.awaitJob(ctx, id)
	if err != nil {
		return err
	}
	s.say("report %s, problem %s", id, j.Workload.ProblemID)
	s.say("fingerprint %s", j.Workload.Fingerprint)
	return nil
}

func (s *demo) awaitJob(ctx context.Context, id string) (j api.Job, err error) {
	err = onebox.Eventually(ctx, 30*time.Second, func() error {
		j, err = s.d.Job(ctx, "alice", id)
		return err
	})
	return j, err
}

func (s *demo) hook(ctx context.Context) error {
	s.step("alice starts a hook from that report, tries it in the real sandbox without server or key, and signs it")
	dir, err := s.d.InitHook(ctx, "alice", "demo-hook", s.job)
	if err != nil {
		return err
	}
	out, err := s.d.Hookline(ctx, "", "hook", "test", dir, "--report", dir+"/report.json", "--live", "--yes")
	if err != nil {
		return err
	}
	s.quote(out)
	s.version, err = s.d.Submit(ctx, "alice", dir)
	if err != nil {
		return err
	}
	s.say("submitted %s@%d, version %s: %s, %d of %d approvals", s.version.Hook, s.version.Number, s.version.Digest, s.version.State, s.version.Approvals, s.version.Needed)
	return nil
}

func (s *demo) review(ctx context.Context) (err error) {
	s.step("bob and carol read it and sign the same statement with their own keys; alice activates it for 3 results")
	for _, reviewer := range []string{"bob", "carol"} {
		if s.version, err = s.d.Approve(ctx, reviewer, s.version.Digest); err != nil {
			return err
		}
		s.say("%s signed: %s, %d of %d approvals", reviewer, s.version.State, s.version.Approvals, s.version.Needed)
	}
	v, err := s.d.Activate(ctx, "alice", s.version.Digest, 3)
	if err != nil {
		return err
	}
	s.say("activated: %s, quantity %d, until %s", v.State, v.Activation.Quantity, v.Activation.Deadline.Format(time.RFC3339))
	return nil
}

func (s *demo) result(ctx context.Context) error {
	s.step("the peer verifies the bytes, runs them over its own copy of the report, and only new fields come back")
	r, err := s.d.AwaitResult(ctx, "alice", s.job)
	if err != nil {
		return err
	}
	j, err := s.d.Job(ctx, "alice", s.job)
	if err != nil {
		return err
	}
	if err := s.beside(j, r); err != nil {
		return err
	}
	if r.JobID != s.job {
		return fmt.Errorf("result %s belongs to job %q, want the original job %s", r.ID, r.JobID, s.job)
	}
	s.say("result %s belongs to original job %s", r.ID, r.JobID)
	out, err := s.peer.Do(ctx, "log", "--job", r.ID)
	if err != nil {
		return err
	}
	s.say("and the owner of the machine sees the same in the peer's own record:")
	s.quote(out)
	return nil
}

// beside shows the report on the left and the new fields on the right.
func (s *demo) beside(j api.Job, r api.Result) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(r.Fields, &fields); err != nil {
		return fmt.Errorf("cannot read the result's fields: %w", err)
	}
	var left, right []string
	for _, name := range slices.Sorted(maps.Keys(j.Workload.Report)) {
		left = append(left, short(name+": "+j.Workload.Report[name], 58))
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		right = append(right, short(name+": "+string(fields[name]), 48))
	}
	s.say("| %-58s | %s", "ORIGINAL REPORT "+j.ID, fmt.Sprintf("NEW FIELDS by %s, version %.16s", r.Hook, r.Version))
	for i := range max(len(left), len(right)) {
		s.say("| %-58s | %s", at(left, i), at(right, i))
	}
	s.say("everything: hookline job show %s", j.ID)
	return nil
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

// short is the first line of text, cut to width.
func short(text string, width int) string {
	first, _, more := strings.Cut(text, "\n")
	if len(first) > width-2 {
		first, more = first[:width-2], true
	}
	if more {
		first += " …"
	}
	return strings.ToValidUTF8(first, "")
}

func (s *demo) verdict() {
	fmt.Fprintf(s.Out, "\n%sdemo: PASS%s in %.1f s: result of job %s brought home, %d refusals: %s\n", s.color("32"), s.color("0"),
		time.Since(s.start).Seconds(), s.job, len(s.refused), strings.Join(s.refused, ", "))
}

func (s *demo) stay(ctx context.Context) error {
	if err := s.d.StartServer(ctx); err != nil {
		return err
	}
	out, err := s.d.Hookline(ctx, "alice", "open", "/jobs/"+s.job)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "\nThe page of the job (the link signs you in once): %s\nEverything lives in %s. Ctrl-C ends it and removes the folder.\n", strings.TrimSpace(out), s.d.Dir)
	<-ctx.Done()
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil
	}
	return ctx.Err()
}

func (s *demo) step(text string) {
	fmt.Fprintf(s.Out, "\n%s[%4.1f s] %s%s\n", s.color("1"), time.Since(s.start).Seconds(), text, s.color("0"))
}

func (s *demo) say(format string, args ...any) {
	fmt.Fprintf(s.Out, "  "+format+"\n", args...)
}

func (s *demo) quote(text string) {
	for _, l := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		fmt.Fprintf(s.Out, "  | %s\n", l)
	}
}

func (s *demo) color(code string) string {
	if !s.Color {
		return ""
	}
	return "\x1b[" + code + "m"
}

// line is the first line of text that begins so.
func line(text, prefix string) string {
	for _, l := range strings.Split(text, "\n") {
		if strings.HasPrefix(l, prefix) {
			return l
		}
	}
	return ""
}
