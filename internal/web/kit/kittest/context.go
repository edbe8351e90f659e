package kittest

import (
	"context"
	"net/http"

	"hookline/internal/auth"
)

func contextWith(r *http.Request, p auth.Principal) context.Context {
	return context.WithValue(r.Context(), whoKey{}, p)
}
