package main

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	sys "golang.org/x/sys/unix"

	"hookline/internal/waitfor"
	"hookline/signing"
)

// terminalOf is a terminal: what is typed at one end, and its other end.
type terminalOf struct {
	t     *testing.T
	slave *os.File
	hand  *os.File // who sits there

	mu    sync.Mutex
	shown strings.Builder
}

func newTerminal(t *testing.T) *terminalOf {
	t.Helper()
	hand, err := os.OpenFile("/dev/ptmx", os.O_RDWR|sys.O_NOCTTY, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		t.Skip("no pseudo-terminals here: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hand.Close() })
	fd := int(hand.Fd())
	number, err := sys.IoctlGetInt(fd, sys.TIOCGPTN)
	if err == nil {
		err = sys.IoctlSetPointerInt(fd, sys.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|sys.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = slave.Close() })
	out := &terminalOf{t: t, slave: slave, hand: hand}
	go out.watch()
	return out
}

// watch keeps what the terminal shows: its echo.
func (k *terminalOf) watch() {
	b := make([]byte, 256)
	for {
		n, err := k.hand.Read(b)
		if err != nil {
			return
		}
		k.mu.Lock()
		k.shown.Write(b[:n])
		k.mu.Unlock()
	}
}

func (k *terminalOf) echo() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.shown.String()
}

func (k *terminalOf) kind(line string) {
	k.t.Helper()
	if _, err := k.hand.WriteString(line + "\n"); err != nil {
		k.t.Error(err)
	}
}

// echoes reports whether the terminal shows what is typed.
func (k *terminalOf) echoes() bool {
	state, err := sys.IoctlGetTermios(int(k.slave.Fd()), sys.TCGETS)
	return err == nil && state.Lflag&sys.ECHO != 0
}

// The passphrase is asked for in the terminal at the first signature, without
// echo; a wrong one signs nothing, and a right one opens the key for the rest.
func TestReviewPageAsksForThePassphrase(t *testing.T) {
	h := newShelf(t)
	one := h.put("submitted", hookScript, nil)
	two := h.put("submitted", hookScript+"-- two\n", numbered(5))
	env := maps.Clone(h.env)
	passphrase := env["HOOKLINE_PASSPHRASE"]
	delete(env, "HOOKLINE_PASSPHRASE")
	k := newTerminal(t)
	r := servingAt(t, k.slave, env, "--key", h.path("bob.key")).open()
	r.read(one.Digest).want(t, 200, "its passphrase is asked for in the terminal")
	r.read(two.Digest).want(t, 200)

	asked := 0
	typing := func(digest, typed string) answer {
		t.Helper()
		asked++
		done := make(chan answer, 1)
		go func() {
			done <- r.do(http.MethodPost, r.at(digest)+"/sign", url.Values{"confirm": {digest[:8]}}, nil)
		}()
		waitfor.True(t, 20*time.Second, "the passphrase is asked for", func() bool {
			return strings.Count(r.out.String(), "passphrase of "+h.path("bob.key")+":") == asked && !k.echoes()
		})
		r.sign(two.Digest).want(t, 409, "something else is going on") // not a second question
		k.kind(typed)
		return <-done
	}
	if got := typing(one.Digest, "wrong-and-long"); got.StatusCode == http.StatusOK || h.thief.got != nil {
		t.Errorf("with a wrong passphrase: %s, sent %s", got.Status, h.thief.got)
	}
	typing(one.Digest, passphrase).want(t, 200, "Signed.", "The signature of bob was uploaded")
	r.read(two.Digest).want(t, 200, bob().Public().ID.Short())
	r.sign(two.Digest).want(t, 200, "Signed.") // nobody is asked again
	if strings.Count(r.out.String(), "passphrase of") != 2 || strings.Contains(r.out.String()+k.echo(), "wrong-and-long") {
		t.Errorf("the terminal shows %q, the program %q", k.echo(), r.out)
	}
	if !k.echoes() {
		t.Error("the terminal stays without echo")
	}
}

// Who ends the program while it asks has a terminal that echoes again.
func TestReviewPageGivesTheTerminalBack(t *testing.T) {
	h := newShelf(t)
	v := h.put("submitted", hookScript, nil)
	env := maps.Clone(h.env)
	delete(env, "HOOKLINE_PASSPHRASE")
	k := newTerminal(t)
	var out fmt.Stringer
	t.Run("asked", func(t *testing.T) { // the program ends with this part
		r := servingAt(t, k.slave, env, "--key", h.path("bob.key")).open()
		out = r.out
		r.read(v.Digest).want(t, 200)
		go func() {
			req, err := http.NewRequest(http.MethodPost, r.at(v.Digest)+"/sign", strings.NewReader(url.Values{"confirm": {v.Digest[:8]}}.Encode()))
			if err == nil {
				req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				if res, err := r.browser.Do(req); err == nil {
					_ = res.Body.Close()
				}
			}
		}()
		waitfor.True(t, 20*time.Second, "the passphrase is asked for", func() bool { return !k.echoes() })
	})
	if !k.echoes() {
		t.Error("the terminal stays without echo")
	}
	k.kind("") // ends the question of a program that is gone
	waitfor.True(t, 20*time.Second, "the question has ended", func() bool {
		_, after, asked := strings.Cut(out.String(), "passphrase of")
		return asked && strings.Contains(after, "\n")
	})
	if h.thief.got != nil {
		t.Errorf("sent %s", h.thief.got)
	}
}

// A key in an ssh-agent signs on the page, asked by nobody; one that is gone
// from the agent signs no more.
func TestReviewPageSignsWithTheAgent(t *testing.T) {
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip("ssh-keygen is not installed")
	}
	h := newShelf(t)
	h.sshAgent()
	h.addToAgent("bob", "-t", "ed25519")
	code, pub := h.hookline("key", "show", "--public", "agent:bob@laptop")
	if code != 0 {
		t.Fatal(pub)
	}
	key, err := signing.ParsePublicKey([]byte(pub))
	h.must(err)
	p, err := signing.ParsePolicy(h.thief.info.Policy)
	h.must(err)
	for i := range p.Persons {
		if p.Persons[i].Name == "bob" {
			p.Persons[i].Keys = append(p.Persons[i].Keys, key)
		}
	}
	h.setPolicy(p.YAML(), p.Deployment)
	h.must(os.RemoveAll(h.path(".config")))
	h.want(0, "signed in", "login", "--server", h.url, "--token-file", h.path("token"))

	one := h.put("submitted", hookScript, nil)
	two := h.put("submitted", hookScript+"-- two\n", numbered(5))
	r := opened(t, h.env, "--key", "agent:bob@laptop")
	r.read(one.Digest).want(t, 200, "agent:bob@laptop", key.ID.Short(), "Sign with this key")
	r.sign(one.Digest).want(t, 200, "Signed.", "The signature of bob was uploaded and came back", key.ID.Short())
	r.read(two.Digest).want(t, 200)
	remove := exec.Command("ssh-add", "-q", "-D") //nolint:noctx // it ends at once
	remove.Env = append(os.Environ(), "SSH_AUTH_SOCK="+h.env["SSH_AUTH_SOCK"])
	if out, err := remove.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h.thief.got = nil
	if got := r.sign(two.Digest); got.StatusCode == http.StatusOK || h.thief.got != nil {
		t.Errorf("the agent has the key no more: %s, sent %s", got.Status, h.thief.got)
	}
	h.want(3, "it holds none", "review", "serve", "--key", "agent:bob@laptop")
}
