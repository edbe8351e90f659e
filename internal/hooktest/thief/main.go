// Command thief answers at the address of a server that was stolen, with its
// certificate, and sends peers whatever it is told to. The demo shows with it
// that they run nothing of that. It is not part of any installation.
//
//	thief -data SERVER-FOLDER -deployment d-… -grpc HOST:PORT
//
// Each line of its standard input is one hook job as JSON; it goes to the peer
// that has connected, and how the peer answered to standard output.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"hookline/internal/enroll"
	"hookline/internal/jobpb"
	"hookline/internal/onebox"
)

const (
	patience    = 30 * time.Second // until a peer connects, or answers
	maxJobBytes = 1 << 20
)

func main() {
	data := flag.String("data", "", "the stolen server's folder")
	deployment := flag.String("deployment", "", "its deployment")
	address := flag.String("grpc", "", "its address")
	flag.Parse()
	if err := run(*data, *deployment, *address); err != nil {
		fmt.Fprintln(os.Stderr, "thief:", err)
		os.Exit(1)
	}
}

func run(data, deployment, address string) error {
	ca, err := enroll.LoadOrCreateCA(data, deployment, time.Now())
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", address) //nolint:noctx // it listens as long as it lives
	if err != nil {
		return err
	}
	t := &thief{jobs: make(chan *jobpb.Job), answers: make(chan *jobpb.Finished)}
	s := grpc.NewServer(grpc.Creds(credentials.NewTLS(ca.ServerTLS(time.Now))))
	jobpb.RegisterPeersServer(s, t)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	fmt.Println("thief ready")
	err = t.obey(os.Stdin)
	s.Stop()
	return errors.Join(err, <-served)
}

// thief is the other end of a peer's stream.
type thief struct {
	jobpb.UnimplementedPeersServer
	jobs    chan *jobpb.Job
	answers chan *jobpb.Finished
}

// obey sends what it is told to, one job after the other.
func (t *thief) obey(orders io.Reader) error {
	lines := bufio.NewScanner(orders)
	lines.Buffer(nil, maxJobBytes)
	for lines.Scan() {
		var o onebox.Theft
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return err
		}
		f, err := t.send(o)
		if err != nil {
			return err
		}
		fmt.Printf("answer %s %s %s\n", f.GetJobId(), f.GetOutcome(), f.GetCode())
	}
	return lines.Err()
}

func (t *thief) send(o onebox.Theft) (*jobpb.Finished, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	job := &jobpb.Job{
		Id: id.String(), DeadlineMs: time.Now().Add(time.Minute).UnixMilli(), TtlMs: time.Minute.Milliseconds(),
		Workload: &jobpb.Job_Hook{Hook: &jobpb.HookRun{OriginalId: o.Original, Statement: o.Statement, Script: o.Script, Signatures: o.Signatures}},
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case t.jobs <- job:
	case <-late.C:
		return nil, errors.New("no peer has connected")
	}
	for {
		select {
		case f := <-t.answers:
			if f.GetJobId() == job.GetId() {
				return f, nil
			}
		case <-late.C:
			return nil, errors.New("the peer does not answer")
		}
	}
}

// Stream says nothing of revocations.
func (t *thief) Stream(g grpc.BidiStreamingServer[jobpb.PeerMessage, jobpb.ServerMessage]) error {
	welcome := &jobpb.Welcome{Protocol: jobpb.Protocol, Version: "stolen", Epoch: 1 << 40}
	if err := g.Send(&jobpb.ServerMessage{Body: &jobpb.ServerMessage_Welcome{Welcome: welcome}}); err != nil {
		return err
	}
	heard := make(chan error, 1)
	go func() { heard <- t.hear(g) }()
	for {
		select {
		case err := <-heard:
			return err
		case job := <-t.jobs:
			if err := g.Send(&jobpb.ServerMessage{Body: &jobpb.ServerMessage_Job{Job: job}}); err != nil {
				return err
			}
		}
	}
}

func (t *thief) hear(g grpc.BidiStreamingServer[jobpb.PeerMessage, jobpb.ServerMessage]) error {
	for {
		m, err := g.Recv()
		if err != nil {
			return err
		}
		f := m.GetFinished()
		if f == nil {
			continue
		}
		select {
		case t.answers <- f:
		case <-g.Context().Done():
			return g.Context().Err()
		}
	}
}
