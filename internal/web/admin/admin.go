// Package admin is the pages of the audit log, users and tokens.
package admin

import (
	"context"
	"embed"
	"net/http"

	"hookline/internal/auth"
	"hookline/internal/web/kit"
)

//go:embed templates
var files embed.FS

// Log reads the audit log.
type Log interface {
	Entries(ctx context.Context, f auth.EntryFilter) ([]auth.Entry, error)
}

// Parts is what these pages are made from.
type Parts struct {
	Gate *auth.Gate
	Log  Log
}

type pages struct {
	Parts
	*kit.Templates
}

// Routes are the routes of these pages.
func Routes(k *kit.Kit, parts Parts) ([]kit.Route, error) {
	if err := k.Share(files, "templates/shared/*.html"); err != nil {
		return nil, err
	}
	t, err := k.Parse(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	p := &pages{parts, t}
	manage := kit.Acts(auth.UsersManage)
	return []kit.Route{
		{Method: http.MethodGet, Path: "/audit", Access: kit.Reads(auth.AuditRead), Page: p.audit},
		{Method: http.MethodGet, Path: "/users", Access: kit.Reads(auth.UsersManage), Page: p.users},
		{Method: http.MethodPost, Path: "/users", Access: manage, Page: p.addUser},
		{Method: http.MethodGet, Path: "/users/{name}", Access: kit.Reads(auth.UsersManage), Page: p.user},
		{Method: http.MethodPost, Path: "/users/{name}/roles", Access: manage, Page: p.setRoles},
		{Method: http.MethodPost, Path: "/users/{name}/off", Access: manage, Page: p.setOff},
		{Method: http.MethodPost, Path: "/users/{name}/password", Access: manage, Page: p.setPassword},
		{Method: http.MethodPost, Path: "/users/{name}/sessions", Access: manage, Page: p.endSessions},
		{Method: http.MethodPost, Path: "/users/{name}/tokens", Access: manage, Page: p.addToken},
		{Method: http.MethodGet, Path: "/tokens", Access: kit.SignedIn, Page: p.tokens},
		{Method: http.MethodPost, Path: "/tokens/{id}/revoke", Access: kit.Acts(auth.AccountOwn), Page: p.revoke},
	}, nil
}
