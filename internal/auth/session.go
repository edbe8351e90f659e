package auth

import (
	"context"

	"hookline/internal/errs"
)

// EndSession signs a browser out for good: the stored session is replaced by
// one that has already ended and whose secret nobody was told. Any other
// token is left alone, and a session that is gone already is no error.
func (g *Gate) EndSession(ctx context.Context, p Principal) error {
	if p.Kind != TokenSession {
		return errs.New(errs.CodeBadInput, "only a browser session can be signed out")
	}
	_, ended, err := g.newToken(TokenSession, p.User, "signed out", 0)
	if err != nil {
		return err
	}
	if err := g.note(ctx, actionSignOut, p.User, p.TokenID); err != nil {
		return err
	}
	err = g.Accounts.SpendToken(ctx, p.TokenID, ended)
	if errs.Is(err, errs.CodeNotFound) {
		return nil
	}
	return err
}
