package corpus

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"hookline/sandbox"
)

// Job is what a process that stands in for a guard is told to run.
type Job struct {
	Binary   string        // the small binary
	Without  []string      // layers that may be missing
	Parallel int           // runs at a time
	Good     *sandbox.Task // run after each other one, on the same Runner; nil for none
	Runs     []Run
}

// Run is one task and its name.
type Run struct {
	Name   string
	Binary string // in place of the job's, but not for the good run after it
	Task   sandbox.Task
}

// Result is how one run ended, and the good one after it. The last Result of
// a job has no name and says what the job left behind.
type Result struct {
	Name    string
	Outcome sandbox.Outcome
	Error   string // the run could not be set up
	Took    time.Duration
	Wrong   []string // with the good run, or what was left behind
}

// Err is Error as an error.
func (r Result) Err() error {
	if r.Error == "" {
		return nil
	}
	return fmt.Errorf("%s", r.Error)
}

// Serve reads one Job and runs it, in this process as the guard: Results in
// the order in which the runs end. Processes that lose their parent come to
// this one, so that none can hide.
func Serve(in io.Reader, out io.Writer) error {
	var job Job
	if err := json.NewDecoder(in).Decode(&job); err != nil {
		return fmt.Errorf("cannot read the job: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot take in orphans: %w", err)
	}
	s := &server{job: job, runner: &sandbox.Runner{Binary: job.Binary, Without: job.Without}, enc: json.NewEncoder(out)}
	if job.Good != nil { // opens what the runtime keeps open
		if wrong := CheckGood(s.runner.Run(context.Background(), *job.Good)); len(wrong) > 0 {
			return fmt.Errorf("cannot run a good hook: %s", strings.Join(wrong, "; "))
		}
	}
	before := Look()
	s.all()
	last := Result{Wrong: Left(before)}
	return s.enc.Encode(last)
}

type server struct {
	job    Job
	runner *sandbox.Runner
	mu     sync.Mutex
	enc    *json.Encoder
}

func (s *server) all() {
	slots := make(chan struct{}, max(1, s.job.Parallel))
	var runs sync.WaitGroup
	for _, r := range s.job.Runs {
		slots <- struct{}{}
		runs.Go(func() {
			s.one(r)
			<-slots
		})
	}
	runs.Wait()
}

func (s *server) one(r Run) {
	runner := &sandbox.Runner{Binary: cmp.Or(r.Binary, s.job.Binary), Without: s.job.Without}
	began := time.Now()
	out, err := runner.Run(context.Background(), r.Task)
	result := Result{Name: r.Name, Outcome: out, Took: time.Since(began)}
	if err != nil {
		result.Error = err.Error()
	}
	if s.job.Good != nil {
		if r.Binary != "" {
			runner = s.runner
		}
		result.Wrong = CheckGood(runner.Run(context.Background(), *s.job.Good))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.enc.Encode(result) // whoever reads misses it
}

// Seen is what a process has open, and what covers /proc, where a worker that
// left its namespace would mount its empty root.
type Seen struct{ files, mounts int }

// Look counts both.
func Look() Seen {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return Seen{-1, -1}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return Seen{-1, -1}
	}
	return Seen{len(entries), strings.Count(string(mounts), " /proc ")}
}

// Left says what there is beyond what was seen before, and which children this
// process still has.
func Left(before Seen) []string {
	now := Look()
	if now.files < 0 {
		return []string{"/proc cannot be read"}
	}
	var left []string
	if now.files > before.files {
		left = append(left, fmt.Sprintf("%d descriptors before, %d after", before.files, now.files))
	}
	if now.mounts > before.mounts {
		left = append(left, fmt.Sprintf("%d mounts over /proc before, %d after", before.mounts, now.mounts))
	}
	return append(left, children()...)
}

func children() []string {
	var left []string
	self := fmt.Sprint(os.Getpid())
	entries, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range entries {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// "pid (name) state parent …", where the name may hold anything.
		at := strings.LastIndex(string(b), ") ")
		if fields := strings.Fields(string(b[at+1:])); len(fields) > 1 && fields[1] == self {
			left = append(left, "a process stayed behind: "+string(b[:at+1])+" "+fields[0])
		}
	}
	return left
}
