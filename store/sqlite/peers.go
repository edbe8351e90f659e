package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/store"
)

const peerColumns = `id, name, spki, enrolled_at, os, release, kernel, arch, version, send_reports, allow_hooks,
	server, epoch, seen, labels`

// AddPeer stores a new peer. The same key again changes nothing; an id that
// belongs to another key is errs.CodeConflict.
func (d *DB) AddPeer(ctx context.Context, p enroll.Peer) error {
	values, err := peerValues(p)
	if err != nil {
		return err
	}
	return d.write(ctx, func(t *tx) error {
		n, err := t.exec(`INSERT INTO peers (`+peerColumns+`)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`, values...)
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

// peerValues are those of peerColumns.
func peerValues(p enroll.Peer) ([]any, error) {
	labels, err := encodeLabels(p.Labels)
	return []any{
		p.ID, p.Name, p.SPKI, toMS(p.EnrolledAt), p.Facts.OS, p.Facts.Release, p.Facts.Kernel, p.Facts.Arch,
		p.Version, p.SendReports, p.AllowHooks, p.Connection.Server, p.Connection.Epoch, toMS(p.Connection.Seen), labels,
	}, err
}

// encodeLabels has one form of no labels.
func encodeLabels(labels []string) (string, error) {
	if len(labels) == 0 {
		return "[]", nil
	}
	return encodeTexts(labels)
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

// PeersBy lists peers in one of their orders, each of which has an index, all
// or those that are connected.
func (d *DB) PeersBy(ctx context.Context, f enroll.PeerFilter) ([]enroll.Peer, error) {
	where := ""
	if f.Online {
		where = "server <> '' AND "
	}
	limit := store.Page(f.Limit, store.MaxPage)
	if f.Sort == enroll.ByID || f.Sort == "" {
		query := `id > ? ORDER BY id LIMIT ?`
		if f.Last {
			query = `id < ? ORDER BY id DESC LIMIT ?`
			f.After = store.Before(f.After)
		}
		return list(ctx, d.reader, scanPeer, `SELECT `+peerColumns+` FROM peers WHERE `+where+query, f.After, limit)
	}
	by, value, id, err := peersBehind(f)
	if err != nil {
		return nil, err
	}
	return list(ctx, d.reader, scanPeer, `SELECT `+peerColumns+` FROM peers WHERE `+where+behind(by, !f.Last), value, id, limit)
}

// peersBehind is where a page of peers begins, in the order of a column.
func peersBehind(f enroll.PeerFilter) (by string, value any, id string, err error) {
	by = "seen"
	if f.Sort == enroll.ByName {
		by = "name"
	}
	if f.After != "" {
		name, seen, id, err := store.PeerCursor(f)
		if by == "name" {
			return by, name, id, err
		}
		return by, seen, id, err
	}
	value, id = edge(!f.Last)
	switch {
	case by == "name" && f.Last:
		value = []byte{} // sorts after every text
	case by == "name":
		value = ""
	}
	return by, value, id, nil
}

// CountPeers counts peers, and those that are connected, from the leaves of an
// index: at most `most` of them.
func (d *DB) CountPeers(ctx context.Context, most int64) (all, online int64, err error) {
	err = d.reader.snapshot(ctx, func(q querier) error {
		if all, err = one(ctx, q, scanInt, `SELECT count(*) FROM (SELECT 1 FROM peers INDEXED BY peers_by_seen WHERE seen >= 0 LIMIT ?)`, max(0, most)); err == nil {
			online, err = one(ctx, q, scanInt, `SELECT count(*) FROM (SELECT 1 FROM peers INDEXED BY peers_online WHERE server <> '' LIMIT ?)`, max(0, most))
		}
		return err
	})
	return all, online, err
}

// SetLabels replaces the labels of a peer; errs.CodeNotFound.
func (d *DB) SetLabels(ctx context.Context, id string, labels []string, g auth.Grant) error {
	encoded, err := encodeLabels(labels)
	if err != nil {
		return err
	}
	return d.audited(ctx, g, func(t *tx) error {
		n, err := t.exec(`UPDATE peers SET labels = ? WHERE id = ?`, encoded, id)
		if err == nil && n == 0 {
			return store.NoPeer(id)
		}
		return err
	})
}

func scanPeer(s scanner) (enroll.Peer, error) {
	var p enroll.Peer
	var enrolled, seen int64
	var labels string
	err := s.Scan(&p.ID, &p.Name, &p.SPKI, &enrolled, &p.Facts.OS, &p.Facts.Release, &p.Facts.Kernel, &p.Facts.Arch,
		&p.Version, &p.SendReports, &p.AllowHooks, &p.Connection.Server, &p.Connection.Epoch, &seen, &labels)
	if err != nil {
		return p, err
	}
	p.EnrolledAt, p.Connection.Seen = fromMS(enrolled), fromMS(seen)
	if labels == "[]" {
		return p, nil
	}
	return p, json.Unmarshal([]byte(labels), &p.Labels)
}
