package guard

import (
	"context"
	"errors"
	"io"
	"time"

	"hookline/internal/errs"
	"hookline/internal/guardwire"
)

const (
	sendBuffer = 256
	pumpEvery  = 5 * time.Second
)

// link is the way to one network side. What does not fit its queue is dropped
// and sent again later: a network side that does not read cannot hold the
// guard up.
type link struct {
	out chan guardwire.Message
}

// Serve talks to one network side until it ends; every frame of it is hostile
// input. The error says why it ended, nil where it closed in order.
func (g *Guard) Serve(ctx context.Context, conn *guardwire.Conn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// A write to a network side that does not read ends only this way.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	l := &link{out: make(chan guardwire.Message, sendBuffer)}
	g.mu.Lock()
	g.link, g.connected = l, false
	l.out <- g.stateMessage()
	g.mu.Unlock()
	defer g.unlink(l)
	go func() {
		// Whichever way it ends, the reader has to end too.
		defer func() { _ = conn.Close() }()
		g.write(ctx, conn, l)
	}()
	for {
		m, err := conn.Read()
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := g.onMessage(ctx, m); err != nil {
			return err
		}
	}
}

func (g *Guard) unlink(l *link) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.link == l {
		g.link, g.connected, g.trouble = nil, false, "the network side ended"
	}
}

func (g *Guard) write(ctx context.Context, conn *guardwire.Conn, l *link) {
	ticker := time.NewTicker(pumpEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			g.tend()
			g.pump()
		case m := <-l.out:
			if err := conn.Write(m); err != nil {
				return
			}
		}
	}
}

// onMessage takes one message of the network side; an error ends the link.
func (g *Guard) onMessage(ctx context.Context, m guardwire.Message) error {
	switch m.Kind {
	case guardwire.KindConnected:
		g.onConnected()
	case guardwire.KindDisconnected:
		g.mu.Lock()
		g.connected, g.trouble = false, m.Reason
		g.mu.Unlock()
	case guardwire.KindRun:
		return g.onRun(ctx, m)
	case guardwire.KindCancel:
		g.onCancel(m.JobID)
	case guardwire.KindTrust:
		return g.onTrust(ctx, m.Trust.Bundle)
	case guardwire.KindFiled:
		return g.onFiled(m)
	case guardwire.KindFinished:
		return g.onFinished(m)
	default:
		return errs.New(errs.CodeBadInput, "the network side may not say %s", m.Kind).At("kind")
	}
	return nil
}

// onConnected sends again all that the server may have missed.
func (g *Guard) onConnected() {
	g.mu.Lock()
	g.connected, g.trouble = true, ""
	g.outbox.resendAll()
	g.claims = claims{}
	g.claimLocked(false)
	g.pumpLocked()
	g.mu.Unlock()
	if g.opts.OnConnected != nil {
		g.opts.OnConnected()
	}
}

// onFiled ends the wait of a report: the server has it, or refused it for good.
func (g *Guard) onFiled(m guardwire.Message) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.outbox.reports[m.JobID] {
		return nil // answered twice, or never filed
	}
	e := Entry{Kind: KindAnswered, JobID: m.JobID, Decision: "stored"}
	if m.Code != "" {
		e.Decision, e.Code, e.Reason = "refused", m.Code, m.Reason
	}
	if err := g.record.Append(e); err != nil {
		return err
	}
	if err := g.outbox.drop(m.JobID); err != nil {
		return err
	}
	g.pumpLocked()
	return nil
}

// onFinished ends the wait of a run's end: the server has settled it, whatever
// it decided.
func (g *Guard) onFinished(m guardwire.Message) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.outbox.has(m.JobID) {
		return nil
	}
	if err := g.outbox.drop(m.JobID); err != nil {
		return err
	}
	g.claimLocked(true) // the server has a place less taken
	g.pumpLocked()
	return nil
}

func (g *Guard) send(m guardwire.Message) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sendLocked(m)
}

func (g *Guard) sendLocked(m guardwire.Message) {
	if g.link == nil {
		return
	}
	select {
	case g.link.out <- m:
	default:
		g.opts.Log.Warn("the network side does not read; a message is sent later", "kind", string(m.Kind))
	}
}

func (g *Guard) pump() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.claimLocked(false)
	g.pumpLocked()
}

// pumpLocked puts what waits in the outbox on its way, where there is a stream.
func (g *Guard) pumpLocked() {
	if !g.connected {
		return
	}
	finishes, reports := g.outbox.due(g.now())
	for _, id := range finishes {
		m, err := g.outbox.finish(id)
		if err != nil {
			g.giveUp(id, "its end cannot be read back: "+reasonOf(err))
			continue
		}
		g.sendLocked(m)
	}
	for _, id := range reports {
		k, err := g.shelf.get(id)
		if err != nil {
			g.giveUp(id, "the own copy cannot be read back")
			continue
		}
		g.sendLocked(guardwire.Message{Kind: guardwire.KindFile, File: &guardwire.File{ID: id, Report: k.Report}})
	}
}

// giveUp drops an entry that the disk has damaged, and says so.
func (g *Guard) giveUp(id, reason string) {
	g.opts.Log.Error("an entry of the outbox is dropped", "id", id, "reason", reason)
	g.note(Entry{Kind: KindDiscarded, JobID: id, Reason: reason})
	if err := g.outbox.drop(id); err != nil {
		g.opts.Log.Error("cannot drop an entry of the outbox", "id", id, "error", err)
	}
}
