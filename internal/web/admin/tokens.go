package admin

import (
	"context"
	"net/url"

	"hookline/internal/auth"
	"hookline/internal/web/kit"
)

// tokensAbove is one token, which may be revoked; nil is none.
type tokensAbove struct {
	ID    string
	Facts []kit.Fact
	Back  string
}

func (p *pages) tokens(r *kit.Request) (kit.Answer, error) {
	user, err := r.Word("user")
	if err != nil {
		return nil, err
	}
	state, err := r.One("state", "", "open", "over")
	if err != nil {
		return nil, err
	}
	above, err := p.oneToken(r)
	if err != nil {
		return nil, err
	}
	t := p.tokenTable(r)
	t.Fetch = func(ctx context.Context, after string, limit int) ([]auth.Token, error) {
		return p.Gate.Tokens(ctx, r.Who, user, after, limit)
	}
	if state != "" {
		now := r.Now()
		t.Keep = func(_ context.Context, t auth.Token) (bool, error) {
			return now.Before(t.ExpiresAt) == (state == "open"), nil
		}
	}
	t.Filters = []kit.Filter{{Name: "state", Label: "State", Value: state, Options: []kit.Option{{Value: "", Label: "any"}, {Value: "open", Label: "open"}, {Value: "over", Label: "over"}}}}
	if r.May(auth.UsersManage) {
		t.Filters = append([]kit.Filter{{Name: "user", Label: "User", Value: user, Hint: r.Who.User}}, t.Filters...)
	}
	return kit.Show(r, t, func(v kit.TableView) (kit.Answer, error) {
		return p.View("tokens", "Tokens", "Tokens", tablePage{Table: v, Above: above}), nil
	})
}

// tokenTable is the table without where its rows come from.
func (p *pages) tokenTable(r *kit.Request) kit.Table[auth.Token] {
	now, users := r.Now(), r.May(auth.UsersManage)
	return kit.Table[auth.Token]{
		Name: "tokens",
		Columns: []kit.Column[auth.Token]{
			{Name: "id", Head: "Token", Cell: func(t auth.Token) kit.Cell { return kit.ID(t.ID, "/tokens?token="+url.QueryEscape(t.ID)) }},
			{Name: "kind", Head: "Kind", Cell: func(t auth.Token) kit.Cell { return kit.Text(kindName(t.Kind)) }},
			{Name: "user", Head: "User", Cell: func(t auth.Token) kit.Cell {
				if users {
					return kit.Text(t.User).To("/users/" + url.PathEscape(t.User))
				}
				return kit.Text(t.User)
			}},
			{Name: "name", Head: "For", Cell: func(t auth.Token) kit.Cell { return kit.Text(t.Name) }},
			{Name: "created_at", Head: "Made", Cell: func(t auth.Token) kit.Cell { return kit.Time(t.CreatedAt) }},
			{Name: "expires_at", Head: "Ends", Cell: func(t auth.Token) kit.Cell {
				if !now.Before(t.ExpiresAt) {
					return kit.Time(t.ExpiresAt).With("over")
				}
				return kit.Time(t.ExpiresAt)
			}},
		},
		Cursor: func(t auth.Token) string { return t.ID },
		Empty:  kit.Empty{Text: "There are no tokens.", Command: "hookline token create --user " + r.Who.User},
	}
}

func kindName(k auth.TokenKind) string {
	if k == auth.TokenLogin {
		return "sign-in link"
	}
	return "token"
}

// oneToken shows the token that ?token= names. Its id comes from the
// store, so that the form goes nowhere else.
func (p *pages) oneToken(r *kit.Request) (*tokensAbove, error) {
	id, err := r.Word("token")
	if err != nil || id == "" {
		return nil, err
	}
	t, err := p.Gate.Token(r.Context(), r.Who, id)
	if err != nil {
		return nil, err
	}
	return &tokensAbove{ID: t.ID, Back: "/tokens", Facts: []kit.Fact{
		{Name: "Token", Cell: kit.Code(t.ID)},
		{Name: "User", Cell: kit.Text(t.User)},
		{Name: "For", Cell: kit.Text(t.Name)},
		{Name: "Made", Cell: kit.Time(t.CreatedAt)},
		{Name: "Ends", Cell: kit.Time(t.ExpiresAt)},
	}}, nil
}

func (p *pages) revoke(r *kit.Request) (kit.Answer, error) {
	t, err := p.Gate.RevokeToken(r.Context(), r.Who, r.ID("id"))
	if err != nil {
		return nil, err
	}
	r.Say("Token %s of %s opens nothing any more.", t.ID, t.User)
	return kit.Redirect{To: "/tokens"}, nil
}
