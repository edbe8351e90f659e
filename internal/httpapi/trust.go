package httpapi

import (
	"context"

	"hookline/internal/api"
)

func (s *service) getTrust(context.Context, *nothing) (api.Trust, error) {
	bundle, _, root := s.Trust.Newest()
	return api.Trust{Bundle: bundle, RootDigest: root}, nil
}

func (s *service) putTrust(ctx context.Context, in *struct{ Body api.NewTrust }) (api.TrustChange, error) {
	changed, err := s.Trust.Replace(ctx, principalOf(ctx), in.Body.Bundle)
	return s.trustChange(changed, err)
}

func (s *service) pushRevocations(ctx context.Context, in *struct{ Body api.NewRevocations }) (api.TrustChange, error) {
	changed, err := s.Trust.Push(ctx, principalOf(ctx), in.Body.Metadata)
	return s.trustChange(changed, err)
}

func (s *service) trustChange(changed bool, err error) (api.TrustChange, error) {
	if err != nil {
		return api.TrustChange{}, err
	}
	_, _, root := s.Trust.Newest()
	rules := s.Rules()
	return api.TrustChange{
		Changed: changed, RootDigest: root, PolicyDigest: rules.Policy.Digest, Revocations: rules.Revoked.Len(),
	}, nil
}
