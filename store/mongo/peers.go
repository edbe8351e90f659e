package mongo

import (
	"context"
	"time"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/store"
)

// AddPeer stores a new peer. The same key again changes nothing; an id that
// belongs to another key is errs.CodeConflict.
func (d *DB) AddPeer(ctx context.Context, p enroll.Peer) error {
	added, err := d.insert(ctx, d.peers, newPeerDoc(p), "a peer")
	if err != nil || added {
		return err
	}
	there, err := one[peerDoc](ctx, d, d.peers, byID(p.ID))
	if none(err) || err == nil && there.SPKI != p.SPKI {
		return store.PeerTaken(p.ID)
	}
	return err
}

// Peer reads a peer; errs.CodeNotFound.
func (d *DB) Peer(ctx context.Context, id string) (enroll.Peer, error) {
	doc, err := one[peerDoc](ctx, d, d.peers, byID(id))
	if none(err) {
		return enroll.Peer{}, store.NoPeer(id)
	}
	return doc.peer(), err
}

// Connect raises the peer's epoch by one, stores its hello and returns the
// new epoch; errs.CodeNotFound. A hello that renews an epoch which has passed
// is errs.CodeConflict.
func (d *DB) Connect(ctx context.Context, id, server string, h enroll.Hello, now time.Time) (int64, error) {
	filter := byID(id)
	if h.Renews != 0 {
		filter = append(filter, m{{Key: "epoch", Value: h.Renews}}...)
	}
	doc, err := changed[peerDoc](ctx, d, d.peers, filter, m{
		{Key: "$inc", Value: m{{Key: "epoch", Value: int64(1)}}},
		{Key: "$set", Value: m{
			{Key: "server", Value: server},
			{Key: "online", Value: server != ""},
			{Key: "seen", Value: now},
			{Key: "facts", Value: newFactsDoc(h.Facts)},
			{Key: "version", Value: h.Version},
			{Key: "send_reports", Value: h.SendReports},
			{Key: "allow_hooks", Value: h.AllowHooks},
		}},
	})
	if none(err) {
		return 0, d.notConnected(ctx, id)
	}
	return doc.Epoch, err
}

// notConnected says why a hello was not stored.
func (d *DB) notConnected(ctx context.Context, id string) error {
	if _, err := d.Peer(ctx, id); err != nil {
		return err
	}
	return store.NewerStream(id)
}

// Disconnect clears the peer's server where the epoch is still the same: the
// end of an old stream does not close a newer one.
func (d *DB) Disconnect(ctx context.Context, id string, epoch int64, now time.Time) (bool, error) {
	return d.change(ctx, d.peers, m{{Key: "_id", Value: id}, {Key: "epoch", Value: epoch}},
		m{{Key: "$set", Value: m{{Key: "server", Value: ""}, {Key: "online", Value: false}, {Key: "seen", Value: now}}}})
}

// Peers lists peers by id, those above after.
func (d *DB) Peers(ctx context.Context, after string, limit int) ([]enroll.Peer, error) {
	docs, err := list[peerDoc](ctx, d, d.peers, m{{Key: "_id", Value: m{{Key: "$gt", Value: after}}}},
		m{{Key: "_id", Value: 1}}, store.Page(limit, store.MaxPage), nil)
	return all(docs, err, peerDoc.peer)
}

// PeersBy lists peers.
func (d *DB) PeersBy(ctx context.Context, f enroll.PeerFilter) ([]enroll.Peer, error) {
	filter, err := peersFilter(f)
	if err != nil {
		return nil, err
	}
	sort := byAge(!f.Last)
	if key := peerKey(f.Sort); key != "_id" {
		sort = ranked(key, !f.Last)
	}
	docs, err := list[peerDoc](ctx, d, d.peers, filter, sort, store.Page(f.Limit, store.MaxPage), nil)
	return all(docs, err, peerDoc.peer)
}

// peerKey is what an order of peers goes by.
func peerKey(by enroll.PeerSort) string {
	switch by {
	case enroll.ByName:
		return "name"
	case enroll.BySeen:
		return "seen"
	}
	return "_id"
}

func peersFilter(f enroll.PeerFilter) (filter m, err error) {
	filter = m{}
	if f.Online {
		filter = m{{Key: "online", Value: true}}
	}
	if f.After == "" {
		return filter, nil
	}
	name, seen, id, err := store.PeerCursor(f)
	if err != nil {
		return nil, err
	}
	switch key := peerKey(f.Sort); {
	case key == "name":
		return append(filter, behind(key, name, id, !f.Last)...), nil
	case key == "seen":
		return append(filter, behind(key, moment(seen), id, !f.Last)...), nil
	case f.Last:
		return append(filter, condition{Key: "_id", Value: m{{Key: "$lt", Value: id}}}), nil
	}
	return append(filter, condition{Key: "_id", Value: m{{Key: "$gt", Value: id}}}), nil
}

// CountPeers counts peers, and those that are connected, from indexes alone,
// at most `most` of them.
func (d *DB) CountPeers(ctx context.Context, most int64) (all, online int64, err error) {
	if all, err = d.count(ctx, d.peers, m{{Key: "_id", Value: m{{Key: "$gte", Value: ""}}}}, most); err != nil {
		return 0, 0, err
	}
	online, err = d.count(ctx, d.peers, m{{Key: "online", Value: true}}, most)
	return all, min(online, all), err // one may have come in between
}

// SetLabels gives a peer its labels; errs.CodeNotFound.
func (d *DB) SetLabels(ctx context.Context, id string, labels []string, g auth.Grant) error {
	return d.audited(ctx, g, where(d.peers, id), func(ctx context.Context, entry string) error {
		ok, err := d.change(ctx, d.peers, byID(id), m{{Key: "$set", Value: m{{Key: "labels", Value: notNil(labels)}, {Key: "audit", Value: entry}}}})
		if err == nil && !ok {
			return store.NoPeer(id)
		}
		return err
	})
}

func newFactsDoc(f hooks.Facts) factsDoc {
	return factsDoc{OS: f.OS, Release: f.Release, Kernel: f.Kernel, Arch: f.Arch}
}
