package storetest

import (
	"fmt"
	"time"

	"hookline/hooks"
	"hookline/internal/enroll"
	"hookline/internal/errs"
)

func peerTests() []test {
	return []test{
		{"add is idempotent by key", addPeer},
		{"connections are fenced by epoch", connections},
		{"a stream renews only its own epoch", renewal},
		{"pages", peerPages},
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

// helloOf is the hello of a peer that says what is known of it.
func helloOf(p enroll.Peer) enroll.Hello {
	return enroll.Hello{Facts: p.Facts, Version: p.Version, SendReports: p.SendReports, AllowHooks: p.AllowHooks}
}
