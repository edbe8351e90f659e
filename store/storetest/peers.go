package storetest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/errs"
)

func peerTests() []test {
	return []test{
		{"add is idempotent by key", addPeer},
		{"connections are fenced by epoch", connections},
		{"a stream renews only its own epoch", renewal},
		{"pages", peerPages},
		{"orders and pages", peerOrders},
		{"labels", labels},
	}
}

func addPeer(k *kit) {
	p := k.peer("a")
	again := p
	again.Name, again.EnrolledAt = "other", k.clock().Add(time.Hour)
	k.must(k.AddPeer(k.ctx, again))
	got, err := k.Peer(k.ctx, "a")
	k.must(err)
	same(k, got, p)
	for _, thief := range []enroll.Peer{{ID: "a", SPKI: "spki-thief"}, {ID: "thief", SPKI: p.SPKI}} {
		k.refused(k.AddPeer(k.ctx, thief), errs.CodeConflict)
	}
	_, err = k.Peer(k.ctx, "b")
	k.refused(err, errs.CodeNotFound)
}

func connections(k *kit) {
	want := k.peer("a")
	k.advance(time.Minute)
	h := enroll.Hello{Facts: hooks.Facts{OS: "linux", Release: "Debian 13", Kernel: "6.12", Arch: "arm64"}, Version: "0.2.0", AllowHooks: "yes"}
	first, err := k.Connect(k.ctx, "a", "server-1", h, k.clock())
	k.must(err)
	k.advance(time.Minute)
	second, err := k.Connect(k.ctx, "a", "server-2", h, k.clock())
	k.must(err)
	if second != first+1 {
		k.Errorf("epochs %d and %d", first, second)
	}
	want.Facts, want.Version, want.SendReports, want.AllowHooks = h.Facts, h.Version, h.SendReports, h.AllowHooks
	want.Connection = enroll.Connection{Server: "server-2", Epoch: second, Seen: k.clock()}
	ok, err := k.Disconnect(k.ctx, "a", first, k.clock().Add(time.Hour))
	k.must(err)
	got, err := k.Peer(k.ctx, "a")
	k.must(err)
	if ok {
		k.Error("the end of an old stream closed the new one")
	}
	same(k, got, want)
	k.advance(time.Minute)
	ok, err = k.Disconnect(k.ctx, "a", second, k.clock())
	if err != nil || !ok {
		k.Errorf("disconnect: %v, %v", ok, err)
	}
	want.Connection = enroll.Connection{Epoch: second, Seen: k.clock()}
	got, err = k.Peer(k.ctx, "a")
	k.must(err)
	same(k, got, want)
	_, err = k.Connect(k.ctx, "b", "server-1", h, k.clock())
	k.refused(err, errs.CodeNotFound)
}

func renewal(k *kit) {
	want := k.peer("a")
	h := helloOf(want)
	first, err := k.Connect(k.ctx, "a", "server-1", h, k.clock())
	k.must(err)
	h.Renews, h.AllowHooks = first, "yes"
	second, err := k.Connect(k.ctx, "a", "server-1", h, k.clock())
	k.must(err)
	if second != first+1 {
		k.Errorf("epoch %d after %d", second, first)
	}
	want, err = k.Peer(k.ctx, "a")
	k.must(err)
	k.advance(time.Minute)
	for _, passed := range []int64{first, second + 1} {
		h.Renews, h.AllowHooks = passed, "no"
		_, err = k.Connect(k.ctx, "a", "server-2", h, k.clock())
		k.refused(err, errs.CodeConflict)
	}
	got, err := k.Peer(k.ctx, "a")
	k.must(err)
	same(k, got, want)
	_, err = k.Connect(k.ctx, "b", "server-1", h, k.clock())
	k.refused(err, errs.CodeNotFound)
}

func peerPages(k *kit) {
	var ids []string
	for i := range 7 {
		ids = append(ids, k.peer(fmt.Sprintf("%02d", i)).ID)
	}
	id := func(p enroll.Peer) string { return p.ID }
	pages(k, ids, id, id, func(after string, limit int) ([]enroll.Peer, error) { return k.Peers(k.ctx, after, limit) })
}

