package onebox

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// Theft is a hook job as a thief makes it up.
type Theft struct {
	Original   string // id of the original job
	Statement  []byte
	Script     []byte
	Signatures [][]byte
}

// Thief holds the server's folder and answers peers at its address.
type Thief struct {
	cmd    *exec.Cmd
	stderr tail
	orders io.WriteCloser
	said   *bufio.Scanner
}

// Steal stops the server and puts a thief in its place.
func (d *Deployment) Steal(ctx context.Context) (*Thief, error) {
	trusted, err := d.Trusted()
	if err != nil {
		return nil, err
	}
	if err := d.Stop(); err != nil {
		return nil, err
	}
	d.Server = nil
	t := &Thief{}
	t.cmd = exec.CommandContext(ctx, d.Bin.Path("thief"), "-data", d.Path("server"), "-deployment", trusted.Policy().Deployment, "-grpc", d.GRPC)
	t.cmd.Env, t.cmd.Stderr = d.env(""), &t.stderr
	t.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if t.orders, err = t.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := t.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := t.cmd.Start(); err != nil {
		return nil, err
	}
	t.said = bufio.NewScanner(out)
	if !t.said.Scan() {
		return nil, t.ended()
	}
	return t, nil
}

// Send sends one job to the peer that is connected, and returns the job's id
// and the code with which the peer refused it, "" where it did not.
func (t *Thief) Send(o Theft) (job, code string, err error) {
	b, err := json.Marshal(o)
	if err != nil {
		return "", "", err
	}
	if _, err := fmt.Fprintf(t.orders, "%s\n", b); err != nil || !t.said.Scan() {
		return "", "", t.ended()
	}
	var outcome string
	if n, err := fmt.Sscanf(t.said.Text(), "answer %s %s %s", &job, &outcome, &code); n < 2 {
		return "", "", fmt.Errorf("cannot read what the thief says: %q: %w", t.said.Text(), err)
	}
	return job, code, nil
}

// Stop ends the thief.
func (t *Thief) Stop() error {
	_ = t.orders.Close()
	if err := t.cmd.Wait(); err != nil {
		return fmt.Errorf("the thief failed: %w\n%s", err, &t.stderr)
	}
	return nil
}

// ended says why the thief says no more.
func (t *Thief) ended() error {
	if err := t.Stop(); err != nil {
		return err
	}
	return fmt.Errorf("the thief ended\n%s", &t.stderr)
}
