package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"hookline/internal/enroll"
	"hookline/store"
)

const peerColumns = `id, name, spki, enrolled_at, os, release, kernel, arch, version, send_reports, allow_hooks,
	server, epoch, seen`

// AddPeer stores a new peer. The same key again changes nothing; an id that
// belongs to another key is errs.CodeConflict.
func (d *DB) AddPeer(ctx context.Context, p enroll.Peer) error {
	return d.write(ctx, func(t *tx) error {
		n, err := t.exec(`INSERT INTO peers (`+peerColumns+`)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			p.ID, p.Name, p.SPKI, toMS(p.EnrolledAt), p.Facts.OS, p.Facts.Release, p.Facts.Kernel, p.Facts.Arch,
			p.Version, p.SendReports, p.AllowHooks, p.Connection.Server, p.Connection.Epoch, toMS(p.Connection.Seen))
		if err != nil || n == 1 {
			return err
		}
		_, err = one(ctx, t, scanInt, `SELECT 1 FROM peers WHERE id = ? AND spki = ?`, p.ID, p.SPKI)
		if errors.Is(err, sql.ErrNoRows) {
			return store.PeerTaken(p.ID)
		}
		return err
	})
}

// Peer reads a peer; errs.CodeNotFound.
func (d *DB) Peer(ctx context.Context, id string) (enroll.Peer, error) {
	p, err := one(ctx, d.reader, scanPeer, `SELECT `+peerColumns+` FROM peers WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return p, store.NoPeer(id)
	}
	return p, err
}

// Connect raises the peer's epoch by one, stores its hello and returns the
// new epoch; errs.CodeNotFound. A hello that renews an epoch which has passed
// is errs.CodeConflict.
func (d *DB) Connect(ctx context.Context, id, server string, h enroll.Hello, now time.Time) (int64, error) {
	var epoch int64
	err := d.write(ctx, func(t *tx) (err error) {
		epoch, err = one(ctx, t, scanInt, `UPDATE peers SET epoch = epoch + 1, server = ?, seen = ?, os = ?, release = ?,
			kernel = ?, arch = ?, version = ?, send_reports = ?, allow_hooks = ? WHERE id = ? AND ? IN (0, epoch) RETURNING epoch`,
			server, toMS(now), h.Facts.OS, h.Facts.Release, h.Facts.Kernel, h.Facts.Arch,
			h.Version, h.SendReports, h.AllowHooks, id, h.Renews)
		if errors.Is(err, sql.ErrNoRows) {
			return notConnected(t, id)
		}
		return err
	})
	return epoch, err
}

// notConnected says why a hello was not stored.
func notConnected(t *tx, id string) error {
	_, err := one(context.Background(), t, scanInt, `SELECT 1 FROM peers WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return store.NoPeer(id)
	}
	if err != nil {
		return err
	}
	return store.NewerStream(id)
}

// Disconnect clears the peer's server where the epoch is still the same: the
// end of an old stream does not close a newer one.
func (d *DB) Disconnect(ctx context.Context, id string, epoch int64, now time.Time) (bool, error) {
	var ok bool
	err := d.write(ctx, func(t *tx) error {
		n, err := t.exec(`UPDATE peers SET server = '', seen = ? WHERE id = ? AND epoch = ?`, toMS(now), id, epoch)
		ok = n == 1
		return err
	})
	return ok && err == nil, err
}

// Peers lists peers by id, those above after.
func (d *DB) Peers(ctx context.Context, after string, limit int) ([]enroll.Peer, error) {
	return list(ctx, d.reader, scanPeer, `SELECT `+peerColumns+` FROM peers WHERE id > ? ORDER BY id LIMIT ?`,
		after, store.Page(limit, store.MaxPage))
}

func scanPeer(s scanner) (enroll.Peer, error) {
	var p enroll.Peer
	var enrolled, seen int64
	err := s.Scan(&p.ID, &p.Name, &p.SPKI, &enrolled, &p.Facts.OS, &p.Facts.Release, &p.Facts.Kernel, &p.Facts.Arch,
		&p.Version, &p.SendReports, &p.AllowHooks, &p.Connection.Server, &p.Connection.Epoch, &seen)
	p.EnrolledAt, p.Connection.Seen = fromMS(enrolled), fromMS(seen)
	return p, err
}