// mixedPeers stores peers of which several have one name, and several were
// seen in the same millisecond; some are connected.
func (k *kit) mixedPeers() []enroll.Peer {
	k.Helper()
	var all []enroll.Peer
	for i := range 12 {
		p := k.newPeer(fmt.Sprintf("%02d", (i*5)%12))
		p.Name = []string{"web", "db/1", "", "\U0010ffff\U0010ffff"}[i%4]
		k.must(k.AddPeer(k.ctx, p))
		if i%3 != 0 {
			k.advance(time.Duration(i%2) * time.Second)
			epoch, err := k.Connect(k.ctx, p.ID, "server", helloOf(p), k.clock())
			k.must(err)
			if i%3 == 2 {
				_, err = k.Disconnect(k.ctx, p.ID, epoch, k.clock())
				k.must(err)
			}
		}
		got, err := k.Peer(k.ctx, p.ID)
		k.must(err)
		all = append(all, got)
	}
	return all
}

func peerOrders(k *kit) {
	all := k.mixedPeers()
	byID := func(a, b enroll.Peer) int { return cmp.Compare(a.ID, b.ID) }
	for sort, compare := range map[enroll.PeerSort]func(a, b enroll.Peer) int{
		"": byID, enroll.ByID: byID,
		enroll.ByName: func(a, b enroll.Peer) int { return cmp.Or(cmp.Compare(a.Name, b.Name), byID(a, b)) },
		enroll.BySeen: func(a, b enroll.Peer) int { return cmp.Or(a.Connection.Seen.Compare(b.Connection.Seen), byID(a, b)) },
	} {
		for _, f := range []enroll.PeerFilter{{}, {Last: true}, {Online: true}, {Online: true, Last: true}} {
			f.Sort = sort
			k.peerPage(f, all, compare)
		}
	}
	for _, f := range []enroll.PeerFilter{{Sort: enroll.ByName, After: "x"}, {Sort: enroll.BySeen, After: "x"}, {Sort: enroll.BySeen, After: "x/1"}} {
		_, err := k.PeersBy(k.ctx, f)
		k.refused(err, errs.CodeBadInput)
	}
	for most, want := range map[int64][]int64{100: {12, 4}, 12: {12, 4}, 5: {5, 4}, 3: {3, 3}} {
		n, online, err := k.CountPeers(k.ctx, most)
		k.must(err)
		same(k, []int64{n, online}, want)
	}
}

// peerPage walks one list of peers.
func (k *kit) peerPage(f enroll.PeerFilter, all []enroll.Peer, compare func(a, b enroll.Peer) int) {
	k.Helper()
	list := slices.DeleteFunc(slices.Clone(all), func(p enroll.Peer) bool { return f.Online && p.Connection.Server == "" })
	slices.SortFunc(list, compare)
	if f.Last {
		slices.Reverse(list)
	}
	var want []string
	for _, p := range list {
		want = append(want, p.ID)
	}
	id := func(p enroll.Peer) string { return p.ID }
	pages(k, want, id, f.Cursor, func(after string, limit int) ([]enroll.Peer, error) {
		f.After, f.Limit = after, limit
		return k.PeersBy(k.ctx, f)
	})
}

func labels(k *kit) {
	want, other := k.peer("a"), k.peer("b")
	for _, list := range [][]string{{"one", "two <b> ünï", "$three.x"}, {"four"}, nil, {"five"}} {
		g := k.grant(auth.UsersManage)
		k.must(k.SetLabels(k.ctx, "a", list, g))
		want.Labels = list
		got, err := k.Peer(k.ctx, "a")
		k.must(err)
		same(k, got, want)
		same(k, k.entries()[0], g.Entry())
	}
	k.must(k.SetLabels(k.ctx, "a", []string{}, k.grant(auth.UsersManage))) // none is nil
	k.advance(time.Minute)
	_, err := k.Connect(k.ctx, "b", "server", helloOf(other), k.clock())
	k.must(err)
	peers, err := k.Peers(k.ctx, "", 10)
	k.must(err)
	want.Labels = nil
	same(k, peers[0], want)
	same(k, peers[1].Labels, other.Labels) // a hello leaves them
	n := len(k.entries())
	k.refused(k.SetLabels(k.ctx, "none", []string{"x"}, k.grant(auth.UsersManage)), errs.CodeNotFound)
	same(k, len(k.entries()), n)
}

// helloOf is the hello of a peer that says what is known of it.
func helloOf(p enroll.Peer) enroll.Hello {
	return enroll.Hello{Facts: p.Facts, Version: p.Version, SendReports: p.SendReports, AllowHooks: p.AllowHooks}
}
