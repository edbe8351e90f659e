package httpapi

import (
	"context"

	"hookline/internal/api"
	"hookline/internal/enroll"
)

func (s *service) listPeers(ctx context.Context, in *Listing) (api.Page[api.Peer], error) {
	list, err := s.Peers.Peers(ctx, in.After, in.Limit)
	return page(list, err, in.Limit, func(p enroll.Peer) (api.Peer, string) { return peerOf(p), p.ID })
}

func (s *service) getPeer(ctx context.Context, in *IDPath) (api.Peer, error) {
	p, err := s.Peers.Peer(ctx, in.ID)
	return peerOf(p), err
}

func peerOf(p enroll.Peer) api.Peer {
	return api.Peer{
		ID: p.ID, Name: p.Name, Version: p.Version, Facts: p.Facts,
		Connected: p.Connection.Server != "", SeenAt: p.Connection.Seen, EnrolledAt: p.EnrolledAt,
		SendReports: p.SendReports, AllowHooks: p.AllowHooks,
	}
}
