package hooktest_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hookline/hooks"
	"hookline/internal/api"
	"hookline/internal/errs"
	"hookline/internal/onebox"
)

// smallDisk mounts a file system of this size over dir, where that is allowed.
func smallDisk(t *testing.T, dir, size string) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755,size="+size); err != nil {
		t.Skipf("cannot mount a small disk (%v, uid %d); root in a container of its own can", err, os.Getuid())
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
}

// fill takes every page of the disk that dir is on, until freed.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "ballast"))
	must(t, err)
	defer f.Close()
	for block := make([]byte, 4096); ; {
		if _, err := f.Write(block); errors.Is(err, unix.ENOSPC) {
			break
		}
		must(t, err)
	}
	return func() { must(t, os.Remove(f.Name())) }
}

// With the server's disk full a peer keeps what its reporters were told is
// filed, people hear what is wrong, reading goes on; with room again all of it
// arrives and every count is right.
func TestFullDiskAtTheServer(t *testing.T) {
	d := deployment(t)
	smallDisk(t, d.Path("server"), "8m")
	must(t, d.Found(t.Context(), onebox.Team()))
	p := addPeer(t, d, "peer", "--send-reports=yes", "--hooks=yes")
	const quantity = 5
	v := live(t, d, hookFolder(t, d, "taint", taintScript, 1000), quantity)
	c := as(t, d, "alice")
	before, err := file(t.Context(), d, p, "before")
	must(t, err)
	_, err = d.AwaitResult(t.Context(), "alice", before)
	must(t, err)

	free := fill(t, d.Path("server"))
	ids := []string{before}
	// The log of the database has some room of its own: file until it has not.
	eventually(t, 20*time.Second, func() error {
		id, err := file(t.Context(), d, p, fmt.Sprint("full-", len(ids)))
		must(t, err) // the peer's own disk has room
		ids = append(ids, id)
		if status, text := ask(t, d, http.MethodPost, "/api/tokens", `{"user":"alice","days":1}`); status != http.StatusServiceUnavailable ||
			!strings.Contains(text, `"storage-full"`) {
			return fmt.Errorf("a token was made, or refused otherwise: %d %s", status, text)
		}
		if status, text := ask(t, d, http.MethodGet, "/readyz", ""); status != http.StatusServiceUnavailable || !strings.Contains(text, "storage-full") {
			return fmt.Errorf("readyz answers %d %s", status, text)
		}
		return nil
	})
	a, err := d.Try(t.Context(), "admin", "token", "create", "--user", "alice")
	must(t, err)
	if a.Code != 5 || !strings.Contains(a.Stderr, "storage-full") || !strings.Contains(a.Stderr, "free space") {
		t.Errorf("the command line does not say what to do: exit %d\n%s", a.Code, a.Stderr)
	}
	if _, err := c.Job(t.Context(), before); err != nil {
		t.Errorf("reading does not go on: %v", err)
	}
	for i := range quantity {
		id, err := file(t.Context(), d, p, fmt.Sprint("late-", i))
		must(t, err)
		ids = append(ids, id)
	}
	if n := waiting(t, p); n < quantity {
		t.Errorf("%d reports wait at the peer, want at least %d", n, quantity)
	}

	free()
	eventually(t, 10*time.Second, func() error {
		if status, text := ask(t, d, http.MethodGet, "/readyz", ""); status != http.StatusOK {
			return fmt.Errorf("readyz answers %d %s with room again", status, text)
		}
		return nil
	})
	reportsArrive(t, c, ids)
	eventually(t, 30*time.Second, func() error {
		if n := len(allResults(t, c, v.Digest)); n != quantity {
			return fmt.Errorf("%d results of %d", n, quantity)
		}
		return nil
	})
	resultsStand(t, c, p, v, quantity)
}

// ask sends a request as the admin and returns the answer as it is.
func ask(t *testing.T, d *onebox.Deployment, method, path, body string) (int, string) {
	t.Helper()
	status, _, text := request(t, d, method, path, body)
	return status, text
}

func request(t *testing.T, d *onebox.Deployment, method, path, body string) (int, http.Header, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, d.HTTP+path, strings.NewReader(body))
	must(t, err)
	secret, err := os.ReadFile(d.Path("admin.token"))
	must(t, err)
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(secret)))
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	must(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(t, err)
	return response.StatusCode, response.Header, strings.TrimSpace(string(text))
}

// With the peer's disk full nobody is told that a report is filed, and no hook
// runs, since its run could not be counted; with room again it carries on.
func TestFullDiskAtThePeer(t *testing.T) {
	d := found(t, onebox.Team())
	smallDisk(t, d.Path("peer"), "2m")
	p := addPeer(t, d, "peer", "--send-reports=yes", "--hooks=yes")
	first := live(t, d, hookFolder(t, d, "first", taintScript, 10), 5)
	c := as(t, d, "alice")
	original, err := file(t.Context(), d, p, "original")
	must(t, err)
	_, err = d.AwaitResult(t.Context(), "alice", original)
	must(t, err)
	nothingWaits(t, p)

	free := fill(t, p.State())
	nothingFiled(t, d, p)
	second := live(t, d, hookFolder(t, d, "second", taintScript, 10), 5)
	refused := hookJob(t, d, original, second.Digest, "failed")
	if refused.Outcome != string(hooks.OutcomeRefused) || refused.FailedCode != string(errs.CodeStorageFull) {
		t.Errorf("the hook job on a full disk ended %s %s, want refused, storage-full", refused.Outcome, refused.FailedCode)
	}
	if runs := runsOf(t, p, second.Digest); runs != 0 {
		t.Errorf("%d runs counted of a hook that could not run", runs)
	}

	free()
	again, err := file(t.Context(), d, p, "again")
	must(t, err)
	for _, v := range []api.Version{first, second} {
		hookJob(t, d, again, v.Digest, "succeeded")
		resultsStand(t, c, p, v, 5)
	}
	page, err := c.Jobs(t.Context(), listReports)
	must(t, err)
	if len(page.Items) != 2 {
		t.Errorf("the server has %d reports, want the two that were filed", len(page.Items))
	}
}

// nothingFiled checks what reporters hear on a full disk.
func nothingFiled(t *testing.T, d *onebox.Deployment, p *onebox.Peer) {
	t.Helper()
	crash, err := p.Try(t.Context(), "exec", "--", binaries.Path("crash"), "--to", "3")
	must(t, err)
	if crash.Code != 128+int(unix.SIGABRT) || !strings.Contains(crash.Stderr, "no report was filed") ||
		!strings.Contains(crash.Stderr, string(errs.CodeStorageFull)) {
		t.Errorf("exec on a full disk: exit %d\n%s", crash.Code, crash.Stderr)
	}
	path := d.Path("refused.json")
	must(t, os.WriteFile(path, []byte(`{"ExecutablePath":"/usr/bin/hooktest","ExitCode":"1"}`), 0o600))
	report, err := p.Try(t.Context(), "report", path)
	must(t, err)
	if report.Code != 5 || report.Stdout != "" || !strings.Contains(report.Stderr, string(errs.CodeStorageFull)) {
		t.Errorf("report on a full disk: exit %d, printed %q\n%s", report.Code, report.Stdout, report.Stderr)
	}
}
